import DeviceLatency
public import Foundation
import NetworkGraphs
import Reports
import RunFolders
import SearchSpaces
import SpaceEvolution
import StrictYAML
import TorchTraining

/// One run: a configuration, a folder, and the steps between them, each of which goes on where it was stopped.
public final class Run {
  /// The steps in their order; each needs those before it.
  public enum Step: String, CaseIterable, Sendable {
    case profile, study, teacher, distillation, design, supernet, search, models, report
  }

  let context: RunContext
  /// The processes that do this run together; `nil` for this one alone.
  let job: ProcessJob?
  /// `nil` in a process that follows another.
  private let stepLog: RecordLog<StepRecord>?
  private var finishedSteps: Set<String> = []

  /// Whether this process writes the run folder and has its results. One that does not helps another, and has none.
  public var leads: Bool { context.leads }

  /// Opens or makes a run folder; or joins the processes that the environment tells of (`RANK`, `WORLD_SIZE`,
  /// `MASTER_ADDR`, `MASTER_PORT`), of which the one of rank 0 opens it.
  ///
  /// - Parameters:
  ///   - configurationFile: A YAML file. A folder that exists must have been begun with the same one.
  ///   - preset: A built-in configuration, of `RunConfiguration.presetNames`. Without either, a folder that exists goes on
  ///     with its own, and a new one has the first of these.
  /// - Throws: `YAMLError`, `RunFolderError`, `DatasetError` or `TrainingError`, each naming what is wrong.
  public init(
    folder: URL, configurationFile: String?, preset: String? = nil, isQuiet: Bool
  ) throws {
    Torch.keepFreedMemory()
    try Torch.setThreads(1)
    let (text, file) = try Self.configuration(configurationFile, preset, folder: folder)
    let configuration = try RunConfiguration(yaml: text, file: file)
    let hyperspace = try configuration.loadHyperspace()
    do { try TeacherStep.check(configuration.teacher, hyperspace: hyperspace) } catch let error as TrainingError {
      throw configuration.error(at: "teacher", error.message)
    }
    let environment = try JobEnvironment(ProcessInfo.processInfo.environment)
    let display = ProgressDisplay(isQuiet: isQuiet || environment?.rank ?? 0 > 0)
    let data = try RunData(configuration, hyperspace: hyperspace, note: display.note)
    var finished: Set<String> = []
    (job, context, stepLog) = try ProcessJob.explaining(environment) {
      let job = try environment.map { try ProcessJob($0) }
      try job?.agree(on: ProcessJob.parts(configuration, data))
      let runFolder: RunFolder
      if let job, !job.leads {
        try job.wait(for: "folder")
        runFolder = try RunFolder(joining: folder, configuration: text)
      } else {
        runFolder = try RunFolder(
          at: folder, configuration: text, inputs: configuration.inputs(), seeds: ["run": configuration.seed],
          program: Program.name,
          libraries: ["libtorch": Torch.version])
        for notice in runFolder.notices { display.note(notice) }
      }
      let leads = job?.leads ?? true
      let trainingLog = leads ? try TrainingLog(runFolder) : nil
      let stepLog =
        leads ? try runFolder.records("steps") { (record: StepRecord) in finished.insert(record.step) } : nil
      try job?.announceIfLeading("folder")
      let context = RunContext(
        configuration: configuration, hyperspace: hyperspace, folder: runFolder, display: display, data: data,
        pool: WorkerPool(count: configuration.jobs), trainingLog: trainingLog, group: try job?.group())
      return (job, context, stepLog)
    }
    finishedSteps = finished
  }

  /// The text of the configuration that was asked for, and what errors call it.
  private static func configuration(
    _ file: String?, _ preset: String?, folder: URL
  ) throws -> (text: String, file: String) {
    if let file { return (try Program.text(ofFile: file, kind: "configuration"), file) }
    let paths = RunFolderPaths(root: folder)
    if preset == nil, paths.manifest.isThere {
      return (try RunFolder.manifest(of: folder).configuration, paths.configuration.relativePath)
    }
    let name = preset ?? RunConfiguration.presetNames[0]
    guard let text = RunConfiguration.preset(name) else {
      throw TrainingError(
        "there is no built-in configuration \(name); right would be one of "
          + RunConfiguration.presetNames.joined(separator: ", "))
    }
    return (text, "built-in configuration \(name)")
  }

