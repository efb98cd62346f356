import Datasets
import NetworkGraphs
import RunFolders
import SearchSpaces
import TorchTraining

/// The quantised-for-all supernet of a search space: a float phase, then an integer phase from it.
struct SupernetStep {
  let context: RunContext
  let space: SearchSpace

  func run() throws -> ParameterStore {
    let settings = context.configuration.supernet
    let hyperspace = context.hyperspace
    let store = try ParameterStore(ParameterLayout(space, in: hyperspace), seed: context.seed(for: "supernet"))
    let supernet = SupernetTraining(
      hyperspace: hyperspace, space: space,
      settings: .init(
        randomSubnets: settings.randomSubnets, smallestInEveryStep: settings.smallestInEveryStep,
        labelSmoothing: settings.labelSmoothing, dropout: settings.dropout, divergence: settings.divergence,
        labelShare: settings.labelShare),
      seed: context.seed(for: "supernet"))
    var integer = training("integer", steps: settings.integerSteps)
    if try integer.isFinished(store) { return store }

    let float = training("float", steps: settings.floatSteps)
    if try !float.isFinished(store) {
      try train(float, supernet, store, rate: settings.learningRate, precision: .float)
    }
    if try context.fromLeader({ !integer.isBegun }) {
      context.display.note("Set the quantisers of the supernet")
      try calibrate(store)
    }
    integer.earlier = try context.fromLeader { try float.bestAccuracies }
    try train(integer, supernet, store, rate: settings.integerLearningRate, precision: .quantized)
    return store
  }

  private static let validationImages = 512

  private func training(_ phase: String, steps: Int) -> CheckpointedTraining {
    let settings = context.configuration.supernet
    let judges = SubnetEvaluator.validation(context.data, images: Self.validationImages)
    return CheckpointedTraining(
      context: context, network: "supernet", phase: phase, steps: steps, epoch: settings.epoch, batch: settings.batch,
      rateKey: "supernet.\(phase == "float" ? "" : "integer-")learning-rate", space: space,
      collapse: CollapseCheck(
        labels: judges.map { Int(context.data.training.labels[$0]) }, classes: context.hyperspace.classes,
        names: ["smallest", "largest"], warmUpSteps: context.warmUpSteps(steps)))
  }

  private func train(
    _ training: CheckpointedTraining, _ supernet: SupernetTraining, _ store: ParameterStore, rate: Double,
    precision: Precision
  ) throws {
    let progress = try context.display.begin(
      "Train the supernet, \(precision == .quantized ? "INT8" : "float")", unit: "steps", total: training.steps,
      alreadyDone: training.stepsDone)
    defer { progress.finish() }
    let optimizer = try context.sgd(store)
    let loop = context.loop(context.pool, learningRate: rate, steps: training.steps)
    let offset = precision == .quantized ? context.configuration.supernet.floatSteps : 0
    try training.run(store: store, optimizer: optimizer, loop: loop, progress: progress) { step, worker, batch in
      try supernet.contribution(
        graphs: supernet.graphs(step: offset + step), step: offset + step, worker: worker, store: store,
        parameters: optimizer.parameters, batch: batch,
        precision: precision)
    } validate: {
      try validate(store, precision: precision)
    }
  }

  /// Accuracies of the largest subnet, the smallest and two fixed random ones.
  private func validate(_ store: ParameterStore, precision: Precision) throws -> [String: Double] {
    let hyperspace = context.hyperspace
    var generator = SeededGenerator(seed: context.configuration.seed, stream: "validation-subnets")
    let subnets = [
      ("largest", hyperspace.largestSubnet(of: space)), ("smallest", hyperspace.smallestSubnet(of: space)),
      ("random 1", hyperspace.randomSubnet(of: space, using: &generator)),
      ("random 2", hyperspace.randomSubnet(of: space, using: &generator)),
    ]
    let evaluator = try context.evaluator(images: Self.validationImages)
    let accuracies = try context.shared(subnets.count) { index in
      let graph = try NetworkGraph(subnets[index].1, of: space, in: hyperspace)
      return try evaluator.accuracy(of: graph, store, precision: precision)
    }
    return Dictionary(uniqueKeysWithValues: zip(subnets.map(\.0), accuracies))
  }

  /// Sets every quantiser's scale from training images.
  private func calibrate(_ store: ParameterStore) throws {
    let hyperspace = context.hyperspace
    var generator = SeededGenerator(seed: context.configuration.seed, stream: "calibration-subnets")
    func draw() throws -> NetworkGraph {
      try NetworkGraph(hyperspace.randomSubnet(of: space, using: &generator), of: space, in: hyperspace)
    }
    var graphs = [
      try NetworkGraph(hyperspace.largestSubnet(of: space), of: space, in: hyperspace),
      try NetworkGraph(hyperspace.smallestSubnet(of: space), of: space, in: hyperspace),
    ]
    for _ in 0..<6 { graphs.append(try draw()) }
    graphs += try ParameterLayout(space, in: hyperspace).covering(draw)
    let images = try context.data.plainBatch(
      context.data.trainingSample(RunData.calibrationImages, stream: "calibration")[...]
    ).images
    try store.calibrateQuantizers(graphs: graphs, batches: [images])
  }
}
