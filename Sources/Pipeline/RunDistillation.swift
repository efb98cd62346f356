import DeviceLatency
public import Foundation
import RunFolders
import TorchTraining

extension DistillationStep {
  init(
    _ context: RunContext, _ predictor: LatencyPredictor, _ teacher: TeacherNetwork, _ store: ParameterStore
  ) {
    self.init(
      configuration: context.configuration, hyperspace: context.hyperspace, paths: context.folder.paths,
      libraries: context.folder.manifest.libraries, data: context.data, pool: context.pool, display: context.display,
      predictor: predictor, teacher: teacher, store: store)
  }

  /// Does what is open, and records every block.
  func runAndRecord(in folder: RunFolder) throws {
    var known: Set<BlockRecord> = []
    let log = try folder.records("blocks", of: BlockRecord.self) { known.insert($0) }
    for record in try run() where !known.contains(record) { try log.append(record) }
  }
}

extension Run {
  /// All steps up to the stage tables, and then whether these rank sub-stages as training each alone does.
  public func verifyTables(_ settings: RankCheck.Settings) throws -> RankCheck.Result {
    try requireOneProcess("distill --verify")
    try through(.distillation)
    let distillation = try distillationStep()
    var known: [RankRecord] = []
    let log = try context.folder.records("ranks", of: RankRecord.self) { known.append($0) }
    return try explaining("verification of the tables") {
      try RankCheck(step: distillation, settings: settings, log: log, known: known).run()
    }
  }

  /// Helps a run that another process holds: distils the blocks that nobody has in hand, and ends when there is none.
  ///
  /// - Throws: `TrainingError` where the run's profile and teacher are not finished yet; `RunFolderError` where there is no
  ///   run.
  public static func joinDistillation(of folder: URL, jobs: Int?, isQuiet: Bool) throws {
    Torch.keepFreedMemory()
    try Torch.setThreads(1)
    let paths = RunFolderPaths(root: folder)
    let manifest = try RunFolder.manifest(of: folder)
    let configuration = try RunConfiguration(
      yaml: manifest.configuration, file: paths.configuration.path(percentEncoded: false))
    let hyperspace = try configuration.loadHyperspace(manifest)
    let display = ProgressDisplay(isQuiet: isQuiet)
    let data = try RunData(configuration, hyperspace: hyperspace, note: display.note)
    guard let predictor = try DeviceProfile.predictor(in: paths) else { throw notReady(folder, "profile") }
    guard
      let (teacher, store) = try TeacherStep.finished(configuration, hyperspace: hyperspace, paths: paths, data: data)
    else { throw notReady(folder, "teacher") }
    try DistillationStep(
      configuration: configuration, hyperspace: hyperspace, paths: paths, libraries: manifest.libraries, data: data,
      pool: WorkerPool(count: jobs ?? configuration.jobs), display: display,
      predictor: predictor, teacher: teacher, store: store
    ).join()
  }

  private static func notReady(_ folder: URL, _ step: String) -> TrainingError {
    TrainingError(
      "\(folder.relativePath): the run's \(step) is not finished, so there is nothing to help with yet; begin with "
        + "`spaceevo distill --run \(folder.relativePath)`")
  }
}
