import Foundation
import RunFolders
import Testing

@Suite struct RecordLogTests {
  let folder: TemporaryFolder
  let file: URL

  init() throws {
    folder = try TemporaryFolder()
    file = folder.url.appending(path: "samples.jsonl")
  }

  @Test("Records come back in order, with every bit, after the log is opened again")
  func roundTrip() throws {
    let written =
      (0..<500).map(Sample.numbered) + [
        Sample(key: "", loss: .infinity, blocks: []), Sample(key: "", loss: -.infinity, blocks: []),
        Sample(key: "", loss: 0.1 + 0.2, blocks: [.max, .min]),
        Sample(key: "", loss: .leastNonzeroMagnitude, blocks: []),
      ]
    do {
      let log = try RecordLog<Sample>(at: file)
      for sample in written[..<250] { try log.append(sample) }
      try log.append(contentsOf: written[250...])
      #expect(log.count == written.count)
    }
    var found: [Sample] = []
    let log = try RecordLog<Sample>(at: file) { found.append($0) }
    #expect(found == written)
    #expect(log.repair == nil)
    #expect(log.count == written.count)
  }

  @Test("A hundred thousand records open in order; a damaged one among them is named by its line")
  func manyRecords() throws {
    let written = (0..<100_000).map(Sample.numbered)
    do { try RecordLog<Sample>(at: file).append(contentsOf: written) }
    var found: [Sample] = []
    do {
      let log = try RecordLog<Sample>(at: file) { found.append($0) }
      #expect(log.count == written.count)
    }
    #expect(found == written)
    var bytes = try Data(contentsOf: file)
    let ends = bytes.indices.filter { bytes[$0] == UInt8(ascii: "\n") }
    // Within the line, so that it still begins as a record does.
    bytes[ends[76_542] + 20] = UInt8(ascii: "{")
    try bytes.write(to: file)
    let error = refusal { _ = try RecordLog<Sample>(at: file) }
    #expect(error?.code == .damaged)
    #expect(error?.description.contains("samples.jsonl, line 76544: ") == true, "\(error?.description ?? "")")
  }

