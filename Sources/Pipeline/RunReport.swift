import DeviceLatency
import Foundation
import NetworkGraphs
import Reports
import RunFolders
import SearchSpaces
import SpaceEvolution

/// The report of a run, made from its records alone: it can be written again at any time.
struct RunReport {
  let manifest: Manifest
  let configuration: RunConfiguration
  let hyperspace: Hyperspace
  let models: [ModelRecord]
  let subnets: [SubnetRecord]
  let training: [TrainingRecord]
  let restarts: [RestartRecord]
  let blocks: [BlockRecord]
  let spaces: [EvolutionRecord]
  let design: DesignRecord?
  let predictor: LatencyPredictor?
  let steps: [StepRecord]
  /// `nil` where the run had no study.
  let study: StudyFindings?
  /// Of `compare`; empty where it was not run.
  let comparison: [ComparisonRecord]
  /// Where the run's stage tables are.
  private let tables: URL

  /// Reads the records of a run folder.
  ///
  /// - Throws: `RunFolderError` for a damaged record.
  init(
    paths: RunFolderPaths, manifest: Manifest, configuration: RunConfiguration, hyperspace: Hyperspace
  ) throws {
    func all<Record: Codable & Sendable>(_ name: String) throws -> [Record] {
      try RecordLog<Record>.all(paths.recordFile(name))
    }
    tables = paths.tables
    self.manifest = manifest
    self.configuration = configuration
    self.hyperspace = hyperspace
    models = try ModelRecord.all(in: paths)
    subnets = try all("subnets")
    training = try all("training")
    restarts = try all("restarts")
    blocks = try all("blocks")
    spaces = try all("spaces")
    for record in spaces { try record.score.check(in: hyperspace, file: paths.recordFile("spaces")) }
    design = try DesignRecord.last(in: paths, hyperspace: hyperspace)
    predictor = try DeviceProfile.predictor(in: paths)
    steps = try all("steps")
    study = try StudyStep.findings(in: paths)
    let timings: [ComparisonTiming] = try all("comparison-timings")
    comparison = try (all("comparison") as [ComparisonRecord]).timed(
      Dictionary(timings.map { ($0.file, $0) }, uniquingKeysWith: { $1.gated || !$0.gated ? $1 : $0 }))
  }

  /// The table that ends a run and heads its report.
  var result: Table {
    Table(
      caption: "Exported INT8 models, measured as files: accuracy through the runtime on "
        + "\(models.first.map { NumberText.count($0.images) } ?? "no") test images, latency on \(configuration.deviceName).",
      columns: [
        Column("Model"), .number("Predicted", unit: "ms"), .number("Measured", unit: "ms"),
        .number("Accuracy", unit: "%"), .number("MACs", unit: "M"), .number("Parameters", unit: "k"),
      ],
      rows: models.map { model in
        [
          .code(model.file), Table.Cell(NumberText.significant(model.predictedMilliseconds)),
          Table.Cell(NumberText.significant(model.measuredMilliseconds) + (model.gated ? "" : " *")),
          Table.Cell(
            NumberText.fixed(100 * model.accuracy, decimals: 2), isEmphasised: !dominatedFiles.contains(model.file)),
          Table.Cell(NumberText.millions(model.macs)),
          Table.Cell(NumberText.fixed(Double(model.parameters) / 1_000, decimals: 1)),
        ]
      })
  }

  /// Files that another one is ahead of: at least as fast and as accurate, and better in one of both. Fastest first.
  private var dominatedFiles: [String] {
    let front = ParetoFront.indices(
      models.map { Objectives(latencyMilliseconds: $0.measuredMilliseconds, accuracy: $0.accuracy) })
    return models.indices.filter { !front.contains($0) }.map { models[$0].file }
  }

  private typealias Column = Table.Column

