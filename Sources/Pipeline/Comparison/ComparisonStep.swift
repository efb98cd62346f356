import DeviceLatency
import Foundation
import InferenceRuntimes
import NetworkGraphs
import RunFolders
import SearchSpaces
import SpaceEvolution
import TorchTraining

/// The proof: the same budget, data and device for the space found and for others.
///
/// Every arm and seed has a run folder of its own below the run's, `comparison/ARM-REPETITION`, and goes through the
/// run's own supernet, search and models steps, so that nothing is done for one arm that is not done for all. The images
/// and their order are the same for all; seeds differ in initial weights and in the subnets that are drawn.
struct ComparisonStep {
  let context: RunContext
  let predictor: LatencyPredictor
  let design: DesignRecord
  let repetitions: Int
  let randomSpaces: Int

  /// - Returns: The record of every space and seed, with latencies that were measured side by side.
  func run() throws -> [ComparisonRecord] {
    let records = try trained()
    return records.timed(
      try ComparisonTimingStep(context: context, name: "comparison-timings", files: records.files).run())
  }

  /// Every space and seed, each file with the latency that its own steps measured.
  private func trained() throws -> [ComparisonRecord] {
    let scorer = try context.scorer(
      constraintsMilliseconds: design.constraintsMilliseconds, fixedMilliseconds: design.fixedMilliseconds)
    let arms = ComparisonArm.arms(
      found: design.best[0].space, hyperspace: context.hyperspace, randomSpaces: randomSpaces,
      seed: context.configuration.seed, scorer: scorer)
    var done: [ComparisonRecord] = []
    let log = try context.folder.records("comparison", of: ComparisonRecord.self) { done.append($0) }
    var results: [ComparisonRecord] = []
    // All arms with one seed before the next seed: stopped early, the comparison is whole for the seeds it has.
    for repetition in 1...repetitions {
      for (index, arm) in arms.enumerated() {
        if let record = done.last(where: {
          $0.arm == arm && $0.repetition == repetition && $0.entries.count == design.constraintsMilliseconds.count
        }), record.models.allSatisfy({ context.folder.paths.root.appending(path: record.path(of: $0)).isThere }) {
          results.append(record)
          continue
        }
        try Interruption.check()
        context.display.note(
          "Comparison, seed \(repetition) of \(repetitions), space \(index + 1) of \(arms.count): \(arm.title), "
            + arm.space.encoding)
        let record = ComparisonRecord(
          arm: arm, repetition: repetition, score: scorer.score(arm.space).score,
          largestMACs: context.graph(context.hyperspace.largestSubnet(of: arm.space), of: arm.space).cost.macs,
          entries: try entries(arm, repetition, constraints: design.constraintsMilliseconds))
        try log.append(record)
        results.append(record)
      }
    }
    return results
  }

  private func entries(
    _ arm: ComparisonArm, _ repetition: Int, constraints: [Double]
  ) throws -> [ComparisonRecord.Entry] {
    let context = try context.inside(
      ComparisonRecord.folder(arm, repetition), seed: context.configuration.seed &+ UInt64(repetition - 1))
    let supernet = try SupernetStep(context: context, space: arm.space).run()
    return try ComparisonEntries(
      context: context, title: arm.title, space: arm.space, predictor: predictor, constraints: constraints
    ).run(supernet)
  }
}

/// The most accurate subnets of a supernet under some latencies, as exported and measured files.
struct ComparisonEntries {
  let context: RunContext
  /// What messages call the space.
  let title: String
  let space: SearchSpace
  let predictor: LatencyPredictor
  /// In milliseconds, ascending.
  let constraints: [Double]

  func run(_ supernet: ParameterStore) throws -> [ComparisonRecord.Entry] {
    let searched: [SubnetRecord]
    do {
      searched = try SearchStep(
        context: context, space: space, predictor: predictor, maximumMilliseconds: constraints.last!,
        constraintsMilliseconds: constraints
      ).run(supernet)
    } catch let unreachable as SubnetSearch.Unreachable {
      context.display.note("\(title): \(unreachable)")
      return constraints.map { .init(constraintMilliseconds: $0, model: nil) }
    }
    let best = constraints.map { constraint in
      searched.filter { $0.predictedMilliseconds <= constraint }.max { $0.accuracy < $1.accuracy }
    }
    // Two latencies may have the same best subnet; it is trained and exported once.
    var chosen: [SubnetRecord] = []
    for case let subnet? in best where !chosen.contains(where: { $0.subnet == subnet.subnet }) { chosen.append(subnet) }
    // All files are timed again side by side when they are there; until then a short look will do.
    let models = try ModelsStep(context: context, space: space, predictor: predictor, effort: .network)
      .run(supernet, chosen)
    return zip(constraints, best).map { constraint, subnet in
      .init(constraintMilliseconds: constraint, model: models.first { $0.subnet == subnet?.subnet })
    }
  }
}

extension RunContext {
  /// This run's context in a folder, and with a seed and device, of a part's own. Networks take the device's form.
  ///
  /// - Parameter path: Within the run folder.
  func inside(_ path: String, seed: UInt64? = nil, device: String? = nil) throws -> RunContext {
    var configuration = configuration
    if let seed { configuration.seed = seed }
    var hyperspace = hyperspace
    if let device {
      configuration.device.name = device
      hyperspace = hyperspace.computed(in: try Device(device).evaluationRuntime.arithmetic)
    }
    let inner = try RunFolder(
      at: folder.paths.root.appending(path: path), configuration: configuration.text,
      seeds: ["run": configuration.seed], program: Program.name, libraries: folder.manifest.libraries)
    return RunContext(
      configuration: configuration, hyperspace: hyperspace, folder: inner, display: display, data: data, pool: pool,
      trainingLog: try TrainingLog(inner))
  }
}

extension RunContext {
  /// The same run on another device.
  func on(device: String) -> RunContext {
    var configuration = configuration
    configuration.device.name = device
    return RunContext(
      configuration: configuration, hyperspace: hyperspace, folder: folder, display: display, data: data, pool: pool,
      trainingLog: trainingLog)
  }
}

extension [ComparisonRecord] {
  /// Each file once, within the run folder: the files of one latency after another, so that what is compared is timed
  /// at the same time.
  var files: [String] {
    var files: [String] = []
    for index in 0..<(first?.entries.count ?? 0) {
      for record in self {
        guard let model = record.entries[index].model else { continue }
        let file = record.path(of: model)
        if !files.contains(file) { files.append(file) }
      }
    }
    return files
  }

  /// The same with other latencies, by the files' names within the run folder.
  func timed(_ timings: [String: ComparisonTiming]) -> [ComparisonRecord] {
    map { record in
      var record = record
      for index in record.entries.indices {
        guard let model = record.entries[index].model, let timing = timings[record.path(of: model)] else { continue }
        record.entries[index].model = model.timed(timing)
      }
      return record
    }
  }
}
