import Foundation
import NetworkGraphs
import SearchSpaces
import SpaceEvolution
import Testing

@Suite struct StageTableTests {
  /// Stage 3 of `onnxw` (widths 64-144, window 2 is 96-128) with MBConv.
  private let key = StageTableKey(stage: 2, block: 1, window: 2)
  private let lines = [
    "5#96#8_5#96#8_3#128#4,1x48x20x20,0.2704,80.0384,0.7599,1.7129",
    "5#112#8_5#96#4,1x80x28x28,0.2532,92.5504,0.7867,1.8561",
  ]

  private func read(_ text: String, key: StageTableKey? = nil) throws -> StageTable {
    let hyperspace = try #require(Hyperspace.builtIn("onnxw"))
    return try StageTable(text: Array(text.utf8), file: "t.csv", key: key ?? self.key, hyperspace: hyperspace)
  }

  @Test func `a published table is read as it stands`() throws {
    let text = lines.joined(separator: "\n")
    // With and without a last line end, with those of Windows, and with the mark that some editors put first.
    let windows = lines.joined(separator: "\r\n")
    for text in [text, text + "\n", windows, windows + "\r\n", "\u{FEFF}" + text] {
      let table = try read(text)
      #expect(table.rows.count == 2 && table.provenance == nil && table.resolutions == [160, 224])
      let row = table.rows[0]
      #expect(row.blocks.map(\.kernel) == [5, 5, 3] && row.blocks.map(\.width) == [96, 96, 128])
      #expect(row.blocks.map(\.expansion) == [8, 8, 4])
      #expect(row.input == TensorShape(channels: 48, height: 20, width: 20) && row.resolution == 160)
      #expect(row.loss == 0.2704 && row.megaMACs == 80.0384 && row.megaParameters == 0.7599)
      #expect(row.latencyMilliseconds == 1.7129)
    }
  }

  @Test func `both formats round-trip`() throws {
    let hyperspace = try #require(Hyperspace.builtIn("onnxw"))
    let text = lines.joined(separator: "\n") + "\n"
    var table = try read(text)
    #expect(table.publishedText(in: hyperspace) == text)
    table.provenance = StageTableProvenance(
      data: "train, \"half\"", teacher: "b3", device: "cpu, 1 thread", seed: .max, isQuantized: true,
      versions: ["onnxruntime": "1.32.0"])
    table.rows[0].loss = 0.1 + 0.2
    table.rows[1].latencyMilliseconds = 1.25e-7
    let own = try read(table.text(in: hyperspace))
    #expect(own == table)
    // Back to the published format: four decimals, no provenance.
    let back = try read(own.publishedText(in: hyperspace))
    #expect(back.rows[0].loss == 0.3 && back.rows[1].latencyMilliseconds == 0 && back.provenance == nil)
    let none = StageTableKey(stage: 2, block: 0, window: 2)
    let bare = "5#96#None_3#128#None,1x48x20x20,0.2704,80.0384,0.7599,1.7129\n"
    #expect(try read(bare, key: none).publishedText(in: hyperspace) == bare)
  }

  @Test(arguments: 0..<40 as Range<UInt64>)
  func `random tables of all block types round-trip in both formats`(seed: UInt64) throws {
    let hyperspace = try #require(Hyperspace.builtIn(seed % 2 == 0 ? "onnxw" : "mobilew"))
    var generator = SeededGenerator(seed: seed)
    let key = generator.choose(hyperspace.stageTableKeys)
    let index = hyperspace.stages.indices.filter { hyperspace.stages[$0].isSearched }[key.stage]
    let choices = hyperspace.stageChoices(stage: hyperspace.stages[index], block: key.block, window: key.window)
    let rows = (0..<30).map { _ in
      let resolution = generator.choose([160, 192, 224])
      let edge = resolution / hyperspace.downsampling(throughStage: index - 1)
      func number() -> Double { Double(generator.next(below: 1_000_000)) / 1e4 }
      return StageRow(
        blocks: choices.randomBlocks(using: &generator),
        input: TensorShape(
          channels: generator.choose(hyperspace.stages[index - 1].widths), height: edge, width: edge),
        resolution: resolution, loss: number(), megaMACs: number(), megaParameters: number(),
        latencyMilliseconds: number())
    }
    var table = StageTable(key: key, rows: rows)
    func reread(_ text: String) throws -> StageTable {
      try StageTable(text: Array(text.utf8), file: "t.csv", key: key, hyperspace: hyperspace)
    }
    #expect(try reread(table.publishedText(in: hyperspace)) == table)
    table.provenance = StageTableProvenance(
      data: "d", teacher: "t", device: "e", seed: seed, isQuantized: false, versions: [:])
    #expect(try reread(table.text(in: hyperspace)) == table)
  }