  func page() -> ReportPage {
    let best = models.max { $0.accuracy < $1.accuracy }
    let subtitle =
      best.map {
        "\(models.count) INT8 networks for \(configuration.data.title), designed for \(configuration.deviceName) and measured "
          + "there\(configuration.device.isBuiltIn ? " (\(manifest.machine.processor))" : ""): up to \(NumberText.fixed(100 * $0.accuracy, decimals: 2)) % of the test images "
          + "right in \(NumberText.milliseconds($0.measuredMilliseconds)) each."
      } ?? "A run that has not reached its models yet."
    return ReportPage(
      title: "INT8 networks for \(configuration.data.title)", subtitle: subtitle, opening: opening,
      sections: [spaceSection, studySection, searchSection, latencySection, trainingSection, runSection].filter {
        !$0.blocks.isEmpty
      },
      footer: [.init("Program", manifest.program), .init("Run begun", manifest.created)]
        + manifest.libraries.sorted { $0.key < $1.key }.map { .init($0.key, $0.value) })
  }

  private var opening: [ReportPage.Block] {
    guard !models.isEmpty else { return [] }
    var blocks: [ReportPage.Block] = [.table(result)]
    if models.contains(where: { !$0.gated }) {
      blocks.append(
        .note(
          "Latencies marked * were measured while the machine was busy: its integer throughput, probed before and after, "
            + "was not within 5 % of its best. They are upper bounds."))
    }
    if !dominatedFiles.isEmpty {
      blocks.append(
        .note("Another model is at least as fast and as accurate as \(dominatedFiles.joined(separator: ", "))."))
    }
    blocks.append(.figure(frontChart, caption: "Each point is an exported file, run and timed on this device."))
    return blocks
  }

  private var frontChart: XYChart {
    let dominated = Set(dominatedFiles)
    func points(where isWanted: (ModelRecord) -> Bool) -> [XYChart.Point] {
      models.filter(isWanted).map {
        .init(x: $0.measuredMilliseconds, y: 100 * $0.accuracy, label: $0.file.replacing(".onnx", with: ""))
      }
    }
    // The steps say what is to be had at a latency: a model that another is ahead of stands below them.
    let behind = points { dominated.contains($0.file) }
    return XYChart(
      "Accuracy against latency", x: Axis("Measured INT8 latency", unit: "ms", scale: .logarithmic),
      y: Axis("Test images right", unit: "%"),
      series: [.init("Exported models", style: .front, points: points { !dominated.contains($0.file) })]
        + (behind.isEmpty ? [] : [.init("Another is ahead", style: .points, points: behind)]) + handDesignedFronts)
  }

  /// Fronts of the hand-designed spaces that `compare` trained with the same budget; none where it was not run.
  private var handDesignedFronts: [XYChart.Series] {
    var names: [String] = []
    for record in comparison where record.arm.kind == .handDesigned && !names.contains(record.arm.name) {
      names.append(record.arm.name)
    }
    return names.map { name in
      let models = comparison.filter { $0.arm.name == name && $0.repetition == 1 }.flatMap(\.models)
      return .init(
        "All \(name)", style: .lineAndPoints,
        points: MeasuredFront(models).models.map { .init(x: $0.milliseconds, y: 100 * $0.accuracy) })
    }
  }

  private var studySection: ReportPage.Section {
    study.map { StudyReport($0).section } ?? .init("What the device is good at", [])
  }

