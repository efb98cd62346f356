import ArgumentParser
import Foundation
import Reports
import RunFolders
import SearchSpaces
import SpaceEvolution

struct AgreementCommand: ParsableCommand, KeepingNothing {
  static let configuration = CommandConfiguration(
    commandName: "agreement",
    abstract: "How far independent and width-consistent scores put search spaces in the same order.")

  @OptionGroup var options: ScoreOptions

  @Option(help: "How many random spaces, and how many of the best of an evolution.")
  var spaces = 200

  @Option(parsing: .unconditional, help: "The seed of both.")
  var seed: UInt64 = 0

  @OptionGroup var output: OutputOptions

  mutating func validate() throws {
    guard (2...5_000).contains(spaces) else {
      throw ValidationError("--spaces \(spaces): a number from 2 to 5000 is right.")
    }
    guard !options.widthConsistent else {
      throw ValidationError("--width-consistent: both rules are compared anyway; leave it out.")
    }
  }

  private struct Sample: Encodable {
    /// `random`, or `best`: of an evolution by the independent score.
    var sample: String
    var agreement: RankingAgreement
    /// The first by each rule.
    var bestIndependent: SearchSpace
    var bestWidthConsistent: SearchSpace
  }
  private struct Answer: Encodable { var samples: [Sample] }

  func run() throws {
    let hyperspace = try options.hyperspace.load()
    let independent = try options.scorer(hyperspace)
    let consistent = try QTScorer(
      tables: independent.tables, constraints: independent.constraints, parameters: independent.parameters,
      fixedLatency: independent.fixedLatencies, rule: .widthConsistent, threads: options.threads)
    let display = ProgressDisplay(isQuiet: output.quiet)
    var generator = SeededGenerator(seed: seed, stream: "agreement")
    var random: Set<SearchSpace> = []
    for _ in 0..<(20 * spaces) where random.count < min(spaces, hyperspace.spaceCount) {
      random.insert(hyperspace.randomSpace(using: &generator))
    }
    let evolution = AgingEvolution(seed: seed)
    let best = try evolution.run(in: hyperspace, top: spaces) { spaces in
      independent.scores(spaces, threads: options.threads)
    } progress: { _ in
      try Interruption.check()
    }.top.map(\.space)

    let samples = [("random", random.sorted()), ("best", best)]
    let progress = display.begin("Score by both rules", unit: "spaces", total: random.count + best.count)
    var answers: [Sample] = []
    for (name, spaces) in samples where spaces.count >= 2 {
      let first = independent.scores(spaces, threads: options.threads)
      var second: [QTScore] = []
      for start in stride(from: 0, to: spaces.count, by: 16) {
        try Interruption.check()
        let part = Array(spaces[start..<min(spaces.count, start + 16)])
        second += consistent.scores(part, threads: options.threads)
        progress.advance(by: part.count)
      }
      answers.append(
        Sample(
          sample: name, agreement: RankingAgreement(first.map(\.score), second.map(\.score)),
          bestIndependent: first.min { $0.ranks(before: $1) }!.space,
          bestWidthConsistent: second.min { $0.ranks(before: $1) }!.space))
    }
    progress.finish()
    if output.json { return try printJSON(Answer(samples: answers)) }
    for answer in answers {
      let agreement = answer.agreement
      let tau =
        agreement.kendallTau.map { NumberText.fixed($0, decimals: 3) } ?? "not defined (all scores are the same)"
      print(
        "\(agreement.spaces) \(answer.sample) spaces: Kendall's tau \(tau); "
          + "\(agreement.sharedInFirstTenth) of the first \(agreement.firstTenth) are the same")
      print("  first if rows are independent:   \(answer.bestIndependent)")
      print("  first if widths are consistent:  \(answer.bestWidthConsistent)")
    }
  }
}
