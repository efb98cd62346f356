import DeviceLatency
import Foundation
import NetworkGraphs
import RunFolders
public import SearchSpaces
import SpaceEvolution
import TorchTraining

/// Do the sum of a subnet's stage losses and its accuracy in the supernet rank subnets as training each alone does?
///
/// Random subnets of the space found are judged in every way; some of them are trained alone, from nothing, in float and
/// then with every quantiser in place. MACs, parameters and latency, which cost nothing, stand beside the costly ways.
struct RankingStudy {
  struct Settings: Hashable, Sendable {
    /// Subnets judged by stage losses and by the supernet.
    var subnets: Int
    /// The first so many of them are also trained alone.
    var alone: Int
    /// Trainings of each of those, with other initial weights and images.
    var repetitions: Int
    /// Float steps of a network trained alone; a quarter as many follow with every quantiser in place.
    var steps: Int
  }

  /// The run's.
  let context: RunContext
  let predictor: LatencyPredictor
  let distillation: DistillationStep
  let space: SearchSpace
  let settings: Settings

  func run() throws -> RankingResult {
    let subnets = drawn()
    return RankingResult(
      subnets: try judged(subnets), alone: try alone(Array(subnets.prefix(settings.alone))), steps: settings.steps)
  }

  /// Random subnets, none twice; a larger number begins with those of a smaller.
  private func drawn() -> [Subnet] {
    var generator = SeededGenerator(seed: context.configuration.seed, stream: "ranking-subnets")
    var subnets: [Subnet] = []
    var known = Set<Subnet>()
    // A space may have fewer subnets than are asked for.
    for _ in 0..<20 * settings.subnets where subnets.count < settings.subnets {
      let subnet = context.hyperspace.randomSubnet(of: space, using: &generator)
      if known.insert(subnet).inserted { subnets.append(subnet) }
    }
    return subnets
  }

  // MARK: - By stage losses and by the supernet

  private func judged(_ subnets: [Subnet]) throws -> [RankedSubnet] {
    var done: [Subnet: RankedSubnet] = [:]
    let log = try context.folder.records("ranking-subnets") { (record: RankedSubnet) in done[record.subnet] = record }
    let open = subnets.filter { done[$0] == nil }
    if !open.isEmpty {
      let supernet = try supernet()
      let evaluator = try context.evaluator(images: context.configuration.data.validationImages)
      let maps = try distillation.maps()
      let stages = try stages(maps)
      let progress = context.display.begin(
        "Judge subnets by stage losses and by the supernet", unit: "subnets", total: subnets.count,
        alreadyDone: subnets.count - open.count)
      defer { progress.finish() }
      try context.pool.forEach(open.count) { position in
        try Interruption.check()
        let graph = context.graph(open[position], of: space)
        let record = RankedSubnet(
          subnet: open[position], macs: graph.cost.macs, parameters: graph.cost.parameters,
          predictedMilliseconds: predictor.milliseconds(of: graph),
          stageLosses: try stages.map { try $0.loss(of: open[position]) },
          supernetAccuracy: try evaluator.accuracy(of: graph, supernet, precision: .quantized))
        try log.append(record)
        progress.advance()
      }
    }
    let records = try RecordLog<RankedSubnet>.all(context.folder.paths.recordFile("ranking-subnets"))
    return subnets.compactMap { subnet in records.first { $0.subnet == subnet } }
  }

  /// That of a comparison, where there is one: it is the same.
  private func supernet() throws -> ParameterStore {
    let path = "comparison/found-1"
    let folder = context.folder.paths.root.appending(path: path).path(percentEncoded: false)
    let context = FileManager.default.fileExists(atPath: folder) ? try context.inside(path) : context
    return try SupernetStep(context: context, space: space).run()
  }

  /// One searched stage with the block type that the space has there, and what the distillation left of it.
  private struct Stage {
    let index: Int
    let training: StageTraining
    let store: ParameterStore

    /// As a row of the stage tables would have it.
    func loss(of subnet: Subnet) throws -> Double {
      let inputWidth = index == 0 ? subnet.stemWidth : subnet.stages[index - 1].last!.width
      return try training.tableLoss(
        .init(inputWidth: inputWidth, blocks: subnet.stages[index]), store, precision: .quantized)
    }
  }

  private func stages(_ maps: TeacherMaps) throws -> [Stage] {
    let searched = context.hyperspace.stages.indices.filter { context.hyperspace.stages[$0].isSearched }
    return try zip(searched, space.blockTypes).map { index, block in
      let job = distillation.jobs().first { $0.stage == index && $0.block == block }!
      let training = StageTraining(settings: context.configuration.distillation, maps: maps, job: job)
      let file = distillation.checkpoint(job, .quantized)
      return Stage(
        index: index, training: training,
        store: try ParameterStore(job.distillation.layout, from: Safetensors(contentsOf: file)))
    }
  }

  // MARK: - Alone

