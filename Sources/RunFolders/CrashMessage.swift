internal import Synchronization

#if canImport(Glibc)
  internal import Glibc
#else
  internal import Darwin
#endif

/// What a user reads where the process meets an end that no error can tell of: memory that ran out in the middle of an
/// allocation, or a defect of the program or of an engine.
///
/// A signal of the processor or of `abort` is turned into a sentence and exit status 1. Nothing is rescued here, since
/// nothing has to be: records and checkpoints are whole at every moment. With `SPACEEVO_CRASH=leave` in the environment the
/// system keeps its own way, for debuggers and core files.
public enum CrashMessage {
  /// The address of a C string that says what was going on; 0 for none.
  private static let place = Atomic<UInt>(0)

  /// Takes the signals over. Call it once, early.
  public static func install() {
    // The first use of a global variable may take a lock, which a signal handler must not do: use it here.
    place.store(0, ordering: .relaxed)
    guard getenv("SPACEEVO_CRASH") == nil else { return }
    // A stack that has overflowed cannot take a handler's frame.
    let size = 1 << 16
    var stack = stack_t()
    stack.ss_sp = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: 16)
    stack.ss_size = size
    sigaltstack(&stack, nil)
    SignalHandler.install(
      { _ in CrashMessage.tell() }, for: [SIGILL, SIGTRAP, SIGABRT, SIGSEGV, SIGBUS, SIGFPE], flags: SA_ONSTACK)
  }

  /// Says what is going on from now on, for the message: a few words and what is kept, in whole sentences.
  public static func setPlace(_ text: String) {
    // The one before is not freed: a signal may come at any moment, and steps are few.
    place.store(UInt(bitPattern: strdup(text)), ordering: .releasing)
  }

  /// Runs inside the signal handler: nothing here allocates, locks or calls what is not async-signal-safe.
  private static func tell() {
    let text: StaticString =
      "Error: the program has met a fault that it cannot go on from: memory that ran out, or a defect. "
    _ = write(STDERR_FILENO, text.utf8Start, text.utf8CodeUnitCount)
    if let place = UnsafePointer<CChar>(bitPattern: place.load(ordering: .acquiring)) {
      _ = write(STDERR_FILENO, place, strlen(place))
    }
    _ = write(STDERR_FILENO, "\n", 1)
    _exit(1)
  }
}
