import ArgumentParser
import Foundation
import Pipeline
import Reports
import RunFolders
import SearchSpaces
import SpaceEvolution

struct OptimumCommand: ParsableCommand, KeepingNothing {
  static let configuration = CommandConfiguration(
    commandName: "optimum", abstract: "The best of all search spaces by their Q-T score, proven by bounds.",
    discussion: """
      Every space is either scored, or excluded since a bound shows that it cannot be among the best. The numbers of both,
      and the bound of the best excluded space, are printed with the result.
      """)

  @OptionGroup var options: ScoreOptions

  @Option(help: "How many of the best to print.")
  var top = 10

  @OptionGroup var page: PageOptions
  @OptionGroup var output: OutputOptions

  mutating func validate() throws {
    guard (1...10_000).contains(top) else { throw ValidationError("--top \(top): a number from 1 to 10000 is right.") }
  }

  private struct Answer: Encodable {
    var spaces: [QTScore]
    var candidates: Int
    var evaluated: Int
    var excludedByTailLoss: Int
    var excludedByShare: Int
    var bestExcludedBound: Double?
    var evaluatedBefore: Int
  }

  func run() throws {
    let hyperspace = try options.hyperspace.load()
    let scorer = try options.scorer(hyperspace)
    let display = ProgressDisplay(isQuiet: output.quiet)
    var current: (phase: Optimum.Phase, progress: StepProgress, done: Int)?
    let outcome = try Optimum(scorer).run(top: top, threads: options.threads) { phase, done, total in
      try Interruption.check()
      if current?.phase != phase {
        current?.progress.finish()
        current = (phase, display.begin(phase.title, unit: "spaces", total: total), 0)
      }
      current?.progress.advance(by: max(0, done - current!.done))
      current?.done = done
    }
    current?.progress.finish()
    if output.json {
      try printJSON(
        Answer(
          spaces: outcome.top, candidates: outcome.candidates, evaluated: outcome.scored,
          excludedByTailLoss: outcome.excludedByTailLoss, excludedByShare: outcome.excludedByShare,
          bestExcludedBound: outcome.bestExcludedBound, evaluatedBefore: outcome.scoredBefore))
    } else {
      if outcome.top.isEmpty { print("No space has a score above 0 at these latencies.") }
      printScores(outcome.top)
      print(outcome.summary)
    }
    try page.write(scorer, best: outcome.top, remarks: [outcome.summary])
  }
}

extension Optimum.Phase {
  fileprivate var title: String {
    switch self {
    case .evolving: "Find good spaces"
    case .bounding: "Bound all spaces"
    case .scoring: "Score what is left"
    }
  }
}

extension Optimum.Outcome {
  /// What the proof consists of, in words.
  fileprivate var summary: String {
    let bound =
      bestExcludedBound.map { " No excluded space scores above \(NumberText.fixed($0, decimals: 5))." } ?? ""
    return
      "Of \(NumberText.count(candidates)) spaces, \(NumberText.count(excludedByTailLoss)) are excluded by the bound of "
      + "their tail loss, \(NumberText.count(excludedByShare)) by those of tail loss and share together, and "
      + "\(NumberText.count(scored)) were left and scored, after the \(NumberText.count(scoredBefore)) of an evolution.\(bound)"
  }
}
