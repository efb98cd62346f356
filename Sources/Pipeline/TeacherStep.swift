import NetworkGraphs
import RunFolders
import SearchSpaces
import TorchTraining

/// A network of our own, trained in float, whose maps the stages are distilled from.
struct TeacherStep {
  let context: RunContext

  /// Refuses a teacher that does not fit the hyperspace, before anything is begun.
  static func check(_ teacher: RunConfiguration.Teacher, hyperspace: Hyperspace) throws {
    guard hyperspace.blockTypes.contains(where: { $0.name == teacher.block }) else {
      throw TrainingError(
        "teacher.block: \"\(teacher.block)\" is no block type of hyperspace \(hyperspace.name), which has "
          + hyperspace.blockTypes.map(\.name).joined(separator: ", "))
    }
    guard teacher.widths.count == hyperspace.stages.count, teacher.depths.count == hyperspace.stages.count else {
      throw TrainingError(
        "teacher.widths and teacher.depths need one number for each of the \(hyperspace.stages.count) stages of "
          + "hyperspace \(hyperspace.name); they have \(teacher.widths.count) and \(teacher.depths.count)")
    }
  }

  /// The teacher's graph: one block type throughout, with the largest kernel and expansion that the type has.
  func graph() -> NetworkGraph {
    let teacher = context.configuration.teacher
    let hyperspace = context.hyperspace
    guard let type = hyperspace.blockTypes.first(where: { $0.name == teacher.block }) else {
      preconditionFailure("the configuration was checked")
    }
    let stages = zip(teacher.widths, teacher.depths).map { width, depth in
      [BlockChoice](
        repeating: BlockChoice(kernel: type.kernels.last!, width: width, expansion: type.expansions.last),
        count: depth)
    }
    let subnet = Subnet(
      stemKernel: hyperspace.stem.kernel, stemWidth: hyperspace.stem.widths.last!, stages: stages,
      resolution: hyperspace.resolutions.last!)
    return NetworkGraph(
      subnet, choices: hyperspace.stages.map { _ in type }, strides: hyperspace.stages.map(\.stride),
      hyperspace: hyperspace)
  }

  /// Trains the teacher, or goes on with it.
  func run() throws -> ParameterStore {
    let settings = context.configuration.teacher
    let graph = graph()
    let store = try ParameterStore(ParameterLayout([graph]), seed: context.seed(for: "teacher"))
    let training = CheckpointedTraining(
      context: context, network: "teacher", phase: "float", steps: settings.steps,
      epoch: max(1, settings.steps / 6), batch: settings.batch)
    if try training.isFinished(store) { return store }
    let progress = try context.display.begin(
      "Train the teacher", unit: "steps", total: settings.steps, alreadyDone: training.stepsDone)
    defer { progress.finish() }
    let optimizer = try context.sgd(store)
    let loop = TrainingLoop(
      pool: context.pool,
      schedule: CosineSchedule(
        peak: settings.learningRate, warmUpSteps: settings.steps / 20, totalSteps: settings.steps),
      maximumNorm: 5)
    let classifier = ClassifierTraining(graph: graph, labelSmoothing: 0.1, precision: .float)
    try training.run(store: store, optimizer: optimizer, loop: loop, progress: progress) { _, _, batch in
      try classifier.contribution(store: store, parameters: optimizer.parameters, batch: batch)
    } validate: {
      ["teacher": try context.evaluator(images: 1_000).accuracy(of: graph, store, precision: .float)]
    }
    return store
  }
}
