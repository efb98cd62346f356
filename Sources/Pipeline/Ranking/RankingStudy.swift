import DeviceLatency
import Foundation
import NetworkGraphs
import RunFolders
public import SearchSpaces
import SpaceEvolution
import TorchTraining

/// Do the sum of a subnet's stage losses and its accuracy in the supernet rank subnets as training each alone does?
///
/// Random subnets are judged in every way; some of them are trained alone, from nothing, in float and then with every
/// quantiser in place. MACs, parameters and latency, which cost nothing, stand beside the costly ways.
struct RankingStudy {
  /// Where the subnets are drawn.
  enum Population: String, Sendable {
    /// In the space found, whose supernet judges them too.
    case spaceFound
    /// In random spaces of the whole hyperspace: whether losses rank block types, by which a space is designed. There is no
    /// supernet of all of it.
    case hyperspace

    /// Of records and checkpoints.
    var prefix: String {
      switch self {
      case .spaceFound: "ranking"
      case .hyperspace: "ranking-hyperspace"
      }
    }
  }

  struct Settings: Hashable, Sendable {
    var population: Population
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
    let candidates = drawn()
    return RankingResult(
      subnets: try judged(candidates), alone: try alone(Array(candidates.prefix(settings.alone))), steps: settings.steps
    )
  }

  /// Random subnets, none twice; a larger number begins with those of a smaller.
  private func drawn() -> [SubnetOfSpace] {
    var generator = SeededGenerator(
      seed: context.configuration.seed, stream: "\(settings.population.prefix)-subnets")
    var candidates: [SubnetOfSpace] = []
    var known = Set<SubnetOfSpace>()
    // A space may have fewer subnets than are asked for.
    for _ in 0..<20 * settings.subnets where candidates.count < settings.subnets {
      let space =
        switch settings.population {
        case .spaceFound: space
        case .hyperspace: context.hyperspace.randomSpace(using: &generator)
        }
      let candidate = SubnetOfSpace(space: space, subnet: context.hyperspace.randomSubnet(of: space, using: &generator))
      if known.insert(candidate).inserted { candidates.append(candidate) }
    }
    return candidates
  }

  // MARK: - By stage losses and by the supernet

  private func judged(_ candidates: [SubnetOfSpace]) throws -> [RankedSubnet] {
    func candidate(_ record: RankedSubnet) -> SubnetOfSpace {
      .init(space: record.space ?? space, subnet: record.subnet)
    }
    let name = "\(settings.population.prefix)-subnets"
    var done = Set<SubnetOfSpace>()
    let log = try context.folder.records(name) { (record: RankedSubnet) in done.insert(candidate(record)) }
    let open = candidates.filter { !done.contains($0) }
    if !open.isEmpty {
      let supernet = settings.population == .spaceFound ? try supernet() : nil
      let evaluator = try context.evaluator(images: context.configuration.data.validationImages)
      let losses = try StageLosses(of: Set(open.map(\.space)), distillation: distillation, context: context)
      let progress = context.display.begin(
        supernet == nil ? "Judge subnets by stage losses" : "Judge subnets by stage losses and by the supernet",
        unit: "subnets", total: candidates.count, alreadyDone: candidates.count - open.count)
      defer { progress.finish() }
      try context.pool.forEach(open.count) { position in
        try Interruption.check()
        let (space, subnet) = (open[position].space, open[position].subnet)
        let graph = context.graph(subnet, of: space)
        let record = RankedSubnet(
          space: space, subnet: subnet, cost: graph.cost, predictedMilliseconds: predictor.milliseconds(of: graph),
          stageLosses: try losses(of: subnet, in: space),
          supernetAccuracy: try supernet.map { try evaluator.accuracy(of: graph, $0, precision: .quantized) })
        try log.append(record)
        progress.advance()
      }
    }
    let records = try RecordLog<RankedSubnet>.all(context.folder.paths.recordFile(name))
    return candidates.compactMap { wanted in records.first { candidate($0) == wanted } }
  }

  /// That of a comparison, where there is one: it is the same.
  private func supernet() throws -> ParameterStore {
    let path = "comparison/found-1"
    let folder = context.folder.paths.root.appending(path: path).path(percentEncoded: false)
    let context = FileManager.default.fileExists(atPath: folder) ? try context.inside(path) : context
    return try SupernetStep(context: context, space: space).run()
  }

