internal import Dispatch
internal import Foundation
internal import Synchronization

/// The text of a record file: how records become lines and lines records.
struct RecordLines<Record: Codable & Sendable>: Sendable {
  let url: URL
  let version: Int

  struct Found {
    var lines = 0
    var wholeBytes = 0
    /// What stands after the last line end.
    var rest: [UInt8] = []
  }

  /// Records are some hundred bytes; a file with a longer line is none of records, and is not read into memory.
  private var mostLineBytes: Int { 64 << 20 }

  // MARK: Writing

  func encode(_ records: some Collection<Record>) throws -> Data {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    encoder.nonConformingFloatEncodingStrategy = .convertToString(
      positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
    var lines = Data()
    for record in records {
      let object: Data
      do { object = try encoder.encode(record) } catch {
        throw RunFolderError(
          .invalidRecord, "\(url.relativePath): a \(Record.self) cannot be written as JSON: \(error)")
      }
      guard object.first == UInt8(ascii: "{"), object.range(of: Data(#""v":"#.utf8)) == nil else {
        throw RunFolderError(
          .invalidRecord,
          "\(url.relativePath): a \(Record.self) must be written as a JSON object without a key \"v\", "
            + "which is kept for the version of the schema.")
      }
      lines.append(contentsOf: Data(prefix.utf8))
      if object.count > 2 { lines.append(UInt8(ascii: ",")) }
      lines.append(object.dropFirst())
      lines.append(newline)
    }
    return lines
  }

  private var prefix: String { "{\"v\":\(version)" }

  // MARK: Reading

  /// Reads the file from its beginning. The lines of a piece are decoded on all cores and handed over in order.
  func read(_ file: OpenFile, each body: (Record) throws -> Void) throws -> Found {
    var found = Found()
    var pending: [UInt8] = []
    while true {
      let piece = try file.read(upTo: 1 << 20)
      if piece.isEmpty { break }
      guard let lastEnd = piece.lastIndex(of: newline) else {
        pending += piece
        guard pending.count <= mostLineBytes else {
          throw damaged(found.lines + 1, pending[...], "it has more than \(mostLineBytes) bytes")
        }
        continue
      }
      let whole = pending + piece[...lastEnd]
      pending = Array(piece[(lastEnd + 1)...])
      for record in try decode(whole, linesBefore: found.lines) {
        try body(record)
        found.lines += 1
      }
      found.wholeBytes += whole.count
    }
    found.rest = pending
    return found
  }

  /// Whether bytes at the end of a file can be what a crash left of a line: its beginning, or nothing but zeros where the
  /// file system had made room for it.
  func isUnfinishedLine(_ bytes: [UInt8]) -> Bool {
    let start = prefix.utf8
    return bytes.allSatisfy { $0 == 0 }
      || (bytes.count < start.count ? start.starts(with: bytes) : bytes.starts(with: start))
  }

  /// - Parameter rest: What stands after the last line end, and is no beginning of a record.
  func foreign(_ rest: [UInt8], line: Int) -> RunFolderError {
    damaged(line, rest[...], "it has no line end, and does not begin with \(prefix),")
  }

  /// Decodes bytes that end with a line end.
  private func decode(_ bytes: [UInt8], linesBefore: Int) throws -> [Record] {
    let lines = bytes.split(separator: newline, omittingEmptySubsequences: false).dropLast()
    let parts = max(1, min(ProcessInfo.processInfo.activeProcessorCount, lines.count / 64))
    let bounds = (0...parts).map { lines.count * $0 / parts }
    let results = Mutex([Result<[Record], any Error>?](repeating: nil, count: parts))
    DispatchQueue.concurrentPerform(iterations: parts) { part in
      let range = bounds[part]..<bounds[part + 1]
      let result = Result { try decode(lines[range], firstNumber: linesBefore + range.lowerBound + 1) }
      results.withLock { $0[part] = result }
    }
    return try results.withLock { $0 }.flatMap { try $0?.get() ?? [] }
  }

  private func decode(_ lines: ArraySlice<ArraySlice<UInt8>>, firstNumber: Int) throws -> [Record] {
    let decoder = JSONDecoder()
    decoder.nonConformingFloatDecodingStrategy = .convertFromString(
      positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
    let start = Array(prefix.utf8)
    for (number, line) in zip(firstNumber..., lines) {
      let afterPrefix = line.dropFirst(start.count).first
      guard line.starts(with: start), afterPrefix == UInt8(ascii: ",") || afterPrefix == UInt8(ascii: "}") else {
        throw damaged(number, line, "it does not begin with \(prefix),")
      }
    }
    var records: [Record] = []
    records.reserveCapacity(lines.count)
    for (number, line) in zip(firstNumber..., lines) {
      if let record = try? RecordDecoder(line).decode(Record.self) {
        records.append(record)
        continue
      }
      do { records.append(try decoder.decode(Record.self, from: Data(line))) } catch {
        throw damaged(number, line, summary(of: error))
      }
    }
    return records
  }

  private func damaged(_ number: Int, _ line: ArraySlice<UInt8>, _ reason: String) -> RunFolderError {
    let shown = String(decoding: line.prefix(60), as: UTF8.self)
    return RunFolderError(
      .damaged,
      "\(url.relativePath), line \(number): not a record of schema version \(version): \(reason). The line begins with "
        + "\"\(shown)\". Remove this line (its work is then done again), or begin with another file or folder.")
  }

  private func summary(of error: any Error) -> String {
    guard let error = error as? DecodingError else { return "\(error)" }
    switch error {
    case .keyNotFound(let key, _): return "the key \"\(key.stringValue)\" is missing"
    case .typeMismatch(_, let context), .valueNotFound(_, let context):
      return "the value of \"\(context.codingPath.map(\.stringValue).joined(separator: "."))\" has another type"
    case .dataCorrupted: return "it is not valid JSON"
    @unknown default: return "\(error)"
    }
  }
}

private let newline = UInt8(ascii: "\n")