  private var spaceSection: ReportPage.Section {
    guard let design, let first = design.best.first else { return .init("The search space", []) }
    let figures = SpaceFigures(hyperspace)
    let constraints = design.constraintsMilliseconds.map { NumberText.significant($0) }.joined(separator: ", ")
    let candidates = NumberText.count(design.candidates)
    let evaluated = NumberText.count(design.evaluated)
    let text = """
      Of \(candidates) candidate spaces, \(evaluated) were scored: the Q-T score is the quantised quality of a space's best \
      subnets under a latency, here summed over \(constraints) ms. The best is `\(first.space.encoding)`.
      """
    var blocks: [ReportPage.Block] = [
      .paragraph(text),
      figures.bestSpaces(design.best),
    ]
    if let proof = design.proof { blocks.insert(.paragraph(words(of: proof, best: first)), at: 1) }
    if spaces.count > 1 { blocks.append(figures.evolution(spaces)) }
    if let scorer = designScorer(design) { blocks += figures.subnets(of: first.space, scorer: scorer) }
    if !self.blocks.isEmpty { blocks.append(.details("Losses of the distilled stages", [.table(lossTable)])) }
    return .init("The search space", blocks)
  }

  private func words(of proof: DesignProof, best: QTScore) -> String {
    let gap = 100 * (1 - proof.evolved.score / best.score)
    let evolved =
      proof.isEvolvedBest
      ? "The evolution had found it."
      : "The evolution had ended at `\(proof.evolved.space.encoding)`, \(NumberText.significant(gap)) % below it."
    return """
      That it is the best of all candidates is proven: bounds exclude \
      \(NumberText.count(proof.excludedByTailLoss &+ proof.excludedByShare)) of them, and the other \
      \(NumberText.count(proof.scored)) were scored. \(evolved)
      """
  }

  /// The scorer of the design, from the run's tables; `nil` where they are no longer there.
  private func designScorer(_ design: DesignRecord) -> QTScorer? {
    guard let tables = try? StageTables(folder: tables, hyperspace: hyperspace) else { return nil }
    let fixed = Dictionary(uniqueKeysWithValues: tables.resolutions.map { ($0, design.fixedMilliseconds) })
    return try? QTScorer(
      tables: tables, constraints: design.constraintsMilliseconds.map(LatencyConstraint.init), fixedLatency: fixed)
  }

  private var lossTable: Table {
    let stages = hyperspace.searchedStages.map(\.name)
    let rows = hyperspace.blockTypes.map { type in
      [Table.Cell(type.name)]
        + stages.map { stage in
          guard let record = blocks.first(where: { $0.stage == stage && $0.block == type.name }) else { return "" }
          if record.diverged == true { return "diverged" }
          let float = NumberText.significant(record.floatLoss)
          return Table.Cell("\(NumberText.significant(record.integerLoss)) (\(float))")
        }
    }
    return Table(
      caption: "Noise-to-signal ratio of each stage's largest sub-stage against the teacher, as integers (as floats "
        + "before that).",
      columns: [Column("Block type")] + stages.map { .number($0) }, rows: rows)
  }

  private var searchSection: ReportPage.Section {
    guard !subnets.isEmpty else { return .init("The search of the subnets", []) }
    let steps = configuration.fineTuning.steps
    let text = """
      \(NumberText.count(subnets.count)) subnets of the supernet were evaluated as integers on \
      \(NumberText.count(configuration.search.images)) validation images, which no training saw. \
      \(steps == 0
        ? "The files of the chosen ones are what the supernet trained, and nothing else."
        : "The chosen ones were then trained on their own for \(NumberText.count(steps)) steps; the gain of that is in the table, apart.")
      """
    return .init(
      "The search of the subnets",
      [
        .paragraph(text),
        .figure(
          XYChart(
            "Subnets of the supernet", x: Axis("Predicted INT8 latency", unit: "ms", scale: .logarithmic),
            y: Axis("Validation images right", unit: "%"),
            series: [
              .init(
                "Evaluated", style: .points,
                points: subnets.map { .init(x: $0.predictedMilliseconds, y: 100 * $0.accuracy) }),
              .init(
                steps == 0 ? "Chosen" : "Chosen, before their own training", style: .lineAndPoints,
                points: models.map { .init(x: $0.predictedMilliseconds, y: 100 * $0.supernetAccuracy) }),
            ]), caption: steps == 0 ? "On validation images." : "Before any training of their own."),
        .table(
          Table(
            caption: steps == 0
              ? "The chosen subnets in the supernet and as files."
              : "The chosen subnets before and after their own training.",
            columns: [
              Column("Model"), .number("In the supernet, validation", unit: "%"), .number("File, test", unit: "%"),
              Column("Subnet"),
            ],
            rows: models.map {
              [
                .code($0.file), Table.Cell(NumberText.fixed(100 * $0.supernetAccuracy, decimals: 2)),
                Table.Cell(NumberText.fixed(100 * $0.accuracy, decimals: 2)), .code($0.subnet.encoding),
              ]
            })),
      ])
  }

