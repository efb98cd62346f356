import ArgumentParser
import Foundation
import Pipeline
import RunFolders

/// The program: one verb a step of the method, and `run` for all of them.
@main
struct SpaceEvo: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "spaceevo",
    abstract: "Design, train and export neural networks that are fast and accurate as INT8 models on one device.",
    discussion: """
      Start with 'spaceevo run --run FOLDER': it does everything, can be stopped and started again, and ends with a
      table of exported models and a report. Exit status: 0 done, 1 failed with a message, 64 wrong usage,
      130 interrupted (the same command goes on).
      """,
    version: Program.version,
    subcommands: [
      RunCommand.self, RefineCommand.self, StudyCommand.self, ProfileCommand.self, DistillCommand.self,
      EvolveCommand.self, ScoreCommand.self, OptimumCommand.self, AgreementCommand.self, TablesCommand.self,
      TrainCommand.self, SearchCommand.self, CompareCommand.self, RankingCommand.self, ExportCommand.self,
      EvaluateCommand.self, VerifyCommand.self, MeasureCommand.self, PredictCommand.self, CostCommand.self,
      ReportCommand.self,
    ])

  /// Runs the command, and turns its errors into the documented exit status.
  static func main() async {
    StandardStreams.fillClosed()
    Interruption.install()
    CrashMessage.install()
    var type: any ParsableCommand.Type = SpaceEvo.self
    do {
      var command = try parseAsRoot()
      type = Swift.type(of: command)
      if var asynchronous = command as? any AsyncParsableCommand {
        try await asynchronous.run()
      } else {
        try command.run()
      }
      try StandardStreams.finishOutput()
    } catch let error as Interrupted {
      let keepsNothing = (type as? any KeepingNothing.Type) != nil
      fail(keepsNothing ? Interrupted.nothingKept : "\(error)", status: Interrupted.exitStatus)
    } catch let error as RunError {
      fail("Error: \(error)\n\(error.isOfConfiguration ? "" : "To go on: \(commandLine)")", status: 1)
    } catch let error as CocoaError {
      fail("Error: \(RunError.words(of: error))", status: 1)
    } catch {
      let status = exitCode(for: error)
      let message = message(for: error, of: type)
      guard status.isSuccess else { fail(message, status: status.rawValue) }
      // Help and the version are no failures, and go to standard output.
      print(message)
      do { try StandardStreams.finishOutput() } catch { fail("Error: \(error)", status: 1) }
    }
  }

  /// Says why on standard error, and ends. What the message quotes may be a stranger's.
  private static func fail(_ message: String, status: Int32) -> Never {
    let message = message.trimmingCharacters(in: .newlines)
    if !message.isEmpty { StandardStreams.say("\(message.printable)\n") }
    Foundation.exit(status)
  }

  /// What went wrong, with the usage of the command that it went wrong in.
  private static func message(for error: any Error, of type: any ParsableCommand.Type) -> String {
    guard let error = error as? ValidationError, type != SpaceEvo.self, let name = type.configuration.commandName else {
      return fullMessage(for: error)
    }
    return "Error: \(error.message)\n\(usageString(for: type))\n  See 'spaceevo \(name) --help' for more information."
  }

  /// The command as the user typed it, for a shell.
  private static var commandLine: String {
    let program = ProcessInfo.processInfo.environment["SPACEEVO_COMMAND"] ?? "spaceevo"
    return ([program] + CommandLine.arguments.dropFirst()).map { word in
      let isPlain = !word.isEmpty && word.allSatisfy { $0.isLetter || $0.isNumber || "-_./:=,@%+#".contains($0) }
      return isPlain ? word : "'" + word.replacing("'", with: "'\\''") + "'"
    }.joined(separator: " ")
  }
}

/// A command whose work is lost where it is interrupted.
protocol KeepingNothing: ParsableCommand {}
