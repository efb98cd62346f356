public import Foundation
import TorchTraining

/// A step of a run that could not be finished: what happened, where in the run, and what is kept.
///
/// Whatever the cause was, the same command goes on from what is kept; a cause that will not have changed by then says in
/// its own words what to change.
public struct RunError: Error, CustomStringConvertible {
  /// Of the run.
  public var folder: URL
  /// What was being done, such as `supernet`.
  public var step: String
  /// Steps that were through before, in their order.
  public var finished: [String]
  public var cause: any Error

  init(folder: URL, step: String, finished: [String], cause: any Error) {
    self.folder = folder
    self.step = step
    self.finished = finished
    self.cause = cause
  }

  public var description: String {
    "\(folder.relativePath), step \(step): \(RunError.words(of: cause))\n\(RunError.kept(finished))"
  }

  /// What a run that stops now has kept.
  static func kept(_ finished: [String]) -> String {
    let steps =
      finished.isEmpty
      ? "" : "the finished step\(finished.count > 1 ? "s" : "") (\(finished.joined(separator: ", "))), and "
    return "Kept: \(steps)of this step what its records and its last checkpoint hold."
  }

  /// An error as a user reads it: Foundation's own describe themselves in code, and name no file.
  static func words(of error: any Error) -> String {
    switch error {
    case let error as CocoaError:
      let path = error.filePath ?? error.url?.path(percentEncoded: false)
      return (path.map { "\($0): " } ?? "") + error.localizedDescription
    case let error as TorchError where error.isOutOfMemory:
      return
        "\(error). A smaller batch or fewer jobs, in another run, need less; so may closing other programs, in this one."
    default: return "\(error)"
    }
  }
}
