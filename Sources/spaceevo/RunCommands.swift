import ArgumentParser
import Foundation
import Pipeline

/// The run folder and its configuration.
struct RunOptions: ParsableArguments {
  @Argument(
    help: "The configuration, a YAML file; the built-in Fashion-MNIST demo where left out.", completion: .file())
  var configuration: String?

  @Option(name: .customLong("run"), help: "The run folder: made, or gone on with.", completion: .directory)
  var folder: String?

  @Flag(help: "No progress on standard error.")
  var quiet = false

  func open() throws -> Run {
    guard let folder else { throw ValidationError("Name the run folder with --run FOLDER.") }
    return try Run(folder: URL(filePath: folder), configurationFile: configuration, isQuiet: quiet)
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

  @Flag(help: "Print the built-in configuration, with every key explained, and do nothing else.")
  var printConfiguration = false

  func run() throws {
    if printConfiguration {
      print(RunConfiguration.builtInText, terminator: "")
      return
    }
    let run = try options.open()
    let models = try run.through(.report)
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
