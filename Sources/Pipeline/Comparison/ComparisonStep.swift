import DeviceLatency
import Foundation
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
  let repetitions: Int
  let randomSpaces: Int

  func run() throws -> [ComparisonRecord] {
    guard let design = try DesignRecord.last(in: context.folder.paths, hyperspace: context.hyperspace) else {
      preconditionFailure("a comparison comes after the design")
    }
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
        if let record = done.first(where: {
          $0.arm == arm && $0.repetition == repetition && $0.entries.count == design.constraintsMilliseconds.count
        }) {
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
    let context = try context(of: arm, repetition)
    let supernet = try SupernetStep(context: context, space: arm.space).run()
    let searched: [SubnetRecord]
    do {
      searched = try SearchStep(
        context: context, space: arm.space, predictor: predictor, maximumMilliseconds: constraints.last!
      ).run(supernet)
    } catch let unreachable as SubnetSearch.Unreachable {
      context.display.note("\(arm.title): \(unreachable)")
      return constraints.map { .init(constraintMilliseconds: $0, model: nil) }
    }
    let best = constraints.map { constraint in
      searched.filter { $0.predictedMilliseconds <= constraint }.max { $0.accuracy < $1.accuracy }
    }
    // Two latencies may have the same best subnet; it is trained and exported once.
    var chosen: [SubnetRecord] = []
    for case let subnet? in best where !chosen.contains(where: { $0.subnet == subnet.subnet }) { chosen.append(subnet) }
    let models = try ModelsStep(context: context, space: arm.space, predictor: predictor).run(supernet, chosen)
    return zip(constraints, best).map { constraint, subnet in
      .init(constraintMilliseconds: constraint, model: models.first { $0.subnet == subnet?.subnet })
    }
  }

  /// The run's own context, in a folder and with a seed of the arm's own.
  private func context(of arm: ComparisonArm, _ repetition: Int) throws -> RunContext {
    var configuration = context.configuration
    configuration.seed = configuration.seed &+ UInt64(repetition - 1)
    let folder = try RunFolder(
      at: context.folder.paths.root.appending(path: "comparison/\(arm.name)-\(repetition)"),
      configuration: configuration.text, seeds: ["run": configuration.seed], program: Program.name,
      libraries: context.folder.manifest.libraries)
    return RunContext(
      configuration: configuration, hyperspace: context.hyperspace, folder: folder, display: context.display,
      data: context.data, pool: context.pool, trainingLog: try TrainingLog(folder))
  }
}
