public import Foundation

/// A unit of work that one process at a time has in hand.
///
/// The claim is a lock on a file, which goes with the value or with the process, however it ends; so what a killed
/// process had in hand is free again at once.
public final class WorkClaim: Sendable {
  private let file: OpenFile

  /// Claims the work that the file stands for; `nil` where another process, or another claim of this one, has it.
  ///
  /// - Throws: `RunFolderError` where the file cannot be made.
  public init?(at url: URL) throws {
    file = try OpenFile(url, O_RDWR | O_CREAT | O_NOFOLLOW, toDo: "write into the run folder")
    guard try file.lock() else { return nil }
  }
}

#if canImport(Glibc)
  private import Glibc
#else
  private import Darwin
#endif
