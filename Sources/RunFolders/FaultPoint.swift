internal import Foundation
internal import Synchronization

#if canImport(Glibc)
  internal import Glibc
#else
  internal import Darwin
#endif

/// Ends the process or fails a write, for tests, at a chosen write of a record or of an atomically written file.
///
/// The environment variable `SPACEEVO_FAULT` chooses, with writes of the process counted from 1:
///
/// - `before-write:N` kills just before the N-th write, `write:N` after half of its bytes, `after-write:N` when all bytes
///   are written and nothing was told of it. The end is SIGKILL: no handler runs, no buffer is flushed, as when the power
///   fails.
/// - `fail-write:N` puts out half of the N-th write's bytes and then fails it with EIO, once.
/// - `full-disk:N` does the same with ENOSPC to the N-th write and to all that follow.
///
/// Without the variable nothing happens.
enum FaultPoint {
  private enum Moment: String {
    case beforeWrite = "before-write"
    case inWrite = "write"
    case afterWrite = "after-write"
    case failedWrite = "fail-write"
    case fullDisk = "full-disk"
  }

  private struct Plan {
    let moment: Moment
    let number: Int
  }

  private static let plan: Plan? = {
    guard let text = ProcessInfo.processInfo.environment["SPACEEVO_FAULT"] else { return nil }
    let parts = text.split(separator: ":")
    guard parts.count == 2, let moment = Moment(rawValue: String(parts[0])), let number = Int(parts[1]) else {
      return nil
    }
    return Plan(moment: moment, number: number)
  }()

  private static let writes = Atomic<Int>(0)

  /// Runs one counted write through `write`, which is given the bytes to put out and returns the error number, or 0.
  static func around(_ bytes: UnsafeRawBufferPointer, write: (UnsafeRawBufferPointer) -> Int32) -> Int32 {
    guard let plan else { return write(bytes) }
    let number = writes.add(1, ordering: .relaxed).newValue
    guard number == plan.number || (plan.moment == .fullDisk && number > plan.number) else { return write(bytes) }
    if plan.moment == .beforeWrite { end() }
    if plan.moment == .afterWrite {
      _ = write(bytes)
      end()
    }
    _ = write(UnsafeRawBufferPointer(rebasing: bytes[..<(bytes.count / 2)]))
    switch plan.moment {
    case .failedWrite: return EIO
    case .fullDisk: return ENOSPC
    case .beforeWrite, .inWrite, .afterWrite: end()
    }
  }

  private static func end() -> Never {
    kill(getpid(), SIGKILL)
    while true { pause() }
  }
}
