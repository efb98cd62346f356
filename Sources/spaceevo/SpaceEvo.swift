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
    Interruption.install()
    CrashMessage.install()
    do {
      var command = try parseAsRoot()
      if var asynchronous = command as? any AsyncParsableCommand {
        try await asynchronous.run()
      } else {
        try command.run()
      }
    } catch let error as Interrupted {
      fail("\(error)", status: Interrupted.exitStatus)
    } catch let error as RunError {
      fail("Error: \(error)\nTo go on: \(commandLine)", status: 1)
    } catch {
      let status = exitCode(for: error)
      // Help and the version are no failures, and go to standard output.
      if status.isSuccess { exit(withError: error) }
      fail(fullMessage(for: error), status: status.rawValue)
    }
  }

  /// Says why on standard error, and ends. What the message quotes may be a stranger's.
  private static func fail(_ message: String, status: Int32) -> Never {
    if !message.isEmpty { FileHandle.standardError.write(Data("\(message.printable)\n".utf8)) }
    Foundation.exit(status)
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
