public import Foundation

#if canImport(Glibc)
  internal import Glibc
#else
  internal import Darwin
#endif

/// Files that are there whole or not at all, whatever moment the process or the machine dies at.
///
/// The content goes to `.partial-NAME-PID` in the same folder, is flushed to the disk, and is then renamed over the old
/// file. A crash leaves at most such a partial file, which `removeLeftovers(in:)` takes away.
public enum AtomicFile {
  static let partialPrefix = ".partial-"

  /// Replaces (or makes) the file at `url` with `data`.
  ///
  /// - Throws: `RunFolderError` (`inputOutput`) if the file cannot be written; an older file at `url` is then untouched.
  public static func write(_ data: Data, to url: URL) throws {
    let partial = try partialFile(for: url)
    try completing(url, from: partial) {
      let file = try OpenFile(partial, O_WRONLY | O_CREAT | O_EXCL, toDo: "write the file", named: url)
      try data.withUnsafeBytes { bytes in
        let number = FaultPoint.around(bytes) { file.write($0) }
        if number != 0 { throw failure(url, number) }
      }
    }
  }

  /// Replaces (or makes) the file at `url` with what `produce` writes to the path that it is given.
  ///
  /// For large files that another library writes. What `produce` throws is passed on, and an older file at `url` is
  /// then untouched.
  public static func write(to url: URL, _ produce: (_ partial: URL) throws -> Void) throws {
    let partial = try partialFile(for: url)
    try completing(url, from: partial) {
      try produce(partial)
      // The bytes went through another library: count them as one write after the fact.
      let number = FaultPoint.around(UnsafeRawBufferPointer(start: nil, count: 0)) { _ in 0 }
      if number != 0 { throw failure(url, number) }
    }
  }

  /// Removes what crashed writes left in `folder`. Call it only while no other process writes there.
  ///
  /// - Returns: the names of the files that were removed.
  @discardableResult
  public static func removeLeftovers(in folder: URL) throws -> [String] {
    let path = folder.path(percentEncoded: false)
    let leftovers = try FileManager.default.contentsOfDirectory(atPath: path).filter { $0.hasPrefix(partialPrefix) }
    for name in leftovers { try FileManager.default.removeItem(at: folder.appending(path: name)) }
    return leftovers.sorted()
  }

  private static func partialFile(for url: URL) throws -> URL {
    let partial = url.deletingLastPathComponent().appending(
      path: "\(partialPrefix)\(url.lastPathComponent)-\(getpid())")
    unlink(partial.path(percentEncoded: false))
    return partial
  }

  private static func completing(_ url: URL, from partial: URL, _ fill: () throws -> Void) throws {
    do {
      try fill()
      try flush(partial, failing: url)
      if rename(partial.path(percentEncoded: false), url.path(percentEncoded: false)) != 0 {
        throw RunFolderError.system("put the new file in its place", url, errno)
      }
    } catch {
      unlink(partial.path(percentEncoded: false))
      throw error
    }
    try flushFolder(of: url)
  }

  /// Makes a new name in a folder last: the name is on the disk only when the folder is.
  static func flushFolder(of url: URL) throws {
    try flush(url.deletingLastPathComponent(), failing: url)
  }

  private static func flush(_ written: URL, failing url: URL) throws {
    let file = try OpenFile(written, O_RDONLY, toDo: "open it to flush it to the disk")
    #if canImport(Darwin)
      let number = file.flush()
    #else
      let number = fsync(file.descriptor) == 0 ? 0 : errno
    #endif
    // Some file systems cannot flush a folder and say EINVAL; the file itself is always flushable.
    if number != 0 && number != EINVAL { throw failure(url, number) }
  }

  private static func failure(_ url: URL, _ number: Int32) -> RunFolderError {
    let remains = " Nothing was changed: an older file of this name is still whole."
    return .system("write the file", url, number, remains: remains)
  }
}
