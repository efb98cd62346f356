public import Foundation

#if canImport(Glibc)
  internal import Glibc
#else
  internal import Darwin
#endif

/// One run on disk, held by one process at a time.
///
/// A run is its resolved configuration and its seeds: opening the folder with others is refused and changes nothing.
/// The folder is held until the last reference to the `RunFolder` goes, or the process ends, however it ends.
///
/// To look into a folder that another process may be working in, use `RunFolder.manifest(of:)`, `RunFolderPaths` and
/// `RecordLog.read`, which take no lock.
public final class RunFolder: Sendable {
  public let paths: RunFolderPaths
  public let manifest: Manifest
  /// Whether this opening made the folder.
  public let isNew: Bool
  /// What the user should know: leftovers of a crash that were removed, another machine or library than at the beginning.
  public let notices: [String]

  /// `nil` for a process that has joined another's run.
  private let lock: OpenFile?

  /// Makes the folder at `url`, or goes on with the run in it.
  ///
  /// - Parameters:
  ///   - configuration: the resolved configuration as YAML text, every default filled in; equal runs have equal texts.
  ///   - inputs: the texts of files that the configuration names, by key.
  ///   - seeds: the seeds of the run by purpose.
  ///   - program: name and version, such as "spaceevo 0.1.0".
  ///   - libraries: versions of the libraries in use, by name.
  /// - Throws: `RunFolderError`: `inUse` with the process that holds the folder; `differentRun` with the first
  ///   configuration line or seed that differs; `notARunFolder` if something else is in the folder; `damaged`;
  ///   `inputOutput`, for example a folder that cannot be written to.
  public convenience init(
    at url: URL, configuration: String, inputs: [String: String] = [:], seeds: [String: UInt64] = [:], program: String,
    libraries: [String: String] = [:],
    machine: Machine = .current()
  ) throws {
    let paths = RunFolderPaths(root: url)
    try Self.makeFolder(url)
    try Self.refuseForeignContent(paths)
    let lock = try Self.hold(paths)
    let found = try Manifest.read(in: paths)
    if let found {
      try Self.compare(found, configuration: configuration, seeds: seeds, paths: paths)
      try Self.compare(found, inputs: inputs, paths: paths)
    }
    let manifest =
      found
      ?? Manifest(
        program: program, configuration: configuration, inputs: inputs, seeds: seeds, machine: machine,
        libraries: libraries)
    var notices = manifest.changes(program: program, machine: machine, libraries: libraries)
    notices += try Self.complete(paths, manifest)
    // The manifest is last: a folder with a manifest has everything else.
    if found == nil { try manifest.write(in: paths) }
    self.init(paths: paths, manifest: manifest, isNew: found == nil, notices: notices, lock: lock)
  }

  /// Goes on with the run in the folder at `url`, with the configuration that it was begun with.
  ///
  /// - Throws: `RunFolderError` as above, and `notARunFolder` if no run was begun there.
  public convenience init(
    existing url: URL, program: String, libraries: [String: String] = [:], machine: Machine = .current()
  ) throws {
    let paths = RunFolderPaths(root: url)
    _ = try Self.manifest(of: url)
    let lock = try Self.hold(paths)
    let manifest = try Self.manifest(of: url)
    var notices = manifest.changes(program: program, machine: machine, libraries: libraries)
    notices += try Self.complete(paths, manifest)
    self.init(paths: paths, manifest: manifest, isNew: false, notices: notices, lock: lock)
  }

  /// Joins a run that another process holds: to read what is there, and to write what that process leaves to others.
  ///
  /// - Throws: `RunFolderError`: `notARunFolder` where no run was begun, or this machine does not see it; `differentRun`
  ///   where it has another configuration.
  public convenience init(joining url: URL, configuration: String) throws {
    let paths = RunFolderPaths(root: url)
    let manifest = try Self.manifest(of: url)
    try Self.compare(manifest, configuration: configuration, seeds: manifest.seeds, paths: paths)
    self.init(paths: paths, manifest: manifest, isNew: false, notices: [], lock: nil)
  }

  private init(paths: RunFolderPaths, manifest: Manifest, isNew: Bool, notices: [String], lock: OpenFile?) {
    self.paths = paths
    self.manifest = manifest
    self.isNew = isNew
    self.notices = notices
    self.lock = lock
  }