  /// What stands in the first line instead of what, with the column and a part of the message.
  @Test(arguments: [
    ("5#96#8", "4#96#8", 1, "kernel 4 is not among 3 5"),
    ("5#96#8", "5#144#8", 3, "width 144 is not among 96 112 128"),
    ("5#96#8", "5#97#8", 3, "width 97 is not among"),
    ("5#96#8", "5#96#3", 6, "\"3\" is no expansion"),
    ("5#96#8", "5#96#None", 6, "\"None\" is no expansion"),
    ("5#96#8", "5#96", 5, "where \"#\" is right"),
    ("5#96#8", "5.0#96#8", 2, "where \"#\" is right"),
    ("5#96#8", "#96#8", 1, "is no kernel"),
    ("1x48", "2x48", 23, "where \"1\" is right"),
    ("1x48", "1x50", 25, "input width 50 is not among 32 48 64 80 96"),
    ("20x20", "20x21", 23, "20x21 is not square"),
    ("20x20", "21x21", 23, "right heights are 20 22 24 26 28"),
    (",0.2704", ",NaN", 34, "\"NaN\" is no loss"),
    (",0.2704", ",-0.2704", 34, "is no loss"),
    (",0.2704", ",inf", 34, "is no loss"),
    (",0.2704", ",1e-1", 34, "is no loss"),
    (",0.2704", ",", 34, "is no loss"),
    (",80.0384", ",nan", 41, "is no number of MACs"),
    (",0.7599", ",x", 49, "is no number of parameters"),
    (",1.7129", ",-1.7129", 56, "is no latency"),
    (",1.7129", "", 55, "the line ends where \",\" is right"),
    (",1.7129", ",1.7129,5", 62, "where the line should end"),
    (",1.7129", ",1.7129\r\r", 62, "where the line should end"),
  ])
  func `a faulty row is refused by line and column`(right: String, wrong: String, column: Int, message: String) throws {
    // As the second line, so that a reader that does not count is found out.
    let faulty = lines[0].replacing(right, with: wrong, maxReplacements: 1)
    let error = #expect(throws: TableError.self) { try read(lines[1] + "\n" + faulty + "\n" + lines[1]) }
    #expect(error?.line == 2 && error?.column == column && error?.file == "t.csv", "\(error!)")
    #expect(error?.message.contains(message) == true, "\(error!)")
  }

  @Test(arguments: [
    ("", "has no rows"), ("\n", "where the kernel belongs"),
    ("5#96#8,1x48x20x20,0.1000,1.0000,1.0000,1.0000\n", "1 blocks"),
    ([String](repeating: "5#96#8", count: 7).joined(separator: "_"), "more than 6 blocks"),
    ("#other 1\n", "format is unknown"), ("#spaceevo-stage-table 1 {}\n", "provenance"),
    ("#spaceevo-stage-table 2 {\"data\":\"\"}\n", "format is unknown"), ("\u{FEFF}\u{FEFF}5#96", "is no kernel"),
  ])
  func `a text that is no table is refused`(text: String, message: String) throws {
    let error = #expect(throws: TableError.self) { try read(text) }
    #expect(error?.message.contains(message) == true, "\(error!)")
  }

