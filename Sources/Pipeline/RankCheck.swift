import DeviceLatency
import Foundation
import NetworkGraphs
import RunFolders
import SearchSpaces
import TorchTraining

/// Whether the stage tables rank sub-stages as training each alone does.
///
/// For some pairs of a stage and a block type sub-stages are drawn over all widths; each is judged with the shared
/// weights of the distillation, as the tables' rows were, and is then trained alone from nothing.
public struct RankCheck {
  public struct Settings: Hashable, Sendable {
    /// Pairs of a stage and a block type, spread over both.
    public var pairs: Int
    public var substages: Int
    /// Of each sub-stage trained alone, in float and then with every quantiser in place.
    public var floatSteps: Int
    public var integerSteps: Int

    public init(pairs: Int = 4, substages: Int = 12, floatSteps: Int = 300, integerSteps: Int = 100) {
      self.pairs = pairs
      self.substages = substages
      self.floatSteps = floatSteps
      self.integerSteps = integerSteps
    }
  }

  /// Spearman's rank correlations of one pair, each with the loss of training alone.
  public struct Agreement: Hashable, Sendable, Codable {
    public var stage: String
    public var block: String
    public var substages: Int
    public var float: Double
    public var integer: Double
    /// What ranking by size alone would give, of the integer losses: the larger the better.
    public var macs: Double
    public var parameters: Double

    init(_ records: [RankRecord]) {
      stage = records[0].stage
      block = records[0].block
      substages = records.count
      let alone = records.map(\.aloneInteger)
      float = Statistics.spearmanRho(records.map(\.sharedFloat), records.map(\.aloneFloat))
      integer = Statistics.spearmanRho(records.map(\.sharedInteger), alone)
      macs = -Statistics.spearmanRho(records.map(\.megaMACs), alone)
      parameters = -Statistics.spearmanRho(records.map(\.megaParameters), alone)
    }
  }

  let step: DistillationStep
  let settings: Settings
  let log: RecordLog<RankRecord>
  let known: [RankRecord]

  func run() throws -> [Agreement] {
    let jobs = chosenJobs()
    let work = jobs.flatMap { job in (0..<settings.substages).map { (job: job, index: $0) } }
    let open = work.filter { record($0.job, $0.index, in: known) == nil }
    let progress = step.display.begin(
      "Train sub-stages alone", unit: "sub-stages", total: work.count, alreadyDone: work.count - open.count)
    defer { progress.finish() }
    if !open.isEmpty {
      let maps = try step.maps()
      try step.pool.forEach(open.count) { index in
        try Interruption.check()
        let record = try compare(
          StageTraining(settings: step.configuration.distillation, maps: maps, job: open[index].job), open[index].index)
        try log.append(record)
        progress.advance(detail: "\(record.stage) \(record.block)")
      }
    }
    let all = try RecordLog<RankRecord>.all(step.paths.recordFile("ranks"))
    return jobs.map { job in
      Agreement((0..<settings.substages).compactMap { record(job, $0, in: all) })
    }
  }

  private func record(_ job: StageJob, _ index: Int, in records: [RankRecord]) -> RankRecord? {
    records.first {
      $0.stage == job.distillation.stage.name && $0.block == job.distillation.stage.blockType.name && $0.index == index
    }
  }

  /// Pairs in which stages and block types take turns.
  private func chosenJobs() -> [StageJob] {
    let jobs = step.jobs()
    let stages = Array(Set(jobs.map(\.stage))).sorted()
    let blocks = step.hyperspace.blockTypes.count
    let count = min(settings.pairs, jobs.count)
    return (0..<count).compactMap { turn in
      let stage = stages[turn % stages.count]
      let block = (turn + turn / stages.count) % blocks
      return jobs.first { $0.stage == stage && $0.block == block }
    }
  }

  private func compare(_ training: StageTraining, _ index: Int) throws -> RankRecord {
    let job = training.job
    let distillation = job.distillation
    var generator = SeededGenerator(seed: distillation.seed, stream: "rank-check", index)
    let substage = job.randomSubstage(using: &generator)
    func shared(_ precision: Precision) throws -> Double {
      let url = step.checkpoint(job, precision)
      let file = try Safetensors(contentsOf: url)
      guard !file.tensors.isEmpty else {
        throw TrainingError(
          "\(distillation.stage.name) with \(distillation.stage.blockType.name) diverged, so its tables rank nothing")
      }
      return try training.loss(
        substage, ParameterStore(distillation.layout, from: file), precision: precision)
    }
    let graph = distillation.graph(substage)
    let alone = try ParameterStore(ParameterLayout([graph]), seed: generator.next())
    let rate = training.settings.learningRate
    _ = try training.train(
      alone, steps: settings.floatSteps, rate: rate, precision: .float, stream: "alone-\(index)"
    ) { _ in [substage] }
    let aloneFloat = try training.loss(substage, alone, precision: .float)
    try training.calibrate(alone, [graph])
    _ = try training.train(
      alone, steps: settings.integerSteps, rate: rate / 4, precision: .quantized, stream: "alone-quantized-\(index)"
    ) { _ in [substage] }
    let input = training.maps.shape(job.stage)
    let cost = NetworkGraph(
      stage: distillation.stage.name, distillation.stage.blockType,
      input: .init(channels: substage.inputWidth, height: input.height, width: input.width), blocks: substage.blocks,
      stride: distillation.stage.stride
    ).cost
    return RankRecord(
      stage: distillation.stage.name, block: distillation.stage.blockType.name, index: index,
      inputWidth: substage.inputWidth, megaMACs: Double(cost.macs) / 1e6,
      megaParameters: Double(cost.parameters) / 1e6, sharedFloat: try shared(.float),
      sharedInteger: try shared(.quantized), aloneFloat: aloneFloat,
      aloneInteger: try training.loss(substage, alone, precision: .quantized))
  }
}
