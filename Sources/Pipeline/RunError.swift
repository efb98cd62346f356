public import Foundation
import StrictYAML
import TorchTraining

/// A step of a run that could not be finished: what happened, where in the run, and what is kept.
///
/// Whatever the cause was, the same command goes on from what is kept, unless it is the configuration itself.
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
    let place = "\(folder.relativePath), step \(step): \(RunError.words(of: cause))\n"
    guard isOfConfiguration else { return place + RunError.kept(finished) }
    return place
      + "A run keeps its configuration: correct that line in a file of yours, and begin another folder with --run."
  }

  /// Whether the configuration asks for what cannot be: then the same command fails again.
  public var isOfConfiguration: Bool { cause is YAMLError }

  /// What a run that stops now has kept.
  static func kept(_ finished: [String]) -> String {
    let steps =
      finished.isEmpty
      ? "" : "the finished step\(finished.count > 1 ? "s" : "") (\(finished.joined(separator: ", "))), and "
    return "Kept: \(steps)of this step what its records and its last checkpoint hold."
  }

  /// An error as a user reads it: Foundation's own describe themselves in code, and name no file.
  public static func words(of error: any Error) -> String {
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
