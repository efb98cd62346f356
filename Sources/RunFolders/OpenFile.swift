internal import Foundation

#if canImport(Glibc)
  internal import Glibc
#else
  internal import Darwin
#endif

/// An open file, closed when the last reference goes. The errors name the file.
final class OpenFile: Sendable {
  let url: URL
  let descriptor: Int32

  /// Opens `url` with the flags of open(2); close-on-exec is added, so that no child inherits the file or its lock.
  ///
  /// - Parameter name: What errors call it, where the user knows it by another name.
  init(_ url: URL, _ flags: Int32, toDo action: String, named name: URL? = nil) throws {
    self.url = name ?? url
    descriptor = retrying { open(url.path(percentEncoded: false), flags | O_CLOEXEC, 0o644) }
    if descriptor < 0 { throw RunFolderError.system(action, self.url, errno) }
  }

  deinit { close(descriptor) }

  /// Takes the exclusive lock of flock(2); false when another open file holds it.
  func lock() throws -> Bool {
    if retrying({ flock(descriptor, LOCK_EX | LOCK_NB) }) == 0 { return true }
    if errno == EWOULDBLOCK { return false }
    throw RunFolderError.system("lock it", url, errno)
  }

  /// The file's length in bytes.
  func length() throws -> Int {
    var status = stat()
    if fstat(descriptor, &status) != 0 { throw RunFolderError.system("read its length", url, errno) }
    return Int(status.st_size)
  }

  /// Writes every byte: one write(2), and further ones only when the system took fewer bytes than it was given.
  /// Returns the error number, 0 when all went well.
  func write(_ bytes: UnsafeRawBufferPointer) -> Int32 {
    var rest = bytes
    while let start = rest.baseAddress, rest.count > 0 {
      let count = retrying { systemWrite(descriptor, start, rest.count) }
      if count < 0 { return errno }
      rest = UnsafeRawBufferPointer(rebasing: rest[count...])
    }
    return 0
  }

  /// Waits until the data is on the disk. Returns the error number, 0 when all went well.
  func flush() -> Int32 {
    #if canImport(Darwin)
      return fcntl(descriptor, F_FULLFSYNC) == 0 || fsync(descriptor) == 0 ? 0 : errno
    #else
      return fdatasync(descriptor) == 0 ? 0 : errno
    #endif
  }

  /// Cuts the file to `length` bytes. Returns the error number, 0 when all went well.
  func cut(to length: Int) -> Int32 {
    retrying { ftruncate(descriptor, off_t(length)) } == 0 ? 0 : errno
  }

  /// The file's last byte; nil where it is empty.
  func lastByte() throws -> UInt8? {
    let length = try length()
    guard length > 0 else { return nil }
    var byte: UInt8 = 0
    let count = retrying { pread(descriptor, &byte, 1, off_t(length - 1)) }
    if count < 0 { throw RunFolderError.system("read", url, errno) }
    return count == 1 ? byte : nil
  }

  /// Reads up to `capacity` bytes from where the last read ended; empty at the end of the file.
  func read(upTo capacity: Int) throws -> [UInt8] {
    try [UInt8](unsafeUninitializedCapacity: capacity) { buffer, count in
      let got = retrying { systemRead(descriptor, buffer.baseAddress, capacity) }
      if got < 0 { throw RunFolderError.system("read", url, errno) }
      count = got
    }
  }
}

// The methods above hide the system's functions of the same names.
private func systemWrite(_ descriptor: Int32, _ start: UnsafeRawPointer, _ count: Int) -> Int {
  write(descriptor, start, count)
}

private func systemRead(_ descriptor: Int32, _ start: UnsafeMutableRawPointer?, _ count: Int) -> Int {
  read(descriptor, start, count)
}

/// Repeats a system call that a signal broke off.
private func retrying<Result: FixedWidthInteger>(_ call: () -> Result) -> Result {
  while true {
    let result = call()
    if result >= 0 || errno != EINTR { return result }
  }
}
