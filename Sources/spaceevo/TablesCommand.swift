import ArgumentParser
import Foundation
import Pipeline
import RunFolders
import SearchSpaces
import SpaceEvolution

struct TablesCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "tables", abstract: "Check a folder of stage tables, or convert it between the two formats.",
    discussion: """
      The published format has rows only, with four decimals. Our own adds where the figures come from, keeps all their
      digits, and names each row's resolution.
      """)

  enum Format: String, ExpressibleByArgument, CaseIterable {
    case published
    case own
  }

  @OptionGroup var hyperspace: HyperspaceOptions

  @Option(help: "The folder of stage tables, in either format.", completion: .directory)
  var tables: String

  @Option(help: "Write them to this folder, which must be empty or not be there.", completion: .directory)
  var output: String?

  @Option(help: "The format to write.")
  var format: Format = .own

  @Option(help: "For tables that do not say it: the data set and split of the losses.")
  var data = "not recorded"

  @Option(help: "For tables that do not say it: the teacher.")
  var teacher = "not recorded"

  @Option(help: "For tables that do not say it: the device of the latencies.")
  var device = "not recorded"

  @Option(parsing: .unconditional, help: "For tables that do not say it: the seed.")
  var seed: UInt64 = 0

  @Flag(help: "Print one JSON value on standard output, and nothing else there.")
  var json = false

  private struct Answer: Encodable {
    var tables: Int
    var rows: Int
    var resolutions: [Int]
    var provenances: [StageTableProvenance]
    /// Figures that are not those of the lowered sub-stage.
    var mismatches: [TableMismatch]
  }

  func run() throws {
    let hyperspace = try hyperspace.load()
    let source = try StageTables(folder: URL(filePath: tables), hyperspace: hyperspace)
    if let output {
      let folder = URL(filePath: output)
      if (try? folder.resourceValues(forKeys: [.isDirectoryKey]))?.isDirectory == false {
        throw ValidationError("--output \(output): is a file; name a folder that is empty or not there.")
      }
      let present = (try? FileManager.default.contentsOfDirectory(atPath: output)) ?? []
      guard present.isEmpty, folder.standardizedFileURL != URL(filePath: tables).standardizedFileURL else {
        throw ValidationError("--output \(output): is not empty; name a folder that is empty or not there.")
      }
      let fallback = StageTableProvenance(
        data: data, teacher: teacher, device: device, seed: seed, isQuantized: true, versions: [:])
      let converted = try StageTables(
        source.tables.values.map { table in
          var table = table
          table.provenance = format == .published ? nil : table.provenance ?? fallback
          return table
        }, hyperspace: hyperspace)
      try converted.write(to: folder)
    }
    let check = source.checkCosts()
    let provenances = Set(source.tables.values.compactMap(\.provenance)).sorted { "\($0)" < "\($1)" }
    if json {
      return try printJSON(
        Answer(
          tables: source.tables.count, rows: source.rowCount, resolutions: source.resolutions, provenances: provenances,
          mismatches: check.mismatches))
    }
    let resolutions = source.resolutions.map { "\($0)" }.joined(separator: " ")
    print("\(source.tables.count) tables of \(hyperspace.name), \(source.rowCount) rows, resolutions \(resolutions)")
    for provenance in provenances {
      print(
        "data \(provenance.data); teacher \(provenance.teacher); device \(provenance.device); seed \(provenance.seed)")
    }
    if provenances.isEmpty { print("no provenance recorded") }
    // Scores do not need them: the tables are usable all the same.
    if let first = check.mismatches.first {
      print(
        "\(check.mismatches.count) figures of MACs or parameters are not those of the sub-stages: \(first.file):\(first.line) "
          + "has \(first.table) M \(first.field), which are \(first.computed) M; `spaceevo cost` with these tables lists more"
      )
    }
    if let output { print("written to \(output), \(format.rawValue) format") }
  }
}
