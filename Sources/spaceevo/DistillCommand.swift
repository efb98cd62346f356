import ArgumentParser
import Foundation
import Pipeline

struct DistillCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "distill", abstract: "Block-wise quantised distillation, up to the stage tables.",
    discussion: """
      Several processes may share the work: one begins, and others join it with --join. --verify trains sub-stages alone, \
      and tells how well the tables rank them.
      """)

  @OptionGroup var options: RunOptions

  @Flag(help: "Help a run that another process has begun, until no block is left.")
  var join = false

  @Option(help: "Blocks side by side of a process that joins; the run's own number where left out.")
  var threads: Int?

  @Flag(help: "Compare the tables' ranking with that of sub-stages that are each trained alone.")
  var verify = false

  @Option(help: "Pairs of a stage and a block type to verify. (default: 4)")
  var pairs: Int?

  @Option(help: "Sub-stages of each pair to train alone. (default: 12)")
  var substages: Int?

  @Option(
    help: """
      Float steps of each sub-stage trained alone; a third as many follow with every quantiser in place. (default: 300)
      """)
  var steps: Int?

  @Flag(help: "Print the comparison of --verify as JSON on standard output.")
  var json = false

  mutating func validate() throws {
    guard !(join && verify) else { throw ValidationError("--join and --verify exclude each other.") }
    guard pairs ?? 1 > 0, substages ?? 3 >= 3, steps ?? 3 >= 3 else {
      throw ValidationError("--pairs is at least 1; --substages and --steps are at least 3.")
    }
    guard verify || pairs == nil && substages == nil && steps == nil && !json else {
      throw ValidationError("--pairs, --substages, --steps and --json are of --verify: add it, or leave them out.")
    }
    guard join || threads == nil else {
      throw ValidationError("--threads is of --join; a run's own number is jobs, in its configuration.")
    }
    if let threads, !(1...256).contains(threads) { throw ValidationError("--threads is from 1 to 256.") }
    guard !join || options.configuration == nil else {
      throw ValidationError("--join takes the configuration of the run; name only the run folder.")
    }
  }

  func run() throws {
    if join {
      guard let folder = options.folder else { throw ValidationError("Name the run folder with --run FOLDER.") }
      try Run.joinDistillation(of: URL(filePath: folder), jobs: threads, isQuiet: options.quiet)
      return
    }
    let run = try options.open()
    guard verify else {
      try run.through(.distillation)
      return
    }
    let steps = steps ?? 300
    let settings = RankCheck.Settings(
      pairs: pairs ?? 4, substages: substages ?? 12, floatSteps: steps, integerSteps: max(1, steps / 3))
    let result = try run.verifyTables(settings)
    if json { try printJSON(result) } else { describe(result, substages: settings.substages) }
  }

  private func describe(_ result: RankCheck.Result, substages: Int) {
    func text(_ value: Double) -> String { value.formatted(.number.precision(.fractionLength(2))) }
    print("Spearman's rank correlation with the losses of \(substages) sub-stages trained alone:")
    for agreement in result.pairs {
      print(
        "\(agreement.stage) \(agreement.block): tables \(text(agreement.integer)) as integers, "
          + "\(text(agreement.float)) in float; by MACs \(text(agreement.macs)), by parameters \(text(agreement.parameters)); "
          + "alone \(agreement.alonePercent.formatted(.number.precision(.fractionLength(0)))) % of the tables' loss; "
          + "sampled again \(text(agreement.repeatedMeanPercent)) % apart, at most \(text(agreement.repeatedLargestPercent)) %"
      )
    }
    guard !result.stages.isEmpty else { return }
    print("The same over the sub-stages of several block types (at equal latency: Kendall's partial tau):")
    for stage in result.stages {
      print(
        "\(stage.stage), \(stage.blocks.joined(separator: ", ")): tables \(text(stage.integer)), by MACs \(text(stage.macs)), "
          + "by latency \(text(stage.milliseconds)); at equal latency tables \(text(stage.integerAtEqualLatency)), MACs "
          + "\(text(stage.macsAtEqualLatency))")
    }
  }
}
