import DeviceLatency
import Foundation
import NetworkGraphs
import RunFolders
import SearchSpaces
import SpaceEvolution
import TorchTraining

/// The design of the search space: Q-T scores at the constraints, and aging evolution over the spaces.
struct DesignStep {
  let context: RunContext
  let predictor: LatencyPredictor

  func run() throws -> DesignRecord {
    if let design = try DesignRecord.last(in: context.folder.paths, hyperspace: context.hyperspace) { return design }
    let hyperspace = context.hyperspace
    let settings = context.configuration.evolution
    let fixed = fixedMilliseconds()
    let constraints = try constraints()
    let scorer = try context.scorer(constraintsMilliseconds: constraints, fixedMilliseconds: fixed)

    var known: [SearchSpace: QTScore] = [:]
    let log = try context.folder.records("spaces", of: EvolutionRecord.self) {
      try $0.score.check(in: hyperspace, file: context.folder.paths.recordFile("spaces"))
      known[$0.score.space] = $0.score
    }
    let progress = context.display.begin(
      "Evolve the search space", unit: "spaces", total: min(settings.spaces, hyperspace.spaceCount),
      alreadyDone: known.count)
    defer { progress.finish() }
    let evolution = AgingEvolution(
      populationSize: settings.population, tournamentSize: settings.tournament, evaluations: settings.spaces,
      seed: context.seed(for: "evolution"))
    var pending: [EvolutionRecord] = []
    let outcome = try evolution.run(in: hyperspace, top: 10, known: known) { spaces in
      scorer.scores(spaces, threads: context.configuration.jobs)
    } progress: { record in
      guard known[record.score.space] == nil else { return }
      try Interruption.check()
      pending.append(record)
      progress.advance()
      // A flush to the disk takes longer than a score.
      if pending.count >= 100 {
        try log.append(contentsOf: pending)
        pending = []
      }
    }
    try log.append(contentsOf: pending)

    let proof = try provenBest(scorer, evolved: outcome.top[0])
    let design = DesignRecord(
      constraintsMilliseconds: constraints, fixedMilliseconds: fixed, best: proof?.top ?? outcome.top,
      evaluated: outcome.evaluated, candidates: hyperspace.spaceCount, proof: proof?.record)
    let designs = try context.folder.records("design", of: DesignRecord.self)
    try designs.append(design)
    return design
  }

  /// More spaces than this that the bounds leave are not scored: the evolution's result stands without a proof.
  private static let provable = 20_000

  /// The best of all spaces, where bounds exclude enough of them; `nil` where they do not.
  ///
  /// Whether they do depends on the tables only, so that a run designs the same space on any machine.
  private func provenBest(_ scorer: QTScorer, evolved: QTScore) throws -> (top: [QTScore], record: DesignProof)? {
    struct TooMany: Error {}
    guard context.hyperspace.spaceCount <= 200_000_000 else { return nil }
    let progress = context.display.begin(
      "Prove the best search space", unit: "spaces", total: context.hyperspace.spaceCount)
    defer { progress.finish() }
    var done = 0
    do {
      let outcome = try Optimum(scorer).run(top: 10, threads: context.configuration.jobs) { phase, part, total in
        try Interruption.check()
        if phase == .scoring, total > DesignStep.provable { throw TooMany() }
        guard phase == .bounding else { return }
        progress.advance(by: part - done)
        done = part
      }
      guard let best = outcome.top.first else { return nil }
      let record = DesignProof(
        evolved: evolved, isEvolvedBest: evolved.space == best.space, excludedByTailLoss: outcome.excludedByTailLoss,
        excludedByShare: outcome.excludedByShare, scored: outcome.scored, bestExcludedBound: outcome.bestExcludedBound)
      return (outcome.top, record)
    } catch is TooMany {
      return nil
    }
  }

  /// Stem and head of a network, mean over the widths that the last stage can hand over.
  private func fixedMilliseconds() -> Double {
    let latencies = context.randomSubnets(64, stream: "fixed-latency").map { space, subnet in
      predictor.prediction(of: context.graph(subnet, of: space)).fixedMilliseconds
    }
    return latencies.reduce(0, +) / Double(latencies.count)
  }

  /// The latencies to design for, in milliseconds.
  ///
  /// - Throws: `YAMLError` where no subnet can meet one, with the fastest there is.
  func constraints() throws -> [Double] {
    let latencies = context.randomSubnets(1_000, stream: "constraints").map { space, subnet in
      predictor.milliseconds(of: context.graph(subnet, of: space))
    }.sorted()
    switch context.configuration.constraints {
    case .quantiles(let shares):
      return shares.map { latencies[min(latencies.count - 1, Int($0 * Double(latencies.count)))] }
    case .milliseconds(let constraints):
      let fastest = context.fastestMilliseconds(predictor)
      if let impossible = constraints.first(where: { $0 < fastest }) {
        throw context.configuration.error(
          at: "constraints.milliseconds",
          "no subnet of hyperspace \(context.hyperspace.name) meets \(impossible) ms; the fastest "
            + "is predicted to take \(fastest.rounded(to: 4)) ms on this device")
      }
      return constraints
    }
  }
}

extension DesignRecord {
  /// The design of a run; `nil` where it has not come so far.
  ///
  /// - Throws: `TrainingError` where the record has no space, or one that the hyperspace does not have.
  static func last(in paths: RunFolderPaths, hyperspace: Hyperspace) throws -> DesignRecord? {
    let file = paths.recordFile("design")
    guard let design = try RecordLog<DesignRecord>.all(file).last else { return nil }
    guard !design.best.isEmpty, !design.constraintsMilliseconds.isEmpty else {
      throw TrainingError(
        "\(file.relativePath): the design has no space or no latency; remove the file, and it is made again")
    }
    for score in design.best + [design.proof?.evolved].compactMap(\.self) {
      try score.check(in: hyperspace, file: file)
    }
    return design
  }
}

extension QTScore {
  /// Checks that a recorded score is that of a space of the run.
  ///
  /// - Throws: `TrainingError`.
  func check(in hyperspace: Hyperspace, file: URL) throws {
    guard hyperspace.contains(space) else {
      throw TrainingError(
        "\(file.relativePath): \(space.encoding) is no space of hyperspace \(hyperspace.name); remove the file, and it is made "
          + "again")
    }
  }
}

extension RunContext {
  /// The scores of spaces by this run's stage tables.
  func scorer(constraintsMilliseconds: [Double], fixedMilliseconds: Double) throws -> QTScorer {
    let settings = configuration.evolution
    return try QTScorer(
      tables: StageTables(folder: folder.paths.tables, hyperspace: hyperspace, threads: configuration.jobs),
      constraints: constraintsMilliseconds.map(LatencyConstraint.init),
      parameters: .init(fraction: settings.fraction, exponent: settings.exponent),
      fixedLatency: Dictionary(uniqueKeysWithValues: hyperspace.resolutions.map { ($0, fixedMilliseconds) }))
  }
}