  /// Runs all steps up to one, each from where it was stopped.
  ///
  /// - Returns: The exported models, fastest first; none where the steps do not lead there, and none in a process that
  ///   follows another.
  /// - Throws: `Interrupted` after Ctrl-C; what a step throws.
  @discardableResult
  public func through(_ last: Step) throws -> [ModelRecord] {
    try ProcessJob.explaining(job?.environment) {
      if let job, !job.leads {
        try follow(job, through: last)
        return []
      }
      return try lead(through: last)
    }
  }

  private func lead(through last: Step) throws -> [ModelRecord] {
    let predictor = try perform(.profile) {
      let predictor = try ProfileStep(context: context).run()
      // What no network can meet is known now, and not only when all stages are distilled.
      _ = try DesignStep(context: context, predictor: predictor).constraints()
      return predictor
    }
    if last == .profile { return [] }

    if context.configuration.profile.studySeconds > 0 {
      try perform(.study) { try StudyStep(context: context).run() }
    }
    if last == .study { return [] }

    let teacher = TeacherStep(context: context)
    let teacherStore = try perform(.teacher) { try teacher.run() }
    if last == .teacher { return [] }

    let distillation = DistillationStep(context, predictor, teacher.network(), teacherStore)
    try perform(.distillation) { try distillation.runAndRecord(in: context.folder) }
    if last == .distillation { return [] }

    let design = try perform(.design) { try DesignStep(context: context, predictor: predictor).run() }
    let space = design.best[0].space
    if last == .design { return [] }

    let supernet = try perform(.supernet) { try SupernetStep(context: context, space: space).run() }
    if last == .supernet { return [] }

    let subnets = try perform(.search) {
      try SearchStep(
        context: context, space: space, predictor: predictor,
        maximumMilliseconds: design.constraintsMilliseconds.last!,
        constraintsMilliseconds: design.constraintsMilliseconds
      ).run(supernet)
    }
    if last == .search { return [] }

    let models = try perform(.models) {
      // Those that `refine` has added too, so that their files are looked after as well.
      let there = try ModelRecord.all(in: context.folder.paths).count
      return try ModelsStep(context: context.alone, space: space, predictor: predictor)
        .run(supernet, ModelsStep.choose(subnets, context.configuration.fineTuning, count: there))
    }
    if last == .models { return models }

    try perform(.report) {
      let url = try Self.writeReport(paths: context.folder.paths, manifest: context.folder.manifest)
      context.display.note("Report: \(url.path(percentEncoded: false))")
    }
    return models
  }

  /// Trains more of a finished run's subnets, each in the widest gap of latency between the models that there are, and
  /// times files again that were timed on a busy machine.
  ///
  /// - Parameter count: Models in all, those that there are included; no number adds none.
  /// - Returns: All models, fastest first.
  public func refine(models count: Int = 0) throws -> [ModelRecord] {
    try requireOneProcess("refine")
    try through(.search)
    let predictor = try ProfileStep(context: context).run()
    let design = try DesignStep(context: context, predictor: predictor).run()
    let space = design.best[0].space
    let supernet = try SupernetStep(context: context, space: space).run()
    let subnets: [SubnetRecord] = try RecordLog.all(context.folder.paths.recordFile("subnets"))
    let models = try perform(.models) {
      let there = try ModelRecord.all(in: context.folder.paths).count
      let chosen = ModelsStep.choose(subnets, context.configuration.fineTuning, count: max(count, there))
      if chosen.count < count {
        context.display.note("The search has met subnets for \(chosen.count) models, not for \(count).")
      }
      return try ModelsStep(context: context.alone, space: space, predictor: predictor, timesAgain: true)
        .run(supernet, chosen)
    }
    try perform(.report) {
      let url = try Self.writeReport(paths: context.folder.paths, manifest: context.folder.manifest)
      context.display.note("Report: \(url.path(percentEncoded: false))")
    }
    return models
  }