  @Test("A line is a JSON object that begins with the version of the schema")
  func lineFormat() throws {
    let log = try RecordLog<Sample>(at: file, version: 3)
    try log.append(Sample(key: "a/b", loss: 0.5, blocks: [1, 2]))
    #expect(
      try String(contentsOf: file, encoding: .utf8) == "{\"v\":3,\"blocks\":[1,2],\"key\":\"a/b\",\"loss\":0.5}\n")
  }

  @Test("Cut at any byte of its last line, a log opens with the records before it and goes on")
  func truncatedAnywhere() throws {
    let written = (0..<3).map(Sample.numbered)
    do {
      let log = try RecordLog<Sample>(at: file)
      for sample in written { try log.append(sample) }
    }
    let whole = try Data(contentsOf: file)
    let keptLength = try #require(whole.dropLast().lastIndex(of: UInt8(ascii: "\n"))) + 1
    for length in keptLength..<whole.count {
      try whole.prefix(length).write(to: file)
      do {
        var found: [Sample] = []
        let log = try RecordLog<Sample>(at: file) { found.append($0) }
        #expect(found == Array(written[..<2]), "cut to \(length) bytes")
        #expect((log.repair == nil) == (length == keptLength), "cut to \(length) bytes")
        try log.append(written[2])
      }
      #expect(try Data(contentsOf: file) == whole, "cut to \(length) bytes")
    }
  }

  @Test("Reading without taking hold passes over an unfinished last line and leaves it there")
  func readWhileWritten() throws {
    let log = try RecordLog<Sample>(at: file)
    try log.append(.numbered(1))
    let bytes = try Data(contentsOf: file) + Data("{\"v\":1,\"key\":".utf8)
    try bytes.write(to: file)
    #expect(try samples(in: file) == [.numbered(1)])
    #expect(try Data(contentsOf: file) == bytes)
    #expect(try samples(in: folder.url.appending(path: "none.jsonl")).isEmpty)
  }

  @Test(
    "A damaged line that is not the unfinished last one is an error that names the file and the line",
    arguments: [
      ("{\"v\":1,\"key\":\"a\",\"loss\"", "not valid JSON"),
      ("{\"v\":1,\"key\":\"a\",\"loss\":1}", "the key \"blocks\" is missing"),
      ("{\"v\":1,\"key\":\"a\",\"loss\":\"much\",\"blocks\":[]}", "loss"),
      ("{\"v\":1,\"key\":7,\"loss\":1,\"blocks\":[]}", "the value of \"key\" has another type"),
      ("", "does not begin with"), ("\0\0\0\0\0\0", "does not begin with"),
      ("{\"v\":2,\"key\":\"a\",\"loss\":1,\"blocks\":[]}", "does not begin with {\"v\":1,"),
      ("{\"v\":11,\"key\":\"a\",\"loss\":1,\"blocks\":[]}", "does not begin with"),
      ("{\"key\":\"a\",\"loss\":1,\"blocks\":[]}", "does not begin with"),
    ], [0, 137, 299])
  func damagedLine(damage: (line: String, reason: String), position: Int) throws {
    do {
      let log = try RecordLog<Sample>(at: file)
      try log.append(contentsOf: (0..<300).map(Sample.numbered))
    }
    var lines = try String(contentsOf: file, encoding: .utf8).split(separator: "\n", omittingEmptySubsequences: false)
    lines[position] = damage.line[...]
    let bytes = Data(lines.joined(separator: "\n").utf8)
    try bytes.write(to: file)
    let error = try #require(refusal { _ = try RecordLog<Sample>(at: file) })
    #expect(error.code == .damaged)
    #expect(error.description.contains("samples.jsonl, line \(position + 1):"))
    #expect(error.description.contains(damage.reason))
    #expect(try Data(contentsOf: file) == bytes)
  }

  @Test("A file is held by one log at a time")
  func lock() throws {
    do {
      let log = try RecordLog<Sample>(at: file)
      try log.append(.numbered(0))
      #expect(refusal { _ = try RecordLog<Sample>(at: file) }?.code == .inUse)
    }
    #expect(try RecordLog<Sample>(at: file).count == 1)
  }

  @Test("Many threads append whole lines")
  func threads() async throws {
    let log = try RecordLog<Sample>(at: file)
    try await withThrowingTaskGroup(of: Void.self) { group in
      for thread in 0..<4 {
        group.addTask { for index in 0..<50 { try log.append(.numbered(thread * 50 + index)) } }
      }
      try await group.waitForAll()
    }
    #expect(Set(try samples(in: file)) == Set((0..<200).map(Sample.numbered)))
    #expect(log.count == 200)
  }

  @Test("What cannot be a record line is refused and nothing is written")
  func notARecord() throws {
    struct Versioned: Codable { var v: Int }
    let numbers = try RecordLog<Int>(at: file)
    #expect(refusal { try numbers.append(7) }?.code == .invalidRecord)
    let versioned = try RecordLog<Versioned>(at: folder.url.appending(path: "versioned.jsonl"))
    #expect(refusal { try versioned.append(Versioned(v: 7)) }?.code == .invalidRecord)
    #expect(try Data(contentsOf: file).isEmpty)
  }

  @Test("A record that is larger than a reading piece comes back among small ones")
  func largeRecord() throws {
    let large = Sample(key: String(repeating: "x", count: 3 << 20), loss: 1, blocks: [])
    try RecordLog<Sample>(at: file).append(contentsOf: [.numbered(1), large, .numbered(2)])
    #expect(try samples(in: file) == [.numbered(1), large, .numbered(2)])
  }

  @Test("What the reader of the records throws ends the opening and is passed on")
  func bodyThrows() throws {
    struct Enough: Error {}
    try RecordLog<Sample>(at: file).append(contentsOf: (0..<10).map(Sample.numbered))
    #expect(throws: Enough.self) { _ = try RecordLog<Sample>(at: file) { if $0 == .numbered(5) { throw Enough() } } }
    #expect(try samples(in: file).count == 10)
  }

  @Test("A folder that is not there is named, with the reason")
  func missingFolder() throws {
    let error = refusal { _ = try RecordLog<Sample>(at: folder.url.appending(path: "none/samples.jsonl")) }
    #expect(error?.code == .inputOutput)
    #expect(error?.description.contains("none/samples.jsonl: cannot open the record file: No such file") == true)
  }
}
