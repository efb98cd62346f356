import Datasets
import DeviceLatency
import Foundation
import InferenceRuntimes
import InputFiles
import RunFolders
import Testing
import TorchTraining

/// Inputs that are small and ask for much: memory, time or a deep recursion. Too large to be kept as files.
@Suite("Limits of what is read")
struct LimitTests {
  // MARK: - Pickles

  /// A file of torch whose first value is a pickle.
  private func refusal(_ pickle: [UInt8]) -> String? {
    #expect(throws: TorchError.self) { try LegacyTorchFile(Data([0x80, 2] + pickle)) }?.message
  }

  @Test("Values within values end at a depth, before their release needs as deep a recursion")
  func deepPickle() {
    let message = refusal([UInt8(ascii: "N")] + [UInt8](repeating: 0x85, count: 2_000_000))
    #expect(message?.contains("deep") == true, "\(message ?? "")")
  }

  @Test("A list that grows item by item is not copied for each")
  func longList() {
    // 900,000 appends; as copies of all before them they would be 400,000 million.
    let appends = [[UInt8]](repeating: Array("(Ne".utf8), count: 900_000).joined()
    let message = refusal([UInt8(ascii: "]")] + appends + [UInt8(ascii: ".")])
    #expect(message?.contains("magic") == true, "\(message ?? "")")
  }

  @Test("A list that is part of another value does not change, so that it need not be copied")
  func sharedList() {
    // The list is remembered and put into a tuple; then it is recalled, and grows.
    let message = refusal(Array("]q\0".utf8) + [0x85] + Array("h\0(Ne.".utf8))
    #expect(message?.contains("changes after") == true, "\(message ?? "")")
  }

  // MARK: - Images

  @Test("The middle of a picture that is very long takes no memory for the rest")
  func longPicture() {
    let long = Picture(channels: 1, height: 1_000_000, width: 2, pixels: [UInt8](repeating: 7, count: 2_000_000))
    let square = long.square(side: 256)
    #expect(square.pixels == [UInt8](repeating: 7, count: 256 * 256))
  }

  // MARK: - Files

  private func withFolder<Result>(_ body: (URL) throws -> Result) throws -> Result {
    let folder = FileManager.default.temporaryDirectory.appending(path: "limits-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    return try body(folder)
  }

  @Test("A file is read up to its limit, and one that never ends is not read to its end")
  func fileLimit() throws {
    try withFolder { folder in
      let file = folder.appending(path: "ten")
      try Data(repeating: 3, count: 10).write(to: file)
      #expect(try InputFile.bytes(of: file, atMost: 10) == Data(repeating: 3, count: 10))
      let long = #expect(throws: InputFileError.self) { try InputFile.bytes(of: file, atMost: 9) }
      #expect(long?.description.contains("10 bytes") == true)
      #expect(throws: InputFileError.self) { try InputFile.bytes(of: folder, atMost: 9) }
      #expect(throws: InputFileError.self) { try InputFile.bytes(of: "/dev/zero", atMost: 1 << 22) }
      #expect(try InputFile.text(of: file.path, atMost: 10) == String(repeating: "\u{3}", count: 10))
    }
  }

  private struct Line: Codable, Sendable { var key: Int }

  @Test("A file that is none of records is left as it is, whether or not it ends with a line end")
  func foreignRecords() throws {
    try withFolder { folder in
      for text in ["a note of mine", "a note of mine\n", "{\"v\":2,\"key\":1}", "{\"v", "{\"v\":1,\"key\":1}\nrest"] {
        let file = folder.appending(path: "notes")
        try Data(text.utf8).write(to: file)
        let isBegun = text == "{\"v"
        if isBegun {
          // The beginning of a record is what a crash leaves.
          #expect(try RecordLog(at: file, of: Line.self).repair != nil)
          #expect(try Data(contentsOf: file).isEmpty)
        } else {
          #expect(throws: RunFolderError.self) { try RecordLog(at: file, of: Line.self) }
          #expect(try Data(contentsOf: file) == Data(text.utf8))
        }
      }
    }
  }

  @Test("A run folder whose parts are links to elsewhere is refused, and nothing is written there")
  func links() throws {
    try withFolder { folder in
      let (run, elsewhere) = (folder.appending(path: "run"), folder.appending(path: "elsewhere"))
      try FileManager.default.createDirectory(at: elsewhere, withIntermediateDirectories: true)
      func open() throws -> RunFolder { try RunFolder(at: run, configuration: "a: 1\n", program: "test") }
      _ = try open()
      for name in ["records", "checkpoints", "tables", "models"] {
        let part = run.appending(path: name)
        try FileManager.default.removeItem(at: part)
        try FileManager.default.createSymbolicLink(at: part, withDestinationURL: elsewhere)
        #expect(throws: RunFolderError.self) { _ = try open() }
        try FileManager.default.removeItem(at: part)
        _ = try open()
      }
      let outside = elsewhere.appending(path: "target.jsonl")
      try FileManager.default.createSymbolicLink(
        at: run.appending(path: "records/a.jsonl"), withDestinationURL: outside)
      let held = try open()
      #expect(throws: RunFolderError.self) { try held.records("a", of: Line.self) }
      #expect(try FileManager.default.contentsOfDirectory(atPath: elsewhere.path).isEmpty)
    }
  }

  // MARK: - Devices

  @Test("A device's command is words for a program, whatever signs of a shell they have")
  func noShell() throws {
    try withFolder { folder in
      let proof = folder.appending(path: "proof").path
      let device = try CommandDevice(
        yaml: "name: a\nversion: 1\nretries: 0\nrounds: 1\ntime: [echo, '$(touch \(proof)); touch \(proof) #{names}']",
        file: "d")
      let meter = try CommandMeter(device, threads: 1)
      _ = try? meter.measure([.emptyCall], effort: .kernel, until: .now + .seconds(20)) { _ in }
      #expect(!FileManager.default.fileExists(atPath: proof))
    }
  }
}
