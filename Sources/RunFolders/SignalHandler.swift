#if canImport(Glibc)
  internal import Glibc
#else
  internal import Darwin
#endif

/// `sigaction`, whose structure differs from platform to platform.
enum SignalHandler {
  static func install(
    _ handler: @convention(c) (Int32) -> Void, for signals: [Int32], flags: some BinaryInteger
  ) {
    var action = sigaction()
    #if canImport(Darwin)
      action.__sigaction_u.__sa_handler = handler
    #else
      action.__sigaction_handler.sa_handler = handler
    #endif
    action.sa_flags = Int32(flags)
    for signal in signals { sigaction(signal, &action, nil) }
  }
}
