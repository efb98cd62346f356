import DeviceLatency
import Foundation
import RunFolders
import SearchSpaces
import TorchTraining

/// A short study of the device, for the report: what INT8 gains there for which operation, width and block.
struct StudyStep {
  let context: RunContext

  private static func file(in paths: RunFolderPaths) -> URL { paths.root.appending(path: "study.json") }

  /// The findings of a run folder; `nil` where there are none.
  ///
  /// - Throws: An error that names the file where it is damaged.
  static func findings(in paths: RunFolderPaths) throws -> StudyFindings? {
    let file = file(in: paths)
    guard file.isThere else { return nil }
    do { return try JSONDecoder().decode(StudyFindings.self, from: Data(contentsOf: file)) } catch {
      throw TrainingError(
        "\(file.path(percentEncoded: false)): is no study of a device that this program reads (\(error)); delete it, and the "
          + "same command makes it again")
    }
  }

  func run() throws {
    if try StudyStep.findings(in: context.folder.paths) != nil { return }
    var study = DeviceStudy(blockTypes: context.hyperspace.blockTypes)
    study.sizes = context.hyperspace.mapSides.suffix(3)
    study.stepSize = study.sizes[study.sizes.count / 2]
    var shown: (step: StepProgress, done: Int)?
    defer { shown?.step.finish() }
    let findings = try study.run(
      context.meter(), budget: .seconds(context.configuration.profile.studySeconds)
    ) { _ in
      try Interruption.check()
    } progress: { done, total in
      if shown == nil { shown = (context.display.begin("Study the device", unit: "models", total: total), 0) }
      shown!.step.advance(by: done - shown!.done)
      shown!.done = done
    }
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    try AtomicFile.write(try encoder.encode(findings), to: StudyStep.file(in: context.folder.paths))
  }
}

extension Hyperspace {
  /// Sides of the maps between the stages at the largest resolution, descending, each once.
  fileprivate var mapSides: [Int] {
    var side = resolutions.last!
    var sides: [Int] = []
    for stride in [stem.stride] + stages.map(\.stride) {
      side = (side + stride - 1) / stride
      if side != sides.last { sides.append(side) }
    }
    return sides
  }
}
