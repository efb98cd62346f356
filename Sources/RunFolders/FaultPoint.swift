internal import Foundation
internal import Synchronization

#if canImport(Glibc)
  internal import Glibc
#else
  internal import Darwin
#endif

/// Ends the process, for tests, at a chosen write of a record or of an atomically written file.
///
/// The environment variable `SPACEEVO_FAULT` chooses: `before-write:N` kills just before the N-th such write of the
/// process, `write:N` after half of its bytes, `after-write:N` when all bytes are written and nothing was told of it.
/// Writes are counted from 1. Without the variable nothing happens. The end is SIGKILL: no handler runs, no buffer is
/// flushed, as when the power fails.
enum FaultPoint {
  private struct Plan {
    let moment: String
    let number: Int
  }

  private static let plan: Plan? = {
    guard let text = ProcessInfo.processInfo.environment["SPACEEVO_FAULT"] else { return nil }
    let parts = text.split(separator: ":")
    guard parts.count == 2, let number = Int(parts[1]) else { return nil }
    return Plan(moment: String(parts[0]), number: number)
  }()

  private static let writes = Atomic<Int>(0)

  /// Runs one counted write through `write`, which is given the bytes to put out.
  static func around(_ bytes: UnsafeRawBufferPointer, write: (UnsafeRawBufferPointer) throws -> Void) rethrows {
    guard let plan, writes.add(1, ordering: .relaxed).newValue == plan.number else { return try write(bytes) }
    switch plan.moment {
    case "before-write": end()
    case "write":
      try write(UnsafeRawBufferPointer(rebasing: bytes[..<(bytes.count / 2)]))
      end()
    case "after-write":
      try write(bytes)
      end()
    default: try write(bytes)
    }
  }

  private static func end() -> Never {
    kill(getpid(), SIGKILL)
    while true { pause() }
  }
}
