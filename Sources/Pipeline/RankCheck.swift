import DeviceLatency
import Foundation
import NetworkGraphs
import RunFolders
import SearchSpaces
import Synchronization
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

  let step: DistillationStep
  let settings: Settings
  let log: RecordLog<RankRecord>
  let known: [RankRecord]

  func run() throws -> Result {
    let maps = try step.maps()
    let trainings = chosenJobs().map {
      StageTraining(settings: step.configuration.distillation, maps: maps, job: $0)
    }
    try trainAlone(trainings)
    let records = try RecordLog<RankRecord>.all(step.paths.recordFile("ranks"))
    let progress = step.display.begin(
      "Judge them with shared weights", unit: "sub-stages", total: trainings.count * settings.substages)
    defer { progress.finish() }
    return Result(
      try trainings.map { training in
        let chosen = (0..<settings.substages).compactMap { record(training.job, $0, in: records) }
        return (training.job, try rows(training, chosen, progress))
      })
  }

  /// Trains the sub-stages that are not on record, several side by side.
  private func trainAlone(_ trainings: [StageTraining]) throws {
    let work = trainings.flatMap { training in (0..<settings.substages).map { (training: training, index: $0) } }
    let open = work.filter { record($0.training.job, $0.index, in: known) == nil }
    let progress = step.display.begin(
      "Train sub-stages alone", unit: "sub-stages", total: work.count, alreadyDone: work.count - open.count)
    defer { progress.finish() }
    try step.pool.forEach(open.count) { index in
      try Interruption.check()
      let record = try alone(open[index].training, open[index].index)
      try log.append(record)
      progress.advance(detail: "\(record.stage) \(record.block)")
    }
  }

  private func record(_ job: StageJob, _ index: Int, in records: [RankRecord]) -> RankRecord? {
    records.first {
      $0.stage == job.distillation.stage.name && $0.block == job.distillation.stage.blockType.name && $0.index == index
        && $0.floatSteps == settings.floatSteps && $0.integerSteps == settings.integerSteps
    }
  }

  /// Pairs in which stages and block types take turns.
  private func chosenJobs() -> [StageJob] {
    let jobs = step.jobs()
    let stages = Array(Set(jobs.map(\.stage))).sorted()
    let blocks = step.hyperspace.blockTypes.count
    // Each round takes every stage, with the block type after that of the round before.
    let pairs = (0..<blocks).flatMap { round in
      stages.indices.compactMap { index in
        jobs.first { $0.stage == stages[index] && $0.block == (index + round) % blocks }
      }
    }
    return Array(pairs.prefix(settings.pairs))
  }

  private func substage(_ job: StageJob, _ index: Int) -> BlockDistillation.Substage {
    var generator = SeededGenerator(seed: job.distillation.seed, stream: "rank-check", index)
    return job.randomSubstage(using: &generator)
  }

  /// Trains a sub-stage from nothing, in float and then with every quantiser in place.
  private func alone(_ training: StageTraining, _ index: Int) throws -> RankRecord {
    let distillation = training.job.distillation
    let substage = substage(training.job, index)
    let graph = distillation.graph(substage)
    let store = try ParameterStore(ParameterLayout([graph]), seed: distillation.seed &+ UInt64(index))
    let rate = training.settings.learningRate
    _ = try training.train(
      store, steps: settings.floatSteps, rate: rate, precision: .float, stream: "alone-\(index)"
    ) { _ in [substage] }
    let float = try training.loss(substage, store, precision: .float)
    try training.calibrate(store, [graph])
    _ = try training.train(
      store, steps: settings.integerSteps, rate: rate / 4, precision: .quantized, stream: "alone-quantized-\(index)"
    ) { _ in [substage] }
    return RankRecord(
      stage: distillation.stage.name, block: distillation.stage.blockType.name, index: index,
      floatSteps: settings.floatSteps, integerSteps: settings.integerSteps, float: float,
      integer: try training.loss(substage, store, precision: .quantized))
  }

  /// The same sub-stages with the weights that the tables' rows were judged with.
  private func rows(
    _ training: StageTraining, _ records: [RankRecord], _ progress: StepProgress
  ) throws -> [Row] {
    let job = training.job
    let distillation = job.distillation
    func shared(_ precision: Precision) throws -> ParameterStore {
      let file = try Safetensors(contentsOf: step.checkpoint(job, precision))
      guard !file.tensors.isEmpty else {
        throw TrainingError(
          "\(distillation.stage.name) with \(distillation.stage.blockType.name) diverged, so its tables rank nothing")
      }
      do throws(TorchError) { return try ParameterStore(distillation.layout, from: file) } catch {
        throw TrainingError(
          "\(step.checkpoint(job, precision).path(percentEncoded: false)) is of another stage or hyperspace: \(error)")
      }
    }
    let (float, integer) = (try shared(.float), try shared(.quantized))
    let input = training.maps.shape(job.stage)
    let rows = Mutex([Row?](repeating: nil, count: records.count))
    try step.pool.forEach(records.count) { index in
      let record = records[index]
      let substage = substage(job, record.index)
      let graph = NetworkGraph(
        stage: distillation.stage.name, distillation.stage.blockType,
        input: .init(channels: substage.inputWidth, height: input.height, width: input.width), blocks: substage.blocks,
        stride: distillation.stage.stride)
      let row = Row(
        alone: record, sharedFloat: try training.tableLoss(substage, float, precision: .float),
        sharedInteger: try training.tableLoss(substage, integer, precision: .quantized),
        repeatedInteger: try training.tableLoss(substage, integer, precision: .quantized, stream: "row again"),
        megaMACs: Double(graph.cost.macs) / 1e6, megaParameters: Double(graph.cost.parameters) / 1e6,
        milliseconds: step.predictor.stageMilliseconds(of: graph))
      rows.withLock { $0[index] = row }
      progress.advance()
    }
    return rows.withLock { $0.compactMap(\.self) }
  }
}