  @Test func `tables that do not belong together are refused`() throws {
    let hyperspace = try Synthetic.hyperspace()
    let tables = try Synthetic.tables(of: hyperspace, rows: 2, seed: 0).tables.values.sorted { $0.key < $1.key }
    func message(_ change: (inout [StageTable]) -> Void) -> String {
      var changed = tables
      change(&changed)
      do {
        _ = try StageTables(changed, hyperspace: hyperspace)
        return "none"
      } catch {
        return "\(error)"
      }
    }
    #expect(message { _ in } == "none")
    #expect(message { $0.remove(at: 3) }.contains("stage1_1_1.csv: is missing"))
    #expect(
      message { $0[2].rows.removeAll { $0.resolution == 32 } }.contains("stage1_1_0.csv: has no row for resolution 32"))
    #expect(message { $0[2].rows = [] }.contains("stage1_1_0.csv: has no rows"))
    #expect(message { $0[2].rows[0].loss = .nan }.contains("stage1_1_0.csv"))
    #expect(message { $0[2].rows[0].latencyMilliseconds = -1 }.contains("stage1_1_0.csv"))
    #expect(message { $0[2].key.window = 7 }.contains("is missing"))
  }

  @Test(arguments: ["data", "teacher", "device"])
  func `tables of several origins are refused, with the file and what differs`(name: String) throws {
    let hyperspace = try Synthetic.hyperspace()
    var tables = try Synthetic.tables(of: hyperspace, rows: 2, seed: 0).tables.values.sorted { $0.key < $1.key }
    for index in tables.indices {
      tables[index].provenance = StageTableProvenance(
        data: "d", teacher: "t", device: "e", seed: UInt64(index), isQuantized: true, versions: [:])
    }
    // Several seeds are no harm.
    _ = try StageTables(tables, hyperspace: hyperspace)
    switch name {
    case "data": tables[3].provenance!.data = "other"
    case "teacher": tables[3].provenance!.teacher = "other"
    default: tables[3].provenance!.device = "other"
    }
    let error = #expect(throws: TableError.self) { try StageTables(tables, hyperspace: hyperspace) }
    let file = hyperspace.stageTableFileName(tables[3].key)
    #expect(error?.description.hasPrefix("\(file):1: its \(name) is \"other\"") == true, "\(error!)")
  }

  @Test func `folders are read and written whole`() throws {
    let hyperspace = try Synthetic.hyperspace()
    let folder = FileManager.default.temporaryDirectory.appending(path: "tables-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: folder) }
    let tables = try Synthetic.tables(of: hyperspace, rows: 3, seed: 1)
    try tables.write(to: folder)
    let again = try StageTables(folder: folder, hyperspace: hyperspace)
    #expect(again.tables == tables.tables)
    let file = folder.appending(path: "stage2_1_0.csv")
    try Data("nonsense".utf8).write(to: file)
    let error = #expect(throws: TableError.self) { try StageTables(folder: folder, hyperspace: hyperspace) }
    #expect(error?.description.hasPrefix("\(file.path):1:1: ") == true, "\(error!)")
    try FileManager.default.removeItem(at: file)
    let missing = #expect(throws: TableError.self) { try StageTables(folder: folder, hyperspace: hyperspace) }
    #expect(missing?.message.contains("cannot be read") == true)
    let nowhere = folder.appending(path: "nowhere")
    #expect(throws: TableError.self) { try StageTables(folder: nowhere, hyperspace: hyperspace) }
  }

  @Test func `a wrong cost is found with its file and line`() throws {
    let hyperspace = try Synthetic.hyperspace()
    var tables = try Synthetic.tables(of: hyperspace, rows: 3, seed: 1).tables
    for (key, table) in tables {
      var costs = StageCosts(key: key, hyperspace: hyperspace)
      for (index, row) in table.rows.enumerated() {
        let cost = costs.cost(of: row.blocks, input: row.input)
        tables[key]!.rows[index].megaMACs = Double(cost.macs) / 1e6
        tables[key]!.rows[index].megaParameters = Double(cost.parameters) / 1e6
      }
    }
    #expect(try StageTables(Array(tables.values), hyperspace: hyperspace).checkCosts().mismatches.isEmpty)
    let wrong = StageTableKey(stage: 1, block: 0, window: 2)
    tables[wrong]!.rows[2].megaMACs += 2e-4
    tables[wrong]!.rows[1].megaParameters -= 2e-4
    let check = try StageTables(Array(tables.values), hyperspace: hyperspace).checkCosts()
    #expect(check.mismatches.map(\.file) == ["stage2_0_2.csv", "stage2_0_2.csv"])
    #expect(check.mismatches.map(\.line) == [2, 3] && check.mismatches.map(\.field) == ["parameters", "macs"])
  }
}
