import Foundation
import NetworkGraphs
import RunFolders
import SearchSpaces
import TorchTraining

/// One stage with one block type.
struct StageJob {
  /// Index into `Hyperspace.stages`.
  let stage: Int
  /// Index into `Hyperspace.blockTypes`.
  let block: Int
  let distillation: BlockDistillation

  /// Such as `stage2-mbconv`.
  var name: String { "\(distillation.stage.name)-\(distillation.stage.blockType.name)" }

  var largest: BlockDistillation.Substage {
    .init(inputWidth: distillation.inputWidths.last!, blocks: distillation.stage.largestBlocks)
  }

  var smallest: BlockDistillation.Substage {
    .init(inputWidth: distillation.inputWidths.first!, blocks: distillation.stage.smallestBlocks)
  }

  /// A sub-stage with all choices open.
  func randomSubstage(using generator: inout SeededGenerator) -> BlockDistillation.Substage {
    .init(
      inputWidth: generator.choose(distillation.inputWidths),
      blocks: distillation.stage.randomBlocks(using: &generator))
  }

  /// MACs of the largest sub-stage.
  var cost: Int { distillation.graph(largest).cost.macs }
}

/// Trains the sub-stages of a job on the teacher's maps, and judges them.
struct StageTraining {
  let settings: RunConfiguration.Distillation
  let maps: TeacherMaps
  let job: StageJob

  private var distillation: BlockDistillation { job.distillation }

  /// Trains parameters that the sub-stages share, or those of one alone.
  ///
  /// - Parameters:
  ///   - stream: Tells the images of this training from those of others.
  ///   - substages: Of a step; the loss of the first is reported.
  /// - Returns: The mean loss of the last tenth of the steps.
  /// - Throws: `TrainingError` where a loss or gradient is not finite, or the loss grows.
  func train(
    _ store: ParameterStore, steps: Int, rate: Double, precision: Precision, stream: String,
    substages: (_ step: Int) -> [BlockDistillation.Substage]
  ) throws -> Double {
    let names = store.layout.names
    let optimizer = try AdamW(store.tensors(names), settings: store.adamSettings(names, weightDecay: 0))
    let schedule = CosineSchedule(peak: rate, warmUpSteps: steps / 20, totalSteps: steps)
    let count = maps.training[0].shape[0]
    var losses: [Double] = []
    for step in 0..<steps {
      try Interruption.check()
      var generator = SeededGenerator(seed: distillation.seed, stream: "images-\(stream)", step)
      let rows = (0..<settings.batch).map { _ in generator.next(below: count) }
      let contribution = try distillation.contribution(
        of: substages(step), store: store, parameters: optimizer.parameters,
        input: maps.training[job.stage].rows(rows), target: maps.training[job.stage + 1].rows(rows),
        variance: maps.variances[job.stage + 1], precision: precision)
      let report = try optimizer.step(
        gradients: contribution.gradients.sums, learningRate: schedule(step), maximumNorm: 10)
      guard report.isApplied, contribution.loss.isFinite else {
        throw TrainingError("step \(step): the loss is \(contribution.loss)")
      }
      losses.append(contribution.loss)
    }
    let last = losses.suffix(max(1, steps / 10))
    let mean = last.reduce(0, +) / Double(last.count)
    // A student that only knew the teacher's mean would have a loss of 1.
    guard mean <= 2 * max(1, losses[0]) else { throw TrainingError("the loss has grown from \(losses[0]) to \(mean)") }
    return mean
  }

  /// Sets every quantiser's scale by the error on the maps: the largest sub-stage, the smallest, and random ones until
  /// each quantiser was met.
  func calibrate(_ store: ParameterStore) throws {
    var generator = SeededGenerator(seed: distillation.seed, stream: "calibration")
    var graphs = [distillation.graph(job.largest), distillation.graph(job.smallest)]
    func draw() -> NetworkGraph { distillation.graph(job.randomSubstage(using: &generator)) }
    for _ in 0..<4 { graphs.append(draw()) }
    graphs += distillation.layout.covering(draw)
    try calibrate(store, graphs)
  }

  /// The same with given graphs.
  func calibrate(_ store: ParameterStore, _ graphs: [NetworkGraph]) throws {
    let rows = Array(0..<min(128, maps.training[0].shape[0]))
    try store.calibrateQuantizers(graphs: graphs, batches: [maps.training[job.stage].rows(rows)])
  }

  /// The loss that a table has for a sub-stage: with the weights that all share, after `row-steps` of training alone.
  ///
  /// - Parameter stream: Tells the images of those steps; every row of a table sees the same ones, so that luck is the same
  ///   for all.
  func tableLoss(
    _ substage: BlockDistillation.Substage, _ shared: ParameterStore, precision: Precision, stream: String = "row"
  ) throws -> Double {
    guard settings.rowSteps > 0 else { return try loss(substage, shared, precision: precision) }
    let own = try ParameterStore(ParameterLayout([distillation.graph(substage)]), seed: distillation.seed)
    try own.adopt(shared)
    _ = try train(
      own, steps: settings.rowSteps, rate: settings.learningRate / 2, precision: precision, stream: stream
    ) { _ in [substage] }
    return try loss(substage, own, precision: precision)
  }

  /// The loss of a sub-stage on images that trained nothing, with its own batch norm statistics.
  func loss(_ substage: BlockDistillation.Substage, _ store: ParameterStore, precision: Precision) throws -> Double {
    let graph = distillation.graph(substage)
    let half = settings.evaluationImages
    let recalibration = try maps.judging[job.stage].rows(Array(0..<half))
    let rows = Array(half..<2 * half)
    return try withoutGradients { () throws -> Double in
      let statistics = try store.batchNormStatistics(of: graph, precision: precision, batches: [recalibration])
      let output = try store.forward(
        maps.judging[job.stage].rows(rows), through: graph, precision: precision, normalization: .given(statistics))
      return try output.noiseToSignalRatio(
        teacher: maps.judging[job.stage + 1].rows(rows), variance: maps.variances[job.stage + 1]
      ).item()
    }
  }
}