  // MARK: - Alone

  private func alone(_ candidates: [SubnetOfSpace]) throws -> [AloneRecord] {
    struct Work: Hashable {
      let candidate: SubnetOfSpace
      let repetition: Int
    }
    func work(_ record: AloneRecord) -> Work {
      Work(
        candidate: .init(space: record.space ?? space, subnet: record.subnet), repetition: record.repetition)
    }
    let prefix = settings.population.prefix
    var done = Set<Work>()
    let log = try context.folder.records("\(prefix)-alone") { (record: AloneRecord) in
      if record.steps == settings.steps { done.insert(work(record)) }
    }
    let all = (1...max(1, settings.repetitions)).flatMap { repetition in
      candidates.map { Work(candidate: $0, repetition: repetition) }
    }
    let open = all.filter { !done.contains($0) }
    if !open.isEmpty {
      let context = try context.inside(prefix)
      let evaluator = try context.evaluator(images: context.configuration.data.validationImages)
      let progress = context.display.begin(
        "Train subnets alone", unit: "networks", total: all.count, alreadyDone: all.count - open.count)
      defer { progress.finish() }
      try context.pool.forEach(open.count) { position in
        try Interruption.check()
        let work = open[position]
        let index = candidates.firstIndex(of: work.candidate)!
        let accuracy = try accuracyAlone(
          work.candidate, name: "alone-\(index + 1)-\(work.repetition)", context, evaluator)
        try log.append(
          AloneRecord(
            space: work.candidate.space, subnet: work.candidate.subnet, repetition: work.repetition,
            steps: settings.steps, accuracy: accuracy))
        progress.advance()
      }
    }
    let records = try RecordLog<AloneRecord>.all(self.context.folder.paths.recordFile("\(prefix)-alone"))
    return all.compactMap { wanted in records.first { $0.steps == settings.steps && work($0) == wanted } }
  }

  /// The accuracy of a subnet's integers after a training from nothing, with the supernet's batch and rates.
  private func accuracyAlone(
    _ candidate: SubnetOfSpace, name: String, _ context: RunContext, _ evaluator: SubnetEvaluator
  ) throws -> Double {
    let rates = context.configuration.supernet
    let graph = context.graph(candidate.subnet, of: candidate.space)
    let store = try ParameterStore(ParameterLayout([graph]), seed: context.seed(for: name))
    func train(_ phase: String, _ steps: Int, _ rate: Double, _ precision: Precision) throws {
      // The steps are part of the name: another number of them is another training.
      let training = CheckpointedTraining(
        context: context, network: "\(name)-\(settings.steps)", phase: phase, steps: steps, epoch: steps,
        batch: rates.batch,
        rateKey: precision == .quantized ? "supernet.integer-learning-rate" : "supernet.learning-rate",
        space: candidate.space)
      if try training.isFinished(store) { return }
      if precision == .quantized {
        let images = try context.data.plainBatch(
          context.data.trainingSample(RunData.calibrationImages, stream: "calibration")[...]
        ).images
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
  ///   - acrossSpaces: Draws the subnets in random spaces of the hyperspace, where no supernet judges them, instead of the
  ///     space found.
  public func ranking(
    subnets: Int, alone: Int, repetitions: Int, steps: Int, acrossSpaces: Bool = false
  ) throws -> RankingAgreements {
    try requireOneProcess("ranking")
    try through(.design)
    let predictor = try ProfileStep(context: context).run()
    let design = try DesignStep(context: context, predictor: predictor).run()
    return try explaining("ranking") {
      let study = try RankingStudy(
        context: context, predictor: predictor, distillation: distillationStep(), space: design.best[0].space,
        settings: .init(
          population: acrossSpaces ? .hyperspace : .spaceFound, subnets: subnets, alone: alone,
          repetitions: repetitions, steps: steps))
      return RankingAgreements(try study.run())
    }
  }
}

/// A subnet that was trained alone.
public struct AloneRecord: Codable, Hashable, Sendable {
  /// Records of earlier versions have none: the space found.
  public var space: SearchSpace?
  public var subnet: Subnet
  public var repetition: Int
  /// In float; a quarter as many followed with every quantiser in place.
  public var steps: Int
  /// Share of the validation images named right, as integers.
  public var accuracy: Double
}
