import ArgumentParser
import Foundation
import Pipeline

struct RankingCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "ranking",
    abstract: "Do stage losses and the supernet rank subnets as training each alone does?",
    discussion: """
      Runs what is missing of the run up to the design, and its supernet unless a comparison has trained it. MACs, \
      parameters and latency stand beside the costly judges. What it finds becomes a part of the page of `compare`.
      With --across-spaces the subnets are those of random spaces, and no supernet is needed: do the losses, by which \
      a space is designed, rank block types and widths?
      """)

  @OptionGroup var options: RunOptions

  @Option(help: "Random subnets judged by stage losses and by the supernet.")
  var subnets = 100

  @Option(help: "How many of them are also trained alone.")
  var alone = 24

  @Option(parsing: .unconditional, help: "How often each of those is trained, with other initial weights and images.")
  var seeds = 1

  @Option(
    help: "Float steps of a network trained alone; a quarter as many follow with every quantiser in place.")
  var steps = 1_500

  @Flag(help: "Draw the subnets in random spaces of the whole hyperspace, instead of the space found.")
  var acrossSpaces = false

  @Flag(help: "Print the rank correlations as JSON on standard output.")
  var json = false

  func validate() throws {
    guard (3...100_000).contains(alone), (alone...100_000).contains(subnets) else {
      throw ValidationError("--alone is at least 3, and --subnets at least as many.")
    }
    guard (1...1_000).contains(seeds), (4...10_000_000).contains(steps) else {
      throw ValidationError("--seeds is at least 1, and --steps at least 4.")
    }
  }

  func run() throws {
    let outcome = try options.open().ranking(
      subnets: subnets, alone: alone, repetitions: seeds, steps: steps, acrossSpaces: acrossSpaces)
    if json { try printJSON(outcome) } else { print(outcome.text) }
  }
}