  /// Reads the manifest of a folder without taking hold of it.
  ///
  /// - Throws: `RunFolderError`: `notARunFolder` if there is none; `differentRun` for another format version; `damaged`;
  ///   `inputOutput`.
  public static func manifest(of url: URL) throws -> Manifest {
    if let manifest = try Manifest.read(in: RunFolderPaths(root: url)) { return manifest }
    throw RunFolderError(
      .notARunFolder,
      "\(url.relativePath): not a run folder: it has no manifest.json. Begin a run there with "
        + "`spaceevo run --run \(url.relativePath)`, or name the folder of a run with --run.")
  }

  /// Opens the record file called `name` and hands its records to `body`; see `RecordLog.init`.
  public func records<Record: Codable & Sendable>(
    _ name: String, of type: Record.Type = Record.self, version: Int = 1, each body: (Record) throws -> Void = { _ in }
  ) throws -> RecordLog<Record> {
    try RecordLog(at: paths.recordFile(name), of: type, version: version, each: body)
  }

  /// Whether the last line of a record file is unfinished, as a crash leaves it. Opening the file cuts the line off.
  public func hasUnfinishedRecord(_ name: String) throws -> Bool {
    try Self.isUnfinished(paths.recordFile(name))
  }

  private static func isUnfinished(_ url: URL) throws -> Bool {
    guard FileManager.default.fileExists(atPath: url.path(percentEncoded: false)) else { return false }
    let last = try OpenFile(url, O_RDONLY, toDo: "open the record file").lastByte()
    return last.map { $0 != UInt8(ascii: "\n") } ?? false
  }

  // MARK: Opening, step by step

  private static func makeFolder(_ url: URL) throws {
    var isFolder: ObjCBool = false
    if FileManager.default.fileExists(atPath: url.path(percentEncoded: false), isDirectory: &isFolder) {
      if isFolder.boolValue { return }
      throw RunFolderError(
        .notARunFolder, "\(url.relativePath): this is a file, not a folder. Choose another folder with --run.")
    }
    let number = makeFolders(url.standardizedFileURL.path(percentEncoded: false))
    if number != 0 { throw RunFolderError.system("make the run folder", url, number) }
  }

  private static func refuseLink(_ url: URL) throws {
    var status = stat()
    // Of the link itself; with "/" at its end the path would be that of what it leads to.
    let path = url.path(percentEncoded: false)
    guard lstat(path.hasSuffix("/") ? String(path.dropLast()) : path, &status) == 0,
      status.st_mode & S_IFMT == S_IFLNK
    else { return }
    throw RunFolderError(
      .notARunFolder,
      "\(url.relativePath): this is a link, and a run writes only inside its own folder. Put a folder there, or let the whole "
        + "run folder lie where the link leads.")
  }

  /// Makes the folder at an absolute path, and those above it that are missing. Returns the error number, or 0.
  private static func makeFolders(_ path: String) -> Int32 {
    if mkdir(path, 0o755) == 0 || errno == EEXIST { return 0 }
    guard errno == ENOENT, path != "/" else { return errno }
    let number = makeFolders(URL(filePath: path).deletingLastPathComponent().path(percentEncoded: false))
    if number != 0 { return number }
    return mkdir(path, 0o755) == 0 ? 0 : errno
  }

  /// A folder without a manifest may hold only what a beginning that was cut short leaves.
  private static func refuseForeignContent(_ paths: RunFolderPaths) throws {
    let root = paths.root.path(percentEncoded: false)
    if access(root, R_OK | X_OK) != 0 { throw RunFolderError.system("list the folder", paths.root, errno) }
    let names = try FileManager.default.contentsOfDirectory(atPath: root)
    if names.contains(paths.manifest.lastPathComponent) { return }
    let own = Set((paths.folders + [paths.lock, paths.configuration]).map(\.lastPathComponent))
    let foreign = names.filter { !own.contains($0) && !$0.hasPrefix(AtomicFile.partialPrefix) }.sorted()
    let filled = paths.folders.filter { folder in
      let content = try? FileManager.default.contentsOfDirectory(atPath: folder.path(percentEncoded: false))
      return !(content ?? []).isEmpty
    }
    guard let name = foreign.first ?? filled.first?.lastPathComponent else { return }
    throw RunFolderError(
      .notARunFolder,
      "\(paths.root.relativePath): not a run folder: it has no manifest.json, and holds \"\(name)\". Nothing was changed. "
        + "Choose an empty or new folder with --run.")
  }

