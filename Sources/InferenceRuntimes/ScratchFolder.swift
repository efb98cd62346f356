import Foundation

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// A folder for files that nobody needs once the process has ended, removed with the last reference to it.
///
/// A process that is killed leaves its folder behind; the next one to make a folder in the same place removes it. That a
/// folder is in use shows in the lock on it, which the system takes back whatever way its process ends.
final class ScratchFolder {
  let url: URL
  /// `nil` where the file system knows no locks: then nobody else takes one to remove the folder either.
  private let descriptor: Int32?

  private static let prefix = "spaceevo-scratch-"

  /// - Parameter parent: The system's temporary folder, unless told.
  /// - Throws: What making a folder throws.
  init(in parent: URL = FileManager.default.temporaryDirectory) throws {
    Self.removeAbandoned(in: parent)
    func make() throws -> URL {
      let url = parent.appending(path: Self.prefix + UUID().uuidString)
      try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
      return url
    }
    // Another process may take it for an abandoned one before it is locked: then the next name.
    for _ in 0..<10 {
      let url = try make()
      if let descriptor = Self.lock(url) {
        (self.url, self.descriptor) = (url, descriptor)
        return
      }
      try? FileManager.default.removeItem(at: url)
    }
    (url, descriptor) = (try make(), nil)
  }

  deinit {
    try? FileManager.default.removeItem(at: url)
    if let descriptor { close(descriptor) }
  }

  private static func removeAbandoned(in parent: URL) {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: parent.path(percentEncoded: false))) ?? []
    for name in names where name.hasPrefix(prefix) {
      let url = parent.appending(path: name)
      guard let descriptor = lock(url) else { continue }
      try? FileManager.default.removeItem(at: url)
      close(descriptor)
    }
  }

  /// The folder's descriptor, which holds the lock; `nil` where another process has it, or the folder is no more.
  private static func lock(_ url: URL) -> Int32? {
    // Closed in children, which would hold the lock as long as they run.
    let descriptor = open(url.path(percentEncoded: false), O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    var status = stat()
    if flock(descriptor, LOCK_EX | LOCK_NB) == 0, fstat(descriptor, &status) == 0, status.st_nlink > 0 {
      return descriptor
    }
    close(descriptor)
    return nil
  }
}
