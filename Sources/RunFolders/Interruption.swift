internal import Synchronization

#if canImport(Glibc)
  internal import Glibc
#else
  internal import Darwin
#endif

/// Thrown where a long loop stops because the user (or the system) asked the process to end.
public struct Interrupted: Error, Hashable, CustomStringConvertible {
  /// The exit status of a program that was interrupted and can go on.
  public static let exitStatus: Int32 = 130

  public init() {}

  /// What is said of a command that has no records.
  public static let nothingKept = "Interrupted. This command keeps nothing: run again, it begins anew."

  public var description: String {
    "Interrupted. Everything that was finished is kept; to go on, run the same command again."
  }
}

/// Turns SIGINT (Ctrl-C) and SIGTERM into an error at the next safe place.
///
///     Interruption.install()
///     for unit in units {
///       try Interruption.check()
///       try log.append(work(unit))
///     }
///
/// A second signal ends the process at once, with the same exit status; what was appended is safe then too.
public enum Interruption {
  private static let signals = Atomic<Int>(0)

  /// Takes the signals over, and makes a write beyond the file size limit an error instead of the end of the process.
  /// Call it once, early.
  public static func install() {
    // The first use of a global variable may take a lock, which a signal handler must not do: use it here.
    signals.store(0, ordering: .relaxed)
    signal(SIGXFSZ, SIG_IGN)
    // System calls in libraries that don't expect signals go on where they were.
    SignalHandler.install({ _ in Interruption.receive() }, for: [SIGINT, SIGTERM], flags: SA_RESTART)
    // A parent's blocked signals are inherited, and would never come.
    var signals = sigset_t()
    sigemptyset(&signals)
    sigaddset(&signals, SIGINT)
    sigaddset(&signals, SIGTERM)
    sigprocmask(SIG_UNBLOCK, &signals, nil)
  }

  /// Whether a signal has come.
  public static var isRequested: Bool { signals.load(ordering: .relaxed) > 0 }

  /// - Throws: `Interrupted` once a signal has come.
  public static func check() throws(Interrupted) {
    if isRequested { throw Interrupted() }
  }

  /// Runs inside the signal handler: nothing here allocates, locks or calls what is not async-signal-safe.
  private static func receive() {
    if signals.add(1, ordering: .relaxed).newValue > 1 { _exit(Interrupted.exitStatus) }
    let text: StaticString = "\nStopping after the unit of work at hand; once more ends at once.\n"
    _ = write(STDERR_FILENO, text.utf8Start, text.utf8CodeUnitCount)
  }
}
