#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// Runs a program to its end, or ends it.
enum ChildProcess {
  struct Outcome: Hashable, Sendable {
    enum End: Hashable, Sendable {
      /// With a status, 0 for success.
      case exited(Int32)
      /// By a signal that was not ours.
      case signalled(Int32)
      /// It did not end in time and was ended, with everything that it had started.
      case timedOut
    }
    var end: End
    var output: [UInt8] = []
    /// The last of what it wrote on standard error.
    var errors: [UInt8] = []
  }

  /// Why a program could not be started.
  struct StartError: Error, Hashable {
    var program: String
    var number: Int32
    var description: String { String(cString: strerror(number)) }
  }

  /// More output than this is no list of milliseconds; what comes later is thrown away.
  private static let mostOutput = 4 << 20
  private static let mostErrors = 2_000

  /// Runs `arguments[0]`, found by PATH, with the other arguments as they are: no shell reads them. Standard input is
  /// empty.
  ///
  /// - Parameters:
  ///   - seconds: After these the process, and all of its process group, is ended.
  ///   - check: Called ten times a second; what it throws ends the process, and is thrown on.
  /// - Throws: `StartError`, and what `check` throws.
  static func run(_ arguments: [String], seconds: Double, check: () throws -> Void) throws -> Outcome {
    var (output, errors) = (try Pipe(), try Pipe())
    defer {
      output.close()
      errors.close()
    }
    let process = try start(arguments, output, errors)
    output.closeWriting()
    errors.closeWriting()
    var outcome = Outcome(end: .timedOut)
    do {
      let isTimely = try collect(&output, &errors, &outcome, until: .now + .seconds(seconds), check: check)
      if isTimely, let end = try awaitEnd(process, until: .now + .seconds(seconds), check: check) {
        outcome.end = end
        // What it left behind holds no pipes and must not hold the device.
        kill(-process, SIGKILL)
        return outcome
      }
    } catch {
      endGroup(process)
      throw error
    }
    endGroup(process)
    return outcome
  }

  /// Both ends of a pipe.
  private struct Pipe {
    var reading: Int32
    var writing: Int32

    init() throws {
      var ends: [Int32] = [-1, -1]
      guard pipe(&ends) == 0 else { throw StartError(program: "pipe", number: errno) }
      (reading, writing) = (ends[0], ends[1])
      for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    }

    mutating func closeWriting() {
      if writing >= 0 { _ = closeDescriptor(writing) }
      writing = -1
    }

    mutating func closeReading() {
      if reading >= 0 { _ = closeDescriptor(reading) }
      reading = -1
    }

    mutating func close() {
      closeReading()
      closeWriting()
    }
  }

  private static func start(_ arguments: [String], _ output: Pipe, _ errors: Pipe) throws -> pid_t {
    var attributes = posix_spawnattr_t()
    var actions = posix_spawn_file_actions_t()
    posix_spawnattr_init(&attributes)
    posix_spawn_file_actions_init(&actions)
    defer {
      posix_spawnattr_destroy(&attributes)
      posix_spawn_file_actions_destroy(&actions)
    }
    // A group of its own, so that ssh's or a shell's children end with it.
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK))
    posix_spawnattr_setpgroup(&attributes, 0)
    // Whatever thread this is: signals that it blocks would not end the child.
    var unblocked = sigset_t()
    sigemptyset(&unblocked)
    posix_spawnattr_setsigmask(&attributes, &unblocked)
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_adddup2(&actions, output.writing, STDOUT_FILENO)
    posix_spawn_file_actions_adddup2(&actions, errors.writing, STDERR_FILENO)
    var words: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) }
    words.append(nil)
    defer { for word in words { free(word) } }
    var process = pid_t()
    let number = posix_spawnp(&process, arguments[0], &actions, &attributes, words, environ)
    guard number == 0 else { throw StartError(program: arguments[0], number: number) }
    return process
  }

  /// Reads both pipes until their writers are gone.
  ///
  /// - Returns: Whether that was before the deadline.
  private static func collect(
    _ output: inout Pipe, _ errors: inout Pipe, _ outcome: inout Outcome, until deadline: ContinuousClock.Instant,
    check: () throws -> Void
  ) throws -> Bool {
    var buffer = [UInt8](repeating: 0, count: 65_536)
    while output.reading >= 0 || errors.reading >= 0 {
      try check()
      guard ContinuousClock.now < deadline else { return false }
      var descriptors = [output.reading, errors.reading].map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
      guard poll(&descriptors, 2, 100) > 0 else { continue }
      if descriptors[0].revents != 0 {
        let count = read(output.reading, &buffer, buffer.count)
        if count > 0 {
          outcome.output += buffer.prefix(min(count, mostOutput - outcome.output.count))
        } else if count == 0 || errno != EINTR {
          output.closeReading()
        }
      }
      if descriptors[1].revents != 0 {
        let count = read(errors.reading, &buffer, buffer.count)
        if count > 0 {
          outcome.errors = (outcome.errors + buffer.prefix(count)).suffix(mostErrors)
        } else if count == 0 || errno != EINTR {
          errors.closeReading()
        }
      }
    }
    return true
  }

  /// - Returns: How the process ended; `nil` where it has not by the deadline.
  private static func awaitEnd(
    _ process: pid_t, until deadline: ContinuousClock.Instant, check: () throws -> Void
  ) throws -> Outcome.End? {
    var status: Int32 = 0
    while true {
      let found = waitpid(process, &status, WNOHANG)
      if found == process { break }
      if found < 0, errno != EINTR { return .exited(-1) }
      try check()
      guard ContinuousClock.now < deadline else { return nil }
      usleep(2_000)
    }
    // What C's WIFEXITED and its like say.
    let signal = status & 0x7f
    return signal == 0 ? .exited((status >> 8) & 0xff) : .signalled(signal)
  }

  /// Ends the process and everything in its group: politely, then for good.
  private static func endGroup(_ process: pid_t) {
    kill(-process, SIGTERM)
    var status: Int32 = 0
    for _ in 0..<50 {
      if waitpid(process, &status, WNOHANG) != 0 { break }
      usleep(10_000)
    }
    kill(-process, SIGKILL)
    _ = waitpid(process, &status, 0)
  }
}

/// The system's `close`, which a method of that name would hide.
private func closeDescriptor(_ descriptor: Int32) -> Int32 { close(descriptor) }
