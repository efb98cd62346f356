import ArgumentParser
import Foundation
import Reports
import RunFolders
import SearchSpaces
import SpaceEvolution

struct ScoreCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "score", abstract: "The exact Q-T score of search spaces.")

  @OptionGroup var options: ScoreOptions

  @Option(help: "The paper's Monte Carlo estimate from this many subnets instead.")
  var monteCarlo: Int?

  @Option(help: "The seed of the estimate.")
  var seed: UInt64 = 0

  @OptionGroup var output: OutputOptions

  @Argument(help: "Search spaces, such as onnxw-151122-023231.")
  var spaces: [String]

  mutating func validate() throws {
    if let monteCarlo, !(1...1_000_000_000).contains(monteCarlo) {
      throw ValidationError("--monte-carlo is a number of subnets, from 1 up.")
    }
  }

  private struct Answer: Encodable { var spaces: [QTScore] }
  private struct Estimates: Encodable { var spaces: [MonteCarloScore] }

  func run() throws {
    let (hyperspace, scorer) = try options.scorer()
    let spaces = try spaces.map { try hyperspace.space($0) }
    if let monteCarlo {
      let estimates = spaces.map { scorer.monteCarloScore($0, samples: monteCarlo, seed: seed) }
      if output.json { try printJSON(Estimates(spaces: estimates)) } else { printScores(estimates.map(\.estimate)) }
    } else {
      let scores = scorer.scores(spaces, threads: options.threads)
      if output.json { try printJSON(Answer(spaces: scores)) } else { printScores(scores) }
    }
  }
}

struct EvolveCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "evolve", abstract: "Aging evolution of search spaces by their Q-T score.")

  @OptionGroup var options: ScoreOptions

  @Option(help: "How many of the best to print.")
  var top = 10

  @Option(help: "How many spaces live at a time.")
  var population = 500

  @Option(help: "How many of them a tournament has.")
  var tournament = 125

  @Option(help: "How many spaces are scored.")
  var evaluations = 5_000

  @Option(help: "The seed.")
  var seed: UInt64 = 0

  @OptionGroup var output: OutputOptions

  mutating func validate() throws {
    for (name, value) in [
      ("top", top), ("population", population), ("tournament", tournament), ("evaluations", evaluations),
    ]
    where value < 1 {
      throw ValidationError("--\(name) \(value): a number from 1 up is right.")
    }
  }

  private struct Answer: Encodable {
    var spaces: [QTScore]
    var evaluated: Int
  }

  func run() throws {
    let (hyperspace, scorer) = try options.scorer()
    let display = ProgressDisplay(isQuiet: output.quiet)
    let progress = display.begin("Evolve", unit: "spaces", total: min(evaluations, hyperspace.spaceCount))
    let evolution = AgingEvolution(
      populationSize: population, tournamentSize: tournament, evaluations: evaluations, seed: seed)
    let outcome = try evolution.run(in: hyperspace, top: top) { spaces in
      scorer.scores(spaces, threads: options.threads)
    } progress: { _ in
      try Interruption.check()
      progress.advance()
    }
    progress.finish()
    if output.json {
      try printJSON(Answer(spaces: outcome.top, evaluated: outcome.evaluated))
    } else {
      printScores(outcome.top)
      print("\(outcome.evaluated) spaces scored")
    }
  }
}

extension ScoreOptions {
  /// Loads the tables and prepares the scorer.
  func scorer() throws -> (Hyperspace, QTScorer) {
    let hyperspace = try hyperspace.load()
    let tables = try StageTables(folder: URL(filePath: tables), hyperspace: hyperspace, threads: threads)
    let scorer = try QTScorer(
      tables: tables, constraints: latencies.map(LatencyConstraint.init),
      parameters: QTParameters(fraction: fraction, exponent: exponent), fixedLatency: fixed(), threads: threads)
    return (hyperspace, scorer)
  }
}

/// Scores as a table, one line a space and constraint.
func printScores(_ scores: [QTScore]) {
  var rows: [[Table.Cell]] = []
  for score in scores {
    for (index, constraint) in score.constraints.enumerated() {
      rows.append([
        Table.Cell(index == 0 ? score.space.encoding : ""),
        Table.Cell(index == 0 ? NumberText.fixed(score.score, decimals: 5) : ""),
        Table.Cell(NumberText.significant(constraint.latencyMilliseconds)),
        Table.Cell(NumberText.fixed(constraint.feasibleFraction, decimals: 6)),
        Table.Cell(NumberText.fixed(constraint.tailLoss, decimals: 5)),
        Table.Cell(NumberText.fixed(constraint.score, decimals: 5)),
      ])
    }
  }
  let columns = [
    Table.Column("Space"), .number("Q-T score"), .number("Latency", unit: "ms"), .number("Share under it"),
    .number("Tail loss"), .number("Score there"),
  ]
  print(TextTable(Table(columns: columns, rows: rows)).text())
}
