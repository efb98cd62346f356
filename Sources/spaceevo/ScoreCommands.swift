import ArgumentParser
import Foundation
import Pipeline
import Reports
import RunFolders
import SearchSpaces
import SpaceEvolution

struct ScoreCommand: ParsableCommand, KeepingNothing {
  static let configuration = CommandConfiguration(
    commandName: "score", abstract: "The exact Q-T score of search spaces.")

  @OptionGroup var options: ScoreOptions

  @Option(help: "The paper's Monte Carlo estimate from this many subnets instead.")
  var monteCarlo: Int?

  @Option(parsing: .unconditional, help: "The seed of the estimate.")
  var seed: UInt64 = 0

  @OptionGroup var page: PageOptions
  @OptionGroup var output: OutputOptions

  @Argument(help: "Search spaces, such as onnxw-151122-023231.")
  var spaces: [String]

  mutating func validate() throws {
    if let monteCarlo, !(1...1_000_000_000).contains(monteCarlo) {
      throw ValidationError("--monte-carlo is a number of subnets, from 1 up.")
    }
  }

  private struct Answer: Encodable { var spaces: [QTScore] }
  private struct Estimate: Encodable {
    var space: SearchSpace
    var score: Double
    var constraints: [QTScore.Constraint]
    var standardErrors: [MonteCarloScore.Errors]
    var samples: Int
  }
  private struct Estimates: Encodable { var spaces: [Estimate] }

  func run() throws {
    let hyperspace = try options.hyperspace.load()
    let spaces = try spaces.map { try hyperspace.space($0) }
    let scorer = try options.scorer(hyperspace)
    if let monteCarlo {
      let estimates = spaces.map { scorer.monteCarloScore($0, samples: monteCarlo, seed: seed) }
      if output.json {
        try printJSON(
          Estimates(
            spaces: estimates.map {
              Estimate(
                space: $0.estimate.space, score: $0.estimate.score, constraints: $0.estimate.constraints,
                standardErrors: $0.standardErrors, samples: $0.samples)
            }))
      } else {
        printScores(estimates.map(\.estimate))
        print("\(monteCarlo) random subnets a space; one standard error of each score:")
        for estimate in estimates {
          let errors = estimate.standardErrors.map { NumberText.fixed($0.score, decimals: 5) }
          print("  \(estimate.estimate.space.encoding)  \(errors.joined(separator: "  "))")
        }
      }
      try page.write(scorer, best: estimates.map(\.estimate))
    } else {
      let scores = scorer.scores(spaces, threads: options.threads)
      for space in spaces { noteIfTooFast(space, scorer) }
      if output.json { try printJSON(Answer(spaces: scores)) } else { printScores(scores) }
      try page.write(scorer, best: scores.sorted { $0.ranks(before: $1) })
    }
  }
}

/// Tells of constraints that no subnet of a space can keep, and what one could.
private func noteIfTooFast(_ space: SearchSpace, _ scorer: QTScorer) {
  let fastest = scorer.fastestMilliseconds(of: space)
  for constraint in scorer.constraints where constraint.milliseconds < fastest * (1 - 1e-9) {
    let text =
      "note: \(space): no subnet keeps \(NumberText.significant(constraint.milliseconds)) ms; the fastest takes "
      + "\(NumberText.significant(fastest)) ms, so the space scores 0 there\n"
    StandardStreams.say(text)
  }
}

struct EvolveCommand: ParsableCommand, KeepingNothing {
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

  @Option(
    help: "Append every space as it is scored to this new file, one JSON object a line.",
    completion: .file(extensions: ["jsonl"]))
  var records: String?

  @Option(parsing: .unconditional, help: "The seed.")
  var seed: UInt64 = 0

  @OptionGroup var page: PageOptions
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
    let hyperspace = try options.hyperspace.load()
    let scorer = try options.scorer(hyperspace)
    let display = ProgressDisplay(isQuiet: output.quiet)
    let progress = display.begin("Evolve", unit: "spaces", total: min(evaluations, hyperspace.spaceCount))
    let evolution = AgingEvolution(
      populationSize: population, tournamentSize: tournament, evaluations: evaluations, seed: seed)
    let log = try records.map { try RecordLog<EvolutionRecord>(at: URL(filePath: $0)) }
    if let log, log.count > 0 {
      throw ValidationError("--records \(records!): holds \(log.count) records already; name a file that is not there.")
    }
    var history: [EvolutionRecord] = []
    var pending: [EvolutionRecord] = []
    let outcome = try evolution.run(in: hyperspace, top: top) { spaces in
      scorer.scores(spaces, threads: options.threads)
    } progress: { record in
      try Interruption.check()
      if page.report != nil { history.append(record) }
      if let log {
        // A flush to the disk takes longer than a score.
        pending.append(record)
        if pending.count == 100 {
          try log.append(contentsOf: pending)
          pending = []
        }
      }
      progress.advance()
    }
    try log?.append(contentsOf: pending)
    progress.finish()
    if output.json {
      try printJSON(Answer(spaces: outcome.top, evaluated: outcome.evaluated))
    } else {
      printScores(outcome.top)
      print("\(outcome.evaluated) spaces scored")
    }
    // The result first: it must not be lost where the page cannot be written.
    try page.write(scorer, best: outcome.top, history: history)
  }
}

extension ScoreOptions {
  /// Loads the tables and prepares the scorer.
  func scorer(_ hyperspace: Hyperspace) throws -> QTScorer {
    let tables = try StageTables(folder: URL(filePath: tables), hyperspace: hyperspace, threads: threads)
    return try QTScorer(
      tables: tables, constraints: latencies.map(LatencyConstraint.init),
      parameters: QTParameters(fraction: fraction, exponent: exponent), fixedLatency: fixed(), rule: rule,
      threads: threads)
  }
}

/// `--report`.
struct PageOptions: ParsableArguments {
  @Option(help: "Write a page with pictures of the spaces to this HTML file.", completion: .file(extensions: ["html"]))
  var report: String?

  func validate() throws { try report.map { try checkPlace(of: $0) } }

  func write(
    _ scorer: QTScorer, best: [QTScore], history: [EvolutionRecord] = [], remarks: [String] = []
  ) throws {
    guard let report else { return }
    let page = SpaceFigures(scorer.tables.hyperspace).page(
      best: best, scorer: scorer, history: history, remarks: remarks)
    try AtomicFile.write(Data(page.html().utf8), to: URL(filePath: report))
  }
}

/// Scores as a table, one line a space and constraint.
func printScores(_ scores: [QTScore]) { print(TextTable(QTScoreTable(scores).table).text()) }

/// Refuses a file that could not be written, before the work whose result it takes.
func checkPlace(of file: String, option: String = "--report") throws {
  let url = URL(filePath: file)
  let folder = url.deletingLastPathComponent()
  guard (try? folder.resourceValues(forKeys: [.isDirectoryKey]))?.isDirectory == true else {
    throw ValidationError("\(option) \(file): there is no folder \(folder.relativePath); make it, or name another.")
  }
  guard (try? url.resourceValues(forKeys: [.isDirectoryKey]))?.isDirectory != true else {
    throw ValidationError("\(option) \(file): is a folder; name a file.")
  }
}
