import Datasets
import DeviceLatency
import Foundation
import RunFolders
import SearchSpaces
import SpaceEvolution
import TorchTraining

extension Run {
  /// The part of a process that follows rank 0: it helps with what several can share, and waits for the rest.
  ///
  /// Teacher and supernet are trained data-parallel, the blocks of the distillation go to whoever claims them, and the
  /// subnets of the search are shared out. Latencies are measured, spaces scored and models exported by rank 0 alone.
  func follow(_ job: ProcessJob, through last: Step) throws {
    try job.wait(for: Step.profile.rawValue)
    // The study is rank 0's alone.
    if last == .profile || last == .study { return }

    let teacher = TeacherStep(context: context)
    let teacherStore = try teacher.run()
    if last == .teacher { return }

    let predictor = try seen(DeviceProfile.predictor(in: context.folder.paths), "its profile")
    _ = try DistillationStep(context, predictor, teacher.network(), teacherStore).run()
    if last == .distillation { return }

    try job.wait(for: Step.design.rawValue)
    let design = try seen(
      DesignRecord.last(in: context.folder.paths, hyperspace: context.hyperspace), "its design")
    if last == .design { return }

    let space = design.best[0].space
    let supernet = try SupernetStep(context: context, space: space).run()
    if last == .supernet { return }

    _ = try SearchStep(
      context: context, space: space, predictor: predictor,
      maximumMilliseconds: design.constraintsMilliseconds.last!,
      constraintsMilliseconds: design.constraintsMilliseconds
    ).run(supernet)
  }

  private func seen<Value>(_ value: Value?, _ what: String) throws -> Value {
    if let value { return value }
    throw TrainingError(
      "\(context.folder.paths.root.relativePath): rank 0 has written \(what), and rank \(context.group?.rank ?? 0) does not "
        + "see it: the run folder must be on a file system that all processes share")
  }

  /// - Throws: `TrainingError` where several processes do this run.
  func requireOneProcess(_ command: String) throws {
    guard let job else { return }
    throw TrainingError(
      "`\(command)` is the work of one process, and WORLD_SIZE is \(job.environment.size): start it without RANK and "
        + "WORLD_SIZE; for `distill`, others can help with --join")
  }
}

extension ProcessJob {
  func announceIfLeading(_ what: String) throws {
    if leads { try announce(what) }
  }

  /// What all processes of a job must have in common.
  static func parts(_ configuration: RunConfiguration, _ data: RunData) throws -> [Part] {
    let builtIn = Hyperspace.builtIn(configuration.hyperspace) != nil
    return [
      Part(name: "configuration", text: configuration.text),
      Part(
        name: "hyperspace",
        text: builtIn ? "" : try Program.text(ofFile: configuration.hyperspace, kind: "hyperspace")),
      Part(
        name: "data set",
        text: "images: \(data.training.count)\nclasses:\n"
          + data.training.classNames.map { "- \($0)" }.joined(separator: "\n")),
      Part(name: "program", text: "program: \(Program.name)\nlibtorch: \(Torch.version)"),
    ]
  }

  /// Runs `body`, and says what it means where another process of the job was lost meanwhile.
  static func explaining<Result>(_ environment: JobEnvironment?, _ body: () throws -> Result) throws -> Result {
    do { return try body() } catch let error as ProcessGroupError {
      // A signal goes to all processes of a job; the first to stop leaves the others without it.
      try Interruption.check()
      guard let environment else { throw error }
      throw TrainingError(
        "rank \(environment.rank) of \(environment.size): another process of this job has ended or cannot be reached at "
          + "\(environment.host):\(environment.port) (\(error)). What was finished is kept: start all processes again with the "
          + "same command, and the job goes on from its last checkpoint")
    }
  }
}
