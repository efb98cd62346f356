import Foundation

/// Something that reads bytes which a stranger may have written: what fuzzing and the tests of hostile input run.
package struct Parser: Sendable {
  /// The word for it on the command line.
  package let name: String
  /// Inputs that it takes, from which others are made.
  package let seeds: @Sendable () throws -> [[UInt8]]
  /// Reads an input, and uses what it stands for as the program would.
  ///
  /// - Throws: What the parser throws: a message.
  package let read: @Sendable ([UInt8]) throws -> Void

  /// All of them, in the order of the names.
  package static let all: [Parser] =
    (textParsers + dataParsers + weightParsers + modelParsers + recordParsers).sorted { $0.name < $1.name }

  package static func named(_ name: String) -> Parser? { all.first { $0.name == name } }

  static func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }
}

/// What a parser gave that it should not have given.
package struct UnfaithfulParser: Error, CustomStringConvertible {
  package let description: String
}

/// A folder of this process for parsers that read files, in memory where there is such a file system.
enum Scratch {
  static let folder: URL = {
    let memory = URL(filePath: "/dev/shm")
    let root = FileManager.default.isWritableFile(atPath: memory.path) ? memory : FileManager.default.temporaryDirectory
    let folder = root.appending(path: "spaceevo-parsers-\(ProcessInfo.processInfo.processIdentifier)")
    try? FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    atexit { try? FileManager.default.removeItem(at: Scratch.folder) }
    return folder
  }()

  /// Writes a file and hands over where it is; removed afterwards. Several threads may do so at once.
  static func withFile<Result>(
    _ bytes: [UInt8], named name: String, _ body: (_ folder: URL) throws -> Result
  ) throws -> Result {
    let own = folder.appending(path: "\(UInt64.random(in: 0 ... .max))", directoryHint: .isDirectory)
    try FileManager.default.createDirectory(at: own, withIntermediateDirectories: false)
    defer { try? FileManager.default.removeItem(at: own) }
    try Data(bytes).write(to: own.appending(path: name))
    return try body(own)
  }
}
