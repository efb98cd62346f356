import Foundation
import RunFolders
import Testing

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

@Suite struct InterruptionTests {
  @Test("A signal is an error at the next check, and not the end of the process", arguments: [SIGINT, SIGTERM])
  func oneSignal(signal: Int32) async {
    await #expect(processExitsWith: .exitCode(Interrupted.exitStatus)) { [signal] in
      Interruption.install()
      try Interruption.check()
      kill(getpid(), signal)
      // Left before the process ends, so that the error is freed and no sanitizer finds it.
      var message = ""
      while message.isEmpty { do { try Interruption.check() } catch { message = "\(error)" } }
      exit(message.contains("run the same command again") ? Interrupted.exitStatus : 1)
    }
  }

  @Test("A second signal ends the process at once")
  func twoSignals() async {
    await #expect(processExitsWith: .exitCode(130)) {
      Interruption.install()
      kill(getpid(), SIGINT)
      while !Interruption.isRequested { usleep(1_000) }
      kill(getpid(), SIGINT)
      while true { sleep(1) }
    }
  }
}
