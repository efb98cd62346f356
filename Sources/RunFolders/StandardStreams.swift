#if canImport(Glibc)
  // The C library's streams are variables that nothing changes.
  @preconcurrency internal import Glibc
#else
  internal import Darwin
#endif

/// The three streams that a process is born with.
public enum StandardStreams {
  /// Puts something in the place of streams that the parent has closed. Call it before any file is opened.
  ///
  /// The next file that is opened would get the number of a closed stream, and be written to by whoever prints. Standard
  /// output is opened for reading, so that printing still fails, and `finishOutput` tells of it; messages that nobody
  /// hears go nowhere.
  public static func fillClosed() {
    for (descriptor, flags) in [(STDIN_FILENO, O_RDONLY), (STDOUT_FILENO, O_RDONLY), (STDERR_FILENO, O_WRONLY)]
    where fcntl(descriptor, F_GETFD) == -1 {
      // The lowest free number is this one: those below are taken by now.
      _ = open("/dev/null", flags)
    }
  }

  /// Hands over what was printed and not yet written.
  ///
  /// - Throws: `RunFolderError` (`inputOutput`) where not all of what was printed could be written.
  public static func finishOutput() throws {
    let isWritten = fflush(stdout) == 0
    let reason = isWritten ? "" : ": " + String(cString: strerror(errno))
    guard isWritten, ferror(stdout) == 0 else {
      throw RunFolderError(.inputOutput, "standard output: cannot write the result\(reason)")
    }
  }

  /// Says something on standard error; where that is gone, nobody hears it.
  public static func say(_ text: String) {
    var text = text
    text.withUTF8 { bytes in
      var rest = UnsafeRawBufferPointer(bytes)
      while let start = rest.baseAddress, !rest.isEmpty {
        let count = write(STDERR_FILENO, start, rest.count)
        if count < 0, errno != EINTR { return }
        rest = UnsafeRawBufferPointer(rebasing: rest[max(0, count)...])
      }
    }
  }
}
