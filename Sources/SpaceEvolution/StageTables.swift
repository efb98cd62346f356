public import Foundation
internal import InputFiles
public import SearchSpaces

/// All stage tables of a hyperspace.
public struct StageTables: Sendable {
  public let hyperspace: Hyperspace
  public let tables: [StageTableKey: StageTable]
  /// The image resolutions of the tables, ascending, in pixels: each has rows in every table.
  public let resolutions: [Int]

  /// Tables that are complete: one for each stage, block type and window, all with rows of the same resolutions.
  ///
  /// - Throws: `TableError` that names the table that is missing or surplus, or the resolution that one lacks.
  public init(_ tables: [StageTable], hyperspace: Hyperspace) throws(TableError) {
    let byKey = Dictionary(tables.map { ($0.key, $0) }, uniquingKeysWith: { first, _ in first })
    let resolutions = Set(tables.lazy.flatMap(\.resolutions)).sorted()
    for key in hyperspace.stageTableKeys {
      let file = hyperspace.stageTableFileName(key)
      guard let table = byKey[key] else {
        let stage = hyperspace.searchedStages[key.stage].name
        throw TableError(
          file: file,
          message: "is missing; hyperspace \(hyperspace.name) needs a table for \(stage), block type \(key.block), "
            + "width window \(key.window)")
      }
      guard !table.rows.isEmpty else { throw TableError(file: file, message: "has no rows") }
      let own = table.resolutions
      if let lacking = resolutions.first(where: { !own.contains($0) }) {
        throw TableError(
          file: file,
          message: "has no row for resolution \(lacking), which other tables have; there must be rows for "
            + resolutions.map { "\($0)" }.joined(separator: " "))
      }
      for row in table.rows
      where !(row.loss.isFinite && row.loss >= 0) || !(row.latencyMilliseconds >= 0)
        || !row.latencyMilliseconds.isFinite
      {
        throw TableError(file: file, message: "has a row whose loss or latency is negative or not finite")
      }
    }
    try Self.refuseDifferentOrigins(byKey, hyperspace)
    let needed = Set(hyperspace.stageTableKeys)
    if let surplus = byKey.keys.filter({ !needed.contains($0) }).min() {
      throw TableError(
        file: "stage \(surplus.stage), block type \(surplus.block), window \(surplus.window)",
        message: "is a table that hyperspace \(hyperspace.name) has no place for")
    }
    self.hyperspace = hyperspace
    self.tables = byKey
    self.resolutions = resolutions
  }

  /// Losses of other images, another teacher or another precision, and latencies of another device, do not add up.
  private static func refuseDifferentOrigins(
    _ tables: [StageTableKey: StageTable], _ hyperspace: Hyperspace
  ) throws(TableError) {
    let told = hyperspace.stageTableKeys.compactMap { key in tables[key]?.provenance.map { (key, $0) } }
    guard let (firstKey, first) = told.first else { return }
    for (key, other) in told {
      let pairs = [
        ("data", first.data, other.data), ("teacher", first.teacher, other.teacher),
        ("device", first.device, other.device), ("isQuantized", "\(first.isQuantized)", "\(other.isQuantized)"),
      ]
      guard let (name, before, here) = pairs.first(where: { $0.1 != $0.2 }) else { continue }
      throw TableError(
        file: hyperspace.stageTableFileName(key), line: 1,
        message:
          "its \(name) is \"\(here)\", and \"\(before)\" in \(hyperspace.stageTableFileName(firstKey)): stage tables "
          + "must have one origin")
    }
  }

  /// Reads the tables of a folder, in the published grammar or in our own.
  ///
  /// Files that are no table of the hyperspace are left alone.
  ///
  /// - Throws: `TableError`: the first refusal in the order of the tables.
  public init(folder: URL, hyperspace: Hyperspace, threads: Int = 2) throws(TableError) {
    guard (try? folder.resourceValues(forKeys: [.isDirectoryKey]))?.isDirectory == true else {
      throw TableError(file: folder.path, message: "is no folder; stage tables are the .csv files of one")
    }
    let tables = try hyperspace.stageTableKeys.concurrentMap(threads: threads) { key throws(TableError) in
      let url = folder.appendingPathComponent(hyperspace.stageTableFileName(key))
      let data: Data
      do {
        data = try InputFile.bytes(of: url, atMost: StageTable.mostBytes)
      } catch {
        throw TableError(
          file: url.path,
          message: "cannot be read: \(error); hyperspace \(hyperspace.name) needs a table of this name")
      }
      return try StageTable(text: [UInt8](data), file: url.path, key: key, hyperspace: hyperspace)
    }
    try self.init(tables, hyperspace: hyperspace)
  }

  /// Writes every table to a folder, which is made if it is not there: in our own format where a table has a
  /// provenance, else in the published one.
  public func write(to folder: URL) throws {
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    for (key, table) in tables {
      let text = table.provenance == nil ? table.publishedText(in: hyperspace) : table.text(in: hyperspace)
      try Data(text.utf8).write(
        to: folder.appendingPathComponent(hyperspace.stageTableFileName(key)), options: .atomic)
    }
  }

  /// The number of rows of all tables.
  public var rowCount: Int { tables.values.reduce(0) { $0 + $1.rows.count } }

  /// The tables that a search space draws from, one a searched stage.
  ///
  /// - Precondition: `space` is one of the hyperspace's.
  public func tables(of space: SearchSpace) -> [StageTable] {
    zip(space.blockTypes, space.windows).enumerated().map { stage, choice in
      tables[StageTableKey(stage: stage, block: choice.0, window: choice.1)]!
    }
  }
}