  private func alone(_ subnets: [Subnet]) throws -> [AloneRecord] {
    var done = Set<AloneRecord>()
    let log = try context.folder.records("ranking-alone") { (record: AloneRecord) in
      if record.steps == settings.steps { done.insert(record) }
    }
    let work = (1...max(1, settings.repetitions)).flatMap { repetition in subnets.map { (repetition, $0) } }
    let open = work.indices.filter { index in
      !done.contains { $0.repetition == work[index].0 && $0.subnet == work[index].1 }
    }
    if !open.isEmpty {
      let context = try context.inside("ranking")
      let evaluator = try context.evaluator(images: context.configuration.data.validationImages)
      let progress = context.display.begin(
        "Train subnets alone", unit: "networks", total: work.count, alreadyDone: work.count - open.count)
      defer { progress.finish() }
      try context.pool.forEach(open.count) { position in
        try Interruption.check()
        let (repetition, subnet) = work[open[position]]
        let index = subnets.firstIndex(of: subnet)!
        let accuracy = try accuracyAlone(subnet, name: "alone-\(index + 1)-\(repetition)", context, evaluator)
        try log.append(
          AloneRecord(subnet: subnet, repetition: repetition, steps: settings.steps, accuracy: accuracy))
        progress.advance()
      }
    }
    let records = try RecordLog<AloneRecord>.all(self.context.folder.paths.recordFile("ranking-alone"))
    return work.compactMap { repetition, subnet in
      records.first { $0.repetition == repetition && $0.subnet == subnet && $0.steps == settings.steps }
    }
  }

  /// The accuracy of a subnet's integers after a training from nothing, with the supernet's batch and rates.
  private func accuracyAlone(
    _ subnet: Subnet, name: String, _ context: RunContext, _ evaluator: SubnetEvaluator
  ) throws -> Double {
    let rates = context.configuration.supernet
    let graph = context.graph(subnet, of: space)
    let store = try ParameterStore(ParameterLayout([graph]), seed: context.seed(for: name))
    func train(_ phase: String, _ steps: Int, _ rate: Double, _ precision: Precision) throws {
      // The steps are part of the name: another number of them is another training.
      let training = CheckpointedTraining(
        context: context, network: "\(name)-\(settings.steps)", phase: phase, steps: steps, epoch: steps,
        batch: rates.batch,
        rateKey: precision == .quantized ? "supernet.integer-learning-rate" : "supernet.learning-rate", space: space)
      if try training.isFinished(store) { return }
      if precision == .quantized {
        let images = try context.data.plainBatch(context.data.trainingSample(128, stream: "calibration")[...]).images
        try store.calibrateQuantizers(graphs: [graph], batches: [images])
      }
      let optimizer = try context.sgd(store)
      let loop = context.loop(nil, learningRate: rate, steps: steps)
      let classifier = ClassifierTraining(graph: graph, labelSmoothing: rates.labelSmoothing, precision: precision)
      try training.run(store: store, optimizer: optimizer, loop: loop, progress: nil) { _, _, batch in
        try classifier.contribution(store: store, parameters: optimizer.parameters, batch: batch)
      } validate: {
        [:]
      }
    }
    try train("float", settings.steps, rates.learningRate, .float)
    try train("integer", max(1, settings.steps / 4), rates.integerLearningRate, .quantized)
    return try evaluator.accuracy(of: graph, store, precision: .quantized)
  }
}

extension Run {
  /// All steps up to the design, and then whether stage losses and the supernet rank subnets as training each alone does.
  ///
  /// - Parameters:
  ///   - subnets: Judged by stage losses and by the supernet.
  ///   - alone: How many of them are also trained alone.
  ///   - repetitions: Trainings of each of those.
  ///   - steps: Of each, in float; a quarter as many follow with every quantiser in place.
  public func ranking(subnets: Int, alone: Int, repetitions: Int, steps: Int) throws -> RankingAgreements {
    try requireOneProcess("ranking")
    try through(.design)
    let predictor = try ProfileStep(context: context).run()
    let design = try DesignStep(context: context, predictor: predictor).run()
    return try explaining("ranking") {
      let study = try RankingStudy(
        context: context, predictor: predictor, distillation: distillationStep(), space: design.best[0].space,
        settings: .init(subnets: subnets, alone: alone, repetitions: repetitions, steps: steps))
      return RankingAgreements(try study.run())
    }
  }
}

/// A subnet of the space found, judged without training it.
public struct RankedSubnet: Codable, Hashable, Sendable {
  public var subnet: Subnet
  public var macs: Int
  public var parameters: Int
  public var predictedMilliseconds: Double
  /// Noise-to-signal ratio of each searched stage's part of the subnet, as the stage tables have them.
  public var stageLosses: [Double]
  /// Share of the validation images named right in the supernet, as integers.
  public var supernetAccuracy: Double
}

/// A subnet that was trained alone.
public struct AloneRecord: Codable, Hashable, Sendable {
  public var subnet: Subnet
  public var repetition: Int
  /// In float; a quarter as many followed with every quantiser in place.
  public var steps: Int
  /// Share of the validation images named right, as integers.
  public var accuracy: Double
}