  private static func hold(_ paths: RunFolderPaths) throws -> OpenFile {
    let lock = try OpenFile(paths.lock, O_RDWR | O_CREAT | O_NOFOLLOW, toDo: "write into the run folder")
    guard try lock.lock() else {
      let holder = try String(decoding: lock.read(upTo: 32), as: UTF8.self).trimmingCharacters(
        in: .whitespacesAndNewlines)
      throw RunFolderError(
        .inUse,
        "\(paths.root.relativePath): another process (pid \(holder.isEmpty ? "not known" : holder)) works in this run "
          + "folder. Wait for it to end, or choose another folder with --run.")
    }
    let pid = Array("\(getpid())\n".utf8)
    let number = lock.cut(to: 0) != 0 ? errno : pid.withUnsafeBytes { lock.write($0) }
    if number != 0 { throw RunFolderError.system("write into the run folder", paths.lock, number) }
    return lock
  }

  private static func compare(
    _ manifest: Manifest, configuration: String, seeds: [String: UInt64], paths: RunFolderPaths
  ) throws {
    let folder = paths.root.relativePath
    let cure = "Go on with the same configuration, or start another folder with --run. Nothing was changed."
    if let difference = TextDifference(manifest.configuration, configuration) {
      let place = difference.key.map { "\($0) (line \(difference.line))" } ?? "line \(difference.line)"
      throw RunFolderError(
        .differentRun,
        "\(folder): the run was begun with another configuration. First difference: \(place): "
          + "\(quoted(difference.first)) then, \(quoted(difference.second)) now. \(cure)")
    }
    for name in Set(manifest.seeds.keys).union(seeds.keys).sorted() where manifest.seeds[name] != seeds[name] {
      let (before, now) = (manifest.seeds[name].map(String.init), seeds[name].map(String.init))
      throw RunFolderError(
        .differentRun,
        "\(folder): the run was begun with another seed \"\(name)\": \(before ?? "none") then, \(now ?? "none") now. "
          + cure)
    }
  }

  private static func compare(_ manifest: Manifest, inputs: [String: String], paths: RunFolderPaths) throws {
    for (key, before) in (manifest.inputs ?? [:]).sorted(by: { $0.key < $1.key }) {
      guard let now = inputs[key], let difference = TextDifference(before, now) else { continue }
      let place = difference.key.map { "\($0) (line \(difference.line))" } ?? "line \(difference.line)"
      throw RunFolderError(
        .differentRun,
        "\(paths.root.relativePath): the file of \(key) has changed since the run was begun. First difference: \(place): "
          + "\(quoted(difference.first)) then, \(quoted(difference.second)) now. Put it back, or start another folder with "
          + "--run. Nothing was changed.")
    }
  }

  /// Makes what is missing of the layout and clears what a crash left. Returns what the user should know.
  private static func complete(_ paths: RunFolderPaths, _ manifest: Manifest) throws -> [String] {
    var notices: [String] = []
    for folder in paths.folders {
      // A folder from elsewhere may hold links to anywhere, and a run writes nothing outside its folder.
      try refuseLink(folder)
      try makeFolder(folder)
    }
    for folder in [paths.root] + paths.folders {
      notices += try AtomicFile.removeLeftovers(in: folder).map {
        "removed \(folder.appending(path: $0).relativePath), an unfinished file that a crash left"
      }
    }
    for name in try FileManager.default.contentsOfDirectory(atPath: paths.records.path(percentEncoded: false)).sorted()
    where name.hasSuffix(".jsonl") {
      let file = paths.records.appending(path: name)
      if try isUnfinished(file) {
        notices.append(
          "\(file.relativePath): the last line is unfinished, as a crash leaves it; its work is done again")
      }
    }
    if let written = try? String(contentsOf: paths.configuration, encoding: .utf8) {
      if let difference = TextDifference(manifest.configuration, written) {
        throw RunFolderError(
          .differentRun,
          "\(paths.configuration.relativePath), line \(difference.line): changed since the run was begun: "
            + "\(quoted(difference.first)) then, \(quoted(difference.second)) now. Put the line back, or start another "
            + "run with this file: `spaceevo run \(paths.configuration.relativePath) --run ANOTHER_FOLDER`.")
      }
    } else {
      try AtomicFile.write(Data(manifest.configuration.utf8), to: paths.configuration)
    }
    return notices
  }

  private static func quoted(_ line: String?) -> String { line.map { "\"\($0)\"" } ?? "nothing" }
}
