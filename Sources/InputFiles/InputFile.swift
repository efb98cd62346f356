public import Foundation

#if canImport(Glibc)
  internal import Glibc
#else
  internal import Darwin
#endif

/// Reads files that somebody else may have written.
///
/// Every reader says how large its files may be, so that a wrong or hostile path (`/dev/zero`, a disk image) ends in a
/// message and not in a full memory. Pipes are read too, up to the same limit.
public enum InputFile {
  /// The bytes of a file.
  ///
  /// - Parameter limit: The most bytes that the file may have; more is an error, and is not read.
  /// - Throws: `InputFileError`.
  public static func bytes(of path: String, atMost limit: Int) throws(InputFileError) -> Data {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw .system(errno) }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw .system(errno) }
    guard status.st_mode & S_IFMT != S_IFDIR else { throw .system(EISDIR) }
    let length = Int(status.st_size)
    guard length <= limit else { throw InputFileError(tooLarge: length, limit: limit) }
    var data = Data()
    data.reserveCapacity(length)
    var piece = [UInt8](repeating: 0, count: min(1 << 20, max(4_096, length + 1)))
    while true {
      let count = read(descriptor, &piece, piece.count)
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw .system(errno) }
      if count == 0 { return data }
      // What is no regular file, or grows, is longer than its status says.
      guard data.count + count <= limit else { throw InputFileError(tooLarge: nil, limit: limit) }
      data.append(contentsOf: piece[..<count])
    }
  }

  /// The same of a file's URL.
  public static func bytes(of url: URL, atMost limit: Int) throws(InputFileError) -> Data {
    try bytes(of: url.path(percentEncoded: false), atMost: limit)
  }

  /// The text of a file, or `nil` where it is not UTF-8.
  public static func text(of path: String, atMost limit: Int) throws(InputFileError) -> String? {
    String(data: try bytes(of: path, atMost: limit), encoding: .utf8)
  }
}

/// Why a file was not read. The text does not name the file; whoever asked for it does.
public struct InputFileError: Error, Hashable, Sendable, CustomStringConvertible {
  /// Such as `No such file or directory`.
  public let description: String

  static func system(_ number: Int32) -> InputFileError {
    InputFileError(description: String(cString: strerror(number)))
  }

  private init(description: String) { self.description = description }

  init(tooLarge count: Int?, limit: Int) {
    description = "it has \(count.map { "\($0)" } ?? "more") bytes; files of up to \(limit) are read"
  }
}