  private var latencySection: ReportPage.Section {
    guard let predictor else { return .init("Predicted and measured latency", []) }
    return LatencySection(
      predictor: predictor,
      models: models.map { .init(measured: $0.measuredMilliseconds, predicted: $0.predictedMilliseconds) }
    ).section
  }

  private var trainingSection: ReportPage.Section {
    let supernet = training.filter { $0.network == "supernet" }
    guard !supernet.isEmpty else { return .init("Training", []) }
    let floatSteps = supernet.filter { $0.phase == "float" }.map(\.step).max() ?? 0
    let names = Set(supernet.flatMap(\.validation.keys)).sorted()
    let series = names.map { name in
      XYChart.Series(
        name, style: .lineAndPoints,
        points: supernet.compactMap { record in
          record.validation[name].map {
            .init(x: Double(record.step) + (record.phase == "integer" ? Double(floatSteps) : 0), y: 100 * $0)
          }
        })
    }
    let chart = XYChart(
      "Subnets of the supernet while it trains", x: Axis("Steps"), y: Axis("Validation images right", unit: "%"),
      series: series,
      rules: floatSteps > 0 ? [.init(.vertical, at: Double(floatSteps), label: "INT8 from here")] : [])
    var blocks: [ReportPage.Block] = [.figure(chart, caption: "From the line on, every quantiser is in place.")]
    blocks += restartBlocks
    return .init("Training", blocks)
  }

  /// What was trained again because it had collapsed; nothing where nothing had.
  private var restartBlocks: [ReportPage.Block] {
    guard !restarts.isEmpty else { return [] }
    let times = restarts.count == 1 ? "once" : "\(restarts.count) times"
    let note =
      "Training collapsed \(times), went back to the last checkpoint, and on at a lower rate. The curves show what was kept."
    let columns: [Column] = [
      Column("Training"), Column("What was seen"), .number("At step"), .number("Back to step"), .number("Rate"),
    ]
    let rows: [[Table.Cell]] = restarts.map { restart in
      let name = Table.Cell("\(restart.network), \(restart.phase)")
      let numbers: [String] = [
        NumberText.count(restart.step), NumberText.count(restart.resumedFrom),
        NumberText.significant(restart.rateFactor),
      ]
      return [name, Table.Cell(restart.reason)] + numbers.map { Table.Cell($0) }
    }
    let caption = "Restarts, in their order; the rate is a share of the configured one."
    return [.note(note), .table(Table(caption: caption, columns: columns, rows: rows))]
  }

  private var runSection: ReportPage.Section {
    let machine = manifest.machine
    return .init(
      "The run",
      [
        .facts([
          .init("Processor", machine.processor),
          .init("Instruction sets", machine.instructionSets.joined(separator: ", ")),
          .init("Cores", "\(machine.cores)"), .init("System", machine.operatingSystem),
          .init("Seed", "\(configuration.seed)"), .init("Hyperspace", hyperspace.name),
        ]),
        .table(
          Table(
            caption: "Time of each step, in this machine's seconds.",
            columns: [Column("Step"), .number("Time", unit: "s")],
            rows: steps.map { [Table.Cell($0.step), Table.Cell(NumberText.fixed($0.seconds, decimals: 1))] })),
        .details("Configuration", [.code(configuration.text)]),
      ])
  }
}
