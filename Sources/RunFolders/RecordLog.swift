public import Foundation
internal import Synchronization

#if canImport(Glibc)
  internal import Glibc
#else
  internal import Darwin
#endif

/// An append-only file of records, one JSON object a line: `{"v":1,"key":"…",…}`.
///
/// `v` is the version of the record's schema; the other keys are the record's own. A line is written by one write(2) and
/// flushed to the disk before `append` returns, so a record that was appended survives a crash, and one that was not is
/// not there at all. One open log at a time may write to a file: the file is locked. Any thread may append.
///
///     var done: Set<String> = []
///     let log = try RecordLog(at: url, of: Measurement.self) { done.insert($0.key) }
///     for key in keys where !done.contains(key) { try log.append(measure(key)) }
public final class RecordLog<Record: Codable & Sendable>: Sendable {
  /// The file's location.
  public let url: URL
  /// What opening repaired, for the user to read; nil if the file was in order.
  public let repair: String?

  private struct State {
    /// The length in bytes of the whole lines. What is beyond it, a failed append left.
    var length: Int
    var lines: Int
    var isCutNeeded = false
  }

  private let file: OpenFile
  private let lines: RecordLines<Record>
  private let state: Mutex<State>

  /// Opens the file at `url`, or makes it, and hands every record in it to `body`, in the order of the file.
  ///
  /// A last line without its line end is what a crash leaves: it is cut off, and `repair` tells of it.
  ///
  /// - Parameter version: the version of the schema of `Record`. A file with lines of another version is refused.
  /// - Throws: `RunFolderError`: `inUse` if the file is open for writing already; `damaged` with the number of the line
  ///   that is not such a record; `inputOutput`. Whatever `body` throws.
  public init(
    at url: URL, of _: Record.Type = Record.self, version: Int = 1, each body: (Record) throws -> Void = { _ in }
  ) throws {
    self.url = url
    file = try OpenFile(url, O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW, toDo: "open the record file")
    guard try file.lock() else {
      throw RunFolderError(
        .inUse, "\(url.relativePath): another process writes to this record file; wait for it to end.")
    }
    lines = RecordLines(url: url, version: version)
    let found = try lines.read(file, each: body)
    if found.wholeBytes == 0 { try AtomicFile.flushFolder(of: url) }
    if !found.rest.isEmpty {
      // Only what this program can have written is cut off; the end of anybody else's file is not.
      guard lines.isUnfinishedLine(found.rest) else { throw lines.foreign(found.rest, line: found.lines + 1) }
      let number = file.cut(to: found.wholeBytes)
      if number != 0 { throw RunFolderError.system("cut off its unfinished last line", url, number) }
      repair =
        "\(url.relativePath): the last line was unfinished (\(found.rest.count) bytes), as a crash leaves it, "
        + "and was cut off; the \(found.lines) records before it are whole."
    } else {
      repair = nil
    }
    state = Mutex(State(length: found.wholeBytes, lines: found.lines))
  }

  /// Hands every whole record of a file to `body` without locking or changing it. No file means no records, and an
  /// unfinished last line is passed over: another process may be writing it.
  ///
  /// - Throws: `RunFolderError`: `damaged` with the number of the line that is not such a record; `inputOutput`.
  ///   Whatever `body` throws.
  public static func read(
    _ url: URL, of _: Record.Type = Record.self, version: Int = 1, each body: (Record) throws -> Void
  ) throws {
    guard FileManager.default.fileExists(atPath: url.path(percentEncoded: false)) else { return }
    let file = try OpenFile(url, O_RDONLY, toDo: "open the record file")
    _ = try RecordLines<Record>(url: url, version: version).read(file, each: body)
  }

  /// How many records the file holds.
  public var count: Int { state.withLock(\.lines) }

  /// Adds a record, and returns when it is on the disk.
  ///
  /// - Throws: `RunFolderError`: `invalidRecord` if the record is not a JSON object or has a key `v` of its own;
  ///   `inputOutput` if it could not be written (a full disk): the file then holds what it held before.
  public func append(_ record: Record) throws { try append(contentsOf: CollectionOfOne(record)) }

  /// Adds records by one write and one flush. A crash in the middle keeps the first few of them, each whole.
  ///
  /// - Throws: as `append(_:)`; if it throws, none of them was added.
  public func append(contentsOf records: some Collection<Record>) throws {
    if records.isEmpty { return }
    let bytes = try lines.encode(records)
    try state.withLock { state in
      try cutLeftover(&state)
      let number = write(bytes)
      guard number == 0 else {
        state.isCutNeeded = true
        try? cutLeftover(&state)
        let remains = " Nothing of the new record was kept; the \(state.lines) records before it are whole."
        throw RunFolderError.system("append a record", url, number, remains: remains)
      }
      state.length += bytes.count
      state.lines += records.count
    }
  }

  private func write(_ bytes: Data) -> Int32 {
    let number = bytes.withUnsafeBytes { FaultPoint.around($0) { file.write($0) } }
    return number == 0 ? file.flush() : number
  }

  private func cutLeftover(_ state: inout State) throws {
    guard state.isCutNeeded else { return }
    let number = file.cut(to: state.length)
    if number != 0 { throw RunFolderError.system("cut off what a failed write left", url, number) }
    state.isCutNeeded = false
  }
}
