internal import Foundation
internal import InputFiles

/// What a run folder says about itself in `manifest.json`: who made it, from what, and where.
public struct Manifest: Codable, Hashable, Sendable {
  /// The version of the folder's layout and record schemas that this program reads and writes.
  public static let currentFormatVersion = 1

  /// A manifest is its configuration and some lines.
  private static let mostBytes = 8 << 20

  public var formatVersion: Int
  /// The program and its version, such as "spaceevo 0.1.0".
  public var program: String
  /// When the folder was made, as ISO 8601 in UTC.
  public var created: String
  /// The configuration with every default filled in, as YAML text. A run goes on only with exactly this text.
  public var configuration: String
  /// The texts of files that the configuration names, by the key that names them: the run is what they said at its
  /// beginning. Absent in folders of earlier versions.
  public var inputs: [String: String]?
  /// The seeds that the run's random draws start from, by purpose.
  public var seeds: [String: UInt64]
  public var machine: Machine
  /// Versions of the libraries that do the work, by name.
  public var libraries: [String: String]

  init(
    program: String, configuration: String, inputs: [String: String], seeds: [String: UInt64], machine: Machine,
    libraries: [String: String]
  ) {
    formatVersion = Manifest.currentFormatVersion
    self.program = program
    created = Date().formatted(.iso8601)
    self.configuration = configuration
    self.inputs = inputs.isEmpty ? nil : inputs
    self.seeds = seeds
    self.machine = machine
    self.libraries = libraries
  }

  /// Reads `manifest.json` of a folder; nil if there is none.
  static func read(in paths: RunFolderPaths) throws -> Manifest? {
    guard FileManager.default.fileExists(atPath: paths.manifest.path(percentEncoded: false)) else { return nil }
    let shown = paths.manifest.relativePath
    let data: Data
    do { data = try InputFile.bytes(of: paths.manifest, atMost: mostBytes) } catch {
      throw RunFolderError(.inputOutput, "\(shown): cannot read the manifest: \(error)")
    }
    // The version alone first: what else a manifest of another version holds is not known here.
    struct Version: Decodable { var formatVersion: Int }
    let decoder = JSONDecoder()
    guard let version = try? decoder.decode(Version.self, from: data) else {
      throw RunFolderError(
        .damaged,
        "\(shown): not a manifest: a JSON object with the number \"formatVersion\" is expected. "
          + "Put the file back as it was, or start another folder with --run.")
    }
    guard version.formatVersion == currentFormatVersion else {
      throw RunFolderError(
        .differentRun,
        "\(shown): the run folder has format version \(version.formatVersion), and this program reads "
          + "and writes version \(currentFormatVersion). Use the program that made it, or start another folder with --run."
      )
    }
    do { return try decoder.decode(Manifest.self, from: data) } catch {
      throw RunFolderError(
        .damaged,
        "\(shown): the manifest is damaged: \(error). Put the file back as it was, or start another folder "
          + "with --run.")
    }
  }

  func write(in paths: RunFolderPaths) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    try AtomicFile.write(encoder.encode(self) + Data("\n".utf8), to: paths.manifest)
  }

  /// What differs between the run's beginning and now, though it does not forbid to go on.
  func changes(program: String, machine: Machine, libraries: [String: String]) -> [String] {
    var changes: [String] = []
    if program != self.program { changes.append("the run was begun by \(self.program), this is \(program)") }
    if machine.processor != self.machine.processor || machine.instructionSets != self.machine.instructionSets {
      changes.append(
        "the run was begun on \(self.machine.processor), this is \(machine.processor): latencies measured on both would "
          + "be mixed")
    }
    for name in Set(self.libraries.keys).union(libraries.keys).sorted() {
      let (before, now) = (self.libraries[name] ?? "none", libraries[name] ?? "none")
      if before != now { changes.append("the run was begun with \(name) \(before), this is \(now)") }
    }
    return changes
  }
}
