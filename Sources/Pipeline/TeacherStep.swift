import Datasets
import Foundation
import NetworkGraphs
import RunFolders
import SearchSpaces
import TorchTraining

/// The network whose maps the stages are distilled from, trained in float on the run's images: one of our own, or a
/// published one with its ImageNet weights.
struct TeacherStep {
  let context: RunContext

  /// Refuses a teacher that does not fit the hyperspace, before anything is begun.
  static func check(_ teacher: RunConfiguration.Teacher, hyperspace: Hyperspace) throws {
    _ = try network(teacher, hyperspace: hyperspace)
    if case .efficientNetLite(let variant) = teacher.network {
      let path = weights(variant).path(percentEncoded: false)
      guard FileManager.default.isReadableFile(atPath: path) else {
        throw TrainingError(
          "\(path): there is no such file that can be read; `make setup` fetches the teachers' weights")
      }
    }
  }

  private static func network(
    _ teacher: RunConfiguration.Teacher, hyperspace: Hyperspace
  ) throws -> TeacherNetwork {
    switch teacher.network {
    case .own(let block, let widths, let depths):
      try TeacherNetwork(own: block, widths: widths, depths: depths, hyperspace: hyperspace)
    case .efficientNetLite(let variant):
      try TeacherNetwork(TeacherNetwork.published(variant, hyperspace: hyperspace), hyperspace: hyperspace)
    }
  }

  /// Where set-up put the weights of a variant.
  private static func weights(_ variant: Int) -> URL {
    Program.dataFolder.appending(path: "teachers/efficientnet-lite\(variant).pth")
  }

  func network() -> TeacherNetwork {
    do { return try Self.network(context.configuration.teacher, hyperspace: context.hyperspace) } catch {
      preconditionFailure("the configuration was checked: \(error)")
    }
  }

  /// Trains the teacher, or goes on with it.
  func run() throws -> ParameterStore {
    let settings = context.configuration.teacher
    let graph = network().graph
    let store = try Self.parameters(context.configuration, hyperspace: context.hyperspace, graph, context.data)
    guard settings.steps > 0 else { return store }
    let training = CheckpointedTraining(
      context: context, network: "teacher", phase: "float", steps: settings.steps,
      epoch: max(1, settings.steps / 6), batch: settings.batch, rateKey: "teacher.learning-rate")
    if try training.isFinished(store) { return store }
    let progress = try context.display.begin(
      "Train the teacher", unit: "steps", total: settings.steps, alreadyDone: training.stepsDone)
    defer { progress.finish() }
    let optimizer = try context.sgd(store)
    let loop = context.loop(context.pool, learningRate: settings.learningRate, steps: settings.steps)
    let classifier = ClassifierTraining(graph: graph, labelSmoothing: 0.1, precision: .float)
    try training.run(store: store, optimizer: optimizer, loop: loop, progress: progress) { _, _, batch in
      try classifier.contribution(store: store, parameters: optimizer.parameters, batch: batch)
    } validate: {
      ["teacher": try context.evaluator(images: 1_000).accuracy(of: graph, store, precision: .float)]
    }
    return store
  }

  /// What the training begins with.
  private static func parameters(
    _ configuration: RunConfiguration, hyperspace: Hyperspace, _ graph: NetworkGraph, _ data: RunData
  ) throws -> ParameterStore {
    var generator = SeededGenerator(seed: configuration.seed, stream: "teacher")
    let seed = generator.next()
    guard case .efficientNetLite(let variant) = configuration.teacher.network else {
      return try ParameterStore(ParameterLayout([graph]), seed: seed)
    }
    return try TeacherNetwork.published(variant, hyperspace: hyperspace).parameters(
      from: LegacyTorchFile(contentsOf: weights(variant)), pixelScale: data.normalization.scale, seed: seed
    ).store
  }

  /// The teacher of a run that another process holds; `nil` where its training is not finished.
  static func finished(
    _ configuration: RunConfiguration, hyperspace: Hyperspace, paths: RunFolderPaths, data: RunData
  ) throws -> (TeacherNetwork, ParameterStore)? {
    let teacher = try network(configuration.teacher, hyperspace: hyperspace)
    let store = try parameters(configuration, hyperspace: hyperspace, teacher.graph, data)
    if configuration.teacher.steps > 0 {
      let file = CheckpointedTraining.checkpoint("teacher", "float", in: paths)
      let steps = try CheckpointedTraining.restore(store, from: file)
      guard steps == configuration.teacher.steps else { return nil }
    }
    return (teacher, store)
  }
}
