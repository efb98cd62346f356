internal import CZlib
internal import Foundation
internal import InputFiles

/// The bytes of a plain or gzip-compressed file, from the first to the last. Which of both it is, its first bytes say.
final class ByteFile {
  let url: URL
  private let content: Data
  private var offset = 0
  private var decompressor: Decompressor?

  /// Files larger than this are refused; the largest published ones have a third of it.
  static let mostBytes = 2 << 30

  /// - Throws: `DatasetError` (`missing`, `damaged`).
  convenience init(_ url: URL) throws(DatasetError) {
    do { self.init(try InputFile.bytes(of: url, atMost: Self.mostBytes), named: url) } catch {
      throw DatasetError(.missing, "\(url.relativePath): cannot read the file: \(error)")
    }
  }

  /// - Parameter url: For messages.
  init(_ content: Data, named url: URL) {
    self.url = url
    self.content = content
    if content.starts(with: [0x1f, 0x8b]) { decompressor = Decompressor() }
  }

  var isCompressed: Bool { decompressor != nil }

  /// The most bytes that the file can hold: a deflated byte becomes at most 1,032.
  var longestPossibleContent: Int { decompressor == nil ? content.count : content.count * 1032 }

  /// Reads exactly `count` bytes.
  ///
  /// - Parameter expected: what the bytes are, for the message: "60000 images of 28 x 28 bytes".
  /// - Throws: `DatasetError` (`damaged`) if the file ends before, or does not decompress.
  func read(_ count: Int, _ expected: String) throws(DatasetError) -> [UInt8] {
    guard count <= longestPossibleContent else { throw tooShort(expected, missing: nil) }
    var bytes: [UInt8] = []
    // Memory is taken as content comes: a small file can say that it unpacks to a thousand times its length.
    while bytes.count < count {
      var piece = [UInt8](repeating: 0, count: min(count - bytes.count, max(1 << 22, bytes.count)))
      let got = try fill(&piece)
      if got < piece.count { throw tooShort(expected, missing: count - bytes.count - got) }
      if bytes.isEmpty { bytes = piece } else { bytes += piece }
    }
    return bytes
  }

  /// - Throws: `DatasetError` (`damaged`) if anything is left to be read, or the checksum of the compression is wrong.
  func expectEnd(after expected: String) throws(DatasetError) {
    var further: [UInt8] = [0]
    let isLonger = try fill(&further) > 0
    if let decompressor, !decompressor.isAtEnd && !isLonger {
      throw .damaged(url, "the file is too short: its compressed data ends before its checksum. Fetch it again.")
    }
    if isLonger || offset < content.count {
      throw .damaged(url, "the file goes on after \(expected), where it should end. Fetch it again.")
    }
  }

  private func tooShort(_ expected: String, missing: Int?) -> DatasetError {
    let amount = missing.map { "\($0) bytes are missing" } ?? "its \(content.count) bytes cannot hold them"
    return .damaged(url, "the file is too short for \(expected): \(amount). Fetch it again.")
  }

  /// Returns how many bytes were there to be read.
  private func fill(_ bytes: inout [UInt8]) throws(DatasetError) -> Int {
    guard let decompressor else {
      let count = min(bytes.count, content.count - offset)
      _ = bytes.withUnsafeMutableBytes { content[offset..<(offset + count)].copyBytes(to: $0) }
      offset += count
      return count
    }
    let result = decompressor.fill(&bytes, from: content, at: &offset)
    if let problem = result.problem {
      throw .damaged(url, "the compressed data is damaged (\(problem)). Fetch it again.")
    }
    return result.count
  }
}

/// One gzip stream, zlib's state behind it.
private final class Decompressor {
  private let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
  /// Whether the stream's end, with its checksum, was reached.
  private(set) var isAtEnd = false

  init() {
    stream.initialize(to: z_stream())
    // 15: the largest window; 16 more: a gzip header and checksum are expected.
    let status = inflateInit2_(stream, 15 + 16, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
    precondition(status == Z_OK, "zlib has no memory")
  }

  deinit {
    inflateEnd(stream)
    stream.deallocate()
  }

  /// Fills `bytes` as far as the stream goes. A stream that just ends early is no problem here, only a short count.
  func fill(_ bytes: inout [UInt8], from content: Data, at offset: inout Int) -> (count: Int, problem: String?) {
    bytes.withUnsafeMutableBufferPointer { output in
      content.withUnsafeBytes { (input: UnsafeRawBufferPointer) in
        var done = 0
        while done < output.count && !isAtEnd {
          // zlib counts in 32 bits.
          let available = min(input.count - offset, 1 << 30)
          let room = min(output.count - done, 1 << 30)
          stream.pointee.next_in = UnsafeMutablePointer(
            mutating: input.baseAddress?.advanced(by: offset).assumingMemoryBound(to: UInt8.self))
          stream.pointee.avail_in = UInt32(available)
          stream.pointee.next_out = output.baseAddress?.advanced(by: done)
          stream.pointee.avail_out = UInt32(room)
          let status = inflate(stream, Z_NO_FLUSH)
          offset += available - Int(stream.pointee.avail_in)
          done += room - Int(stream.pointee.avail_out)
          if status == Z_STREAM_END { isAtEnd = true }
          if status == Z_BUF_ERROR { break }
          if status != Z_OK && status != Z_STREAM_END {
            return (done, stream.pointee.msg.map { String(cString: $0) } ?? "zlib's status \(status)")
          }
        }
        return (done, nil)
      }
    }
  }
}