  /// Trains, searches, exports and measures the space found, hand-designed and random spaces alike, and writes the page
  /// that compares them. All steps up to the design come first; every arm goes on where it was stopped.
  ///
  /// - Parameters:
  ///   - repetitions: Seeds for each arm.
  ///   - randomSpaces: How many random spaces take part.
  ///   - otherDevice: A device, by built-in name or file, for which a space is designed too; each of the two spaces found
  ///     is then searched and timed on both devices.
  /// - Returns: The page's headline table for a terminal, and the page's location.
  public func compare(
    repetitions: Int, randomSpaces: Int, otherDevice: String? = nil
  ) throws -> (text: String, page: URL) {
    try requireOneProcess("compare")
    let predictor = try perform(.profile) { try ProfileStep(context: context).run() }
    try through(.design)
    let design = try DesignStep(context: context, predictor: predictor).run()
    let records = try explaining("comparison") {
      try ComparisonStep(
        context: context, predictor: predictor, design: design, repetitions: repetitions, randomSpaces: randomSpaces
      ).run()
    }
    let losses = try explaining("comparison") {
      try ComparisonLossesStep(context: context, distillation: distillationStep()).run(records)
    }
    let crosswise = try explaining("crosswise comparison") {
      try otherDevice.map {
        try CrosswiseStep(
          context: context, predictor: predictor, design: design, otherDevice: $0, found: records[0]
        ).run()
      }
    }
    let report = ComparisonReport(
      records: records, crosswise: crosswise ?? [], losses: losses,
      ranking: try RankingResult(.spaceFound, in: context.folder.paths),
      rankingOfSpaces: try RankingResult(.hyperspace, in: context.folder.paths), configuration: context.configuration,
      manifest: context.folder.manifest, device: predictor.device)
    let page = report.page()
    let root = context.folder.paths.root
    let url = root.appending(path: "comparison.html")
    try AtomicFile.write(Data(page.html().utf8), to: url)
    // For a repository.
    let markdown = MarkdownPage(page, figurePrefix: "comparison").rendered()
    try AtomicFile.write(Data(markdown.text.utf8), to: root.appending(path: "comparison.md"))
    for figure in markdown.figures {
      try AtomicFile.write(Data(figure.svg.utf8), to: root.appending(path: figure.name))
    }
    return (TextTable(report.headline).text(), url)
  }

  /// The distillation of a run whose profile and teacher are finished.
  func distillationStep() throws -> DistillationStep {
    let teacher = TeacherStep(context: context)
    return DistillationStep(context, try ProfileStep(context: context).run(), teacher.network(), try teacher.run())
  }

  private func perform<Result>(_ step: Step, _ body: () throws -> Result) throws -> Result {
    try Interruption.check()
    let start = ContinuousClock.now
    let result = try explaining(step.rawValue, body)
    try job?.announceIfLeading(step.rawValue)
    if !finishedSteps.contains(step.rawValue) {
      let duration = start.duration(to: .now)
      let record = StepRecord(
        step: step.rawValue,
        seconds: Double(duration.components.seconds) + Double(duration.components.attoseconds) / 1e18)
      try explaining(step.rawValue) { try stepLog?.append(record) }
      finishedSteps.insert(step.rawValue)
    }
    return result
  }

  /// Runs a part of a step, and tells of its errors where in the run they came and what is kept.
  ///
  /// - Throws: `Interrupted` as it is, everything else as a `RunError`.
  func explaining<Result>(_ step: String, _ body: () throws -> Result) throws -> Result {
    let finished = Step.allCases.map(\.rawValue).filter { finishedSteps.contains($0) && $0 != step }
    CrashMessage.setPlace(
      "It was in step \(step) of \(context.folder.paths.root.relativePath). \(RunError.kept(finished)) "
        + "The same command goes on.")
    do { return try body() } catch let error as Interrupted { throw error } catch let error as RunError {
      throw error
    } catch let error as ProcessGroupError {
      // What it means is told where all processes of the job are known.
      throw error
    } catch {
      throw RunError(folder: context.folder.paths.root, step: step, finished: finished, cause: error)
    }
  }

  /// The table of results for a terminal, and where the report is.
  public func resultText() throws -> String {
    let report = try RunReport(
      paths: context.folder.paths, manifest: context.folder.manifest, configuration: context.configuration,
      hyperspace: context.hyperspace)
    return TextTable(report.result).text()
  }

  /// Writes the report of a run folder from its records, without taking hold of the folder.
  ///
  /// - Throws: `RunFolderError` where there is no run, or its records are damaged.
  public static func writeReport(of folder: URL) throws -> URL {
    try writeReport(paths: RunFolderPaths(root: folder), manifest: RunFolder.manifest(of: folder))
  }

  private static func writeReport(paths: RunFolderPaths, manifest: Manifest) throws -> URL {
    let configuration = try RunConfiguration(
      yaml: manifest.configuration, file: paths.configuration.path(percentEncoded: false))
    let report = try RunReport(
      paths: paths, manifest: manifest, configuration: configuration,
      hyperspace: configuration.loadHyperspace(manifest))
    try AtomicFile.write(Data(report.page().html().utf8), to: paths.report)
    return paths.report
  }
}
