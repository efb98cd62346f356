import ArgumentParser
import Foundation
import Pipeline

/// The run folder and its configuration.
struct RunOptions: ParsableArguments {
  @Argument(
    help: "The configuration, a YAML file. Where left out: that of a run folder that exists, else a built-in one.",
    completion: .file())
  var configuration: String?

  @Option(
    help: "The built-in configuration: fashion-mnist, the demo, or imagenet, the paper's values.",
    completion: .list(RunConfiguration.presetNames))
  var preset: String?

  @Option(name: .customLong("run"), help: "The run folder: made, or gone on with.", completion: .directory)
  var folder: String?

  @Flag(help: "No progress on standard error.")
  var quiet = false

  private var presetName: String { preset ?? RunConfiguration.presetNames[0] }

  mutating func validate() throws {
    guard preset == nil || configuration == nil else {
      throw ValidationError("Give a configuration file or --preset, not both.")
    }
    _ = try presetText
  }

  /// The text of the built-in configuration.
  var presetText: String {
    get throws {
      if let text = RunConfiguration.preset(presetName) { return text }
      throw ValidationError(
        "--preset \(presetName): right would be one of \(RunConfiguration.presetNames.joined(separator: ", ")).")
    }
  }

  func open() throws -> Run {
    guard let folder else { throw ValidationError("Name the run folder with --run FOLDER.") }
    return try Run(
      folder: URL(filePath: folder), configurationFile: configuration, preset: preset, isQuiet: quiet)
  }
}

struct RunCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "run",
    abstract: "The whole job: measure, teach, distil, design, train, search, export, evaluate, report.",
    discussion: "Stopped at any moment, the same command goes on from the last finished unit.")

  @OptionGroup var options: RunOptions

  @Flag(help: "Print the resulting models as JSON on standard output.")
  var json = false

  @Flag(help: "Print the built-in configuration (of --preset), with every key explained, and do nothing else.")
  var printConfiguration = false

  func run() throws {
    if printConfiguration {
      print(try options.presetText, terminator: "")
      return
    }
    let run = try options.open()
    let models = try run.through(.report)
    // The process of rank 0 tells the results of a job of several.
    guard run.leads else { return }
    if json { try printJSON(models) } else { print(try run.resultText()) }
  }
}

struct RefineCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "refine",
    abstract: "More models for a run, and latencies again that a busy machine has blurred.",
    discussion: """
      Each further model is the best subnet of the search about the middle of the widest gap of latency between those \
      that there are; it is trained, exported and measured as they were. Files that were timed on a busy machine \
      are timed again. A run that is not finished is finished first.
      """)

  @OptionGroup var options: RunOptions

  @Option(parsing: .unconditional, help: "How many models the run is to have in all.")
  var models = 0

  @Flag(help: "Print the resulting models as JSON on standard output.")
  var json = false

  func validate() throws {
    guard (0...1_000).contains(models) else { throw ValidationError("--models \(models): right would be 1 to 1000.") }
  }

  func run() throws {
    let run = try options.open()
    let models = try run.refine(models: models)
    if json { try printJSON(models) } else { print(try run.resultText()) }
  }
}

struct TrainCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "train", abstract: "The quantised-for-all supernet of the best space, and all steps before it.")
  @OptionGroup var options: RunOptions
  func run() throws { try options.open().through(.supernet) }
}

struct SearchCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "search", abstract: "The accuracy-latency front of the supernet's subnets, and all steps before it.")
  @OptionGroup var options: RunOptions
  func run() throws { try options.open().through(.search) }
}

struct ReportCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "report", abstract: "Write the report of a run again, from its records.")
  @Option(name: .customLong("run"), help: "The run folder.", completion: .directory)
  var folder: String
  func run() throws { print(try Run.writeReport(of: URL(filePath: folder)).path(percentEncoded: false)) }
}
