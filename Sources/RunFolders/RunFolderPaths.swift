public import Foundation

/// Where things are in a run folder.
public struct RunFolderPaths: Hashable, Sendable {
  /// The folder itself.
  public let root: URL

  public init(root: URL) { self.root = root }

  /// What the run is made of and where it was begun, as JSON.
  public var manifest: URL { root.appending(path: "manifest.json") }
  /// The configuration with every default filled in, for people to read and to start further runs with.
  public var configuration: URL { root.appending(path: "configuration.yaml") }
  /// Append-only JSON lines.
  public var records: URL { root.appending(path: "records", directoryHint: .isDirectory) }
  /// Weights that the run can go on from, as safetensors.
  public var checkpoints: URL { root.appending(path: "checkpoints", directoryHint: .isDirectory) }
  /// The stage tables, as CSV.
  public var tables: URL { root.appending(path: "tables", directoryHint: .isDirectory) }
  /// The exported ONNX files and what is known of each.
  public var models: URL { root.appending(path: "models", directoryHint: .isDirectory) }
  public var report: URL { root.appending(path: "report.html") }
  var lock: URL { root.appending(path: "lock") }

  /// The file of the records called `name`: `records/NAME.jsonl`.
  public func recordFile(_ name: String) -> URL { records.appending(path: "\(name).jsonl") }

  var folders: [URL] { [records, checkpoints, tables, models] }
}
