import Datasets
import DeviceLatency
import Foundation
import InferenceRuntimes
import NetworkGraphs
import ONNXExport
import Quantization
import RunFolders
import SearchSpaces
import SpaceEvolution
import TorchTraining

/// The chosen subnets as files: a last training of each on its own, export, and what the runtime makes of the file.
struct ModelsStep {
  let context: RunContext
  let space: SearchSpace
  let predictor: LatencyPredictor
  /// What each file's latency is worth here.
  var effort = MeasurementEffort.report
  /// Whether files that were timed on a busy machine are timed again.
  var timesAgain = false

  /// - Parameter chosen: None twice. Another call may give more, behind those of an earlier one.
  /// - Returns: One record each, by measured latency.
  func run(_ supernet: ParameterStore, _ chosen: [SubnetRecord]) throws -> [ModelRecord] {
    let networks = try train(chosen, supernet)
    return try measure(chosen, networks)
  }

  /// The subnets to train on their own: the configuration's, fastest first, and behind them more in the widest gaps of
  /// latency that these leave.
  ///
  /// - Parameter count: In all, where more are wanted than the configuration has.
  static func choose(
    _ searched: [SubnetRecord], _ settings: RunConfiguration.FineTuning, count: Int = 0
  ) -> [SubnetRecord] {
    let objectives = searched.map {
      Objectives(latencyMilliseconds: $0.predictedMilliseconds, accuracy: $0.accuracy)
    }
    let chosen =
      switch settings.choice {
      case .front: ParetoFront.spread(objectives, count: settings.models)
      case .latencies: ParetoFront.overLatencies(objectives, count: settings.models)
      }
    let more = ParetoFront.inWidestGaps(objectives, chosen: chosen, count: count - chosen.count)
    return (chosen + more).map { searched[$0] }
  }

  /// Trains each chosen subnet on its own, several side by side, and folds it into integers.
  private func train(_ chosen: [SubnetRecord], _ supernet: ParameterStore) throws -> [IntegerNetwork] {
    let settings = context.configuration.fineTuning
    let hyperspace = context.hyperspace
    let trainings = chosen.indices.map { index in
      CheckpointedTraining(
        context: context, network: "model-\(index + 1)", phase: "integer", steps: settings.steps,
        epoch: max(1, min(settings.steps / 3, 1_000)), batch: settings.batch, rateKey: "fine-tuning.learning-rate",
        space: space)
    }
    let progress = context.display.begin(
      "Train the chosen subnets on their own", unit: "steps", total: chosen.count * settings.steps,
      alreadyDone: try trainings.reduce(0) { $0 + (try $1.stepsDone) })
    defer { progress.finish() }
    var networks = [IntegerNetwork?](repeating: nil, count: chosen.count)
    try networks.withUnsafeMutableBufferPointer { slots in
      nonisolated(unsafe) let slots = slots
      // The largest first: it takes longest.
      try context.pool.forEach(chosen.count) { position in
        let index = chosen.count - 1 - position
        let graph = try NetworkGraph(chosen[index].subnet, of: space, in: hyperspace)
        let store = try ParameterStore(ParameterLayout([graph]), seed: context.configuration.seed)
        try store.adopt(supernet)
        let training = trainings[index]
        let evaluator = try context.evaluator(images: 1_000)
        if settings.steps > 0, try !training.isFinished(store) {
          let optimizer = try context.sgd(store)
          let loop = context.loop(nil, learningRate: settings.learningRate, steps: settings.steps)
          let classifier = ClassifierTraining(graph: graph, labelSmoothing: 0, precision: .quantized)
          try training.run(store: store, optimizer: optimizer, loop: loop, progress: progress) { _, _, batch in
            try classifier.contribution(store: store, parameters: optimizer.parameters, batch: batch)
          } validate: {
            ["model-\(index + 1)": try evaluator.accuracy(of: graph, store, precision: .quantized)]
          }
        }
        let statistics = try evaluator.statistics(of: graph, store, precision: .quantized)
        slots[index] = try store.integerNetwork(graph, statistics: statistics, pixels: context.data.pixelQuantizer)
      }
    }
    return networks.map { $0! }
  }

  /// Writes each file, runs it on all test images, and times it.
  private func measure(_ chosen: [SubnetRecord], _ networks: [IntegerNetwork]) throws -> [ModelRecord] {
    let folder = context.folder.paths.models
    var done: [String: ModelRecord] = [:]
    let log = try context.folder.records("models", of: ModelRecord.self) { done[$0.file] = $0 }
    let names = chosen.indices.map { "model-\($0 + 1).onnx" }
    // A file that is gone, or not the one that was judged, is made again, and judged again.
    for name in names {
      guard let record = done[name] else { continue }
      let file = folder.appending(path: name)
      if !file.isThere {
        done[name] = nil
      } else if let crc32 = record.crc32, try checksum([UInt8](Data(contentsOf: file))) != crc32 {
        context.display.warn("\(file.relativePath) is not the file that was judged: it is made again")
        done[name] = nil
      }
    }
    func isFinished(_ name: String) -> Bool { done[name].map { $0.gated || !timesAgain } ?? false }
    let progress = context.display.begin(
      "Export the models, run them on the test images and time them", unit: "models", total: chosen.count,
      alreadyDone: names.count(where: isFinished))
    defer { progress.finish() }
    let test = try context.data.test()
    let meter = try context.meter()
    for (index, network) in networks.enumerated() {
      try Interruption.check()
      let name = names[index]
      if isFinished(name) { continue }
      let url = folder.appending(path: name)
      if done[name] == nil { try AtomicFile.write(Data(try ONNXModel.bytes(network)), to: url) }
      // From the disk: what is reported is what the file does.
      let file = [UInt8](try Data(contentsOf: url))
      // Timed again: the file that was evaluated, whatever this version of the program would write.
      if var record = done[name] {
        let timing = try measure(file, name: name, with: meter)
        progress.advance()
        // What a busy machine gives is an upper bound: of two the lower one says more.
        guard timing.isGated || timing.milliseconds < record.measuredMilliseconds else { continue }
        record.measuredMilliseconds = timing.milliseconds
        record.spreadPercent = timing.spreadPercent
        record.gated = timing.isGated
        try context.writeCard(record, network: network, space: space, timing: timing)
        try log.append(record)
        continue
      }
      let evaluation = try context.device.evaluationRuntime.session(file).evaluate(test.pixels, labels: test.labels)
      let timing = try measure(file, name: name, with: meter)
      let record = ModelRecord(
        file: name, subnet: chosen[index].subnet, predictedMilliseconds: predictor.milliseconds(of: network.graph),
        measuredMilliseconds: timing.milliseconds, spreadPercent: timing.spreadPercent, gated: timing.isGated,
        correct: evaluation.correct, images: evaluation.images, supernetAccuracy: chosen[index].accuracy,
        macs: network.graph.cost.macs, parameters: network.graph.cost.parameters, crc32: checksum(file))
      try context.writeCard(record, network: network, space: space, timing: timing)
      try log.append(record)
      progress.advance()
    }
    return try ModelRecord.all(in: context.folder.paths)
  }

  /// - Throws: `TrainingError` where the device answers nothing within a minute.
  private func measure(_ file: [UInt8], name: String, with meter: any LatencyMeter) throws -> LatencyMeasurement {
    var result: LatencyMeasurement?
    try meter.measure(
      [LatencyRequest(.model(name), .bytes(file))], effort: effort, until: .now + .seconds(60)
    ) { result = $0 }
    guard let result else {
      throw TrainingError("\(name): the device gave no measurement within 60 seconds; the same command tries again")
    }
    return result
  }
}
