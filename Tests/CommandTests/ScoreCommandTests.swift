import Foundation
import Testing

/// The built program, run as a user does.
private struct Program {
  var status: Int32
  var output: String
  var errors: String

  private static let file = URL(filePath: CommandLine.arguments[0]).deletingLastPathComponent().appending(
    path: "spaceevo")

  init(_ arguments: [String], in folder: URL) throws { try self.init(Self.file, arguments, in: folder) }

  init(shell line: String, in folder: URL) throws {
    let command = "\"$0\" \(line)"
    try self.init(URL(filePath: "/bin/sh"), ["-c", command, Self.file.path(percentEncoded: false)], in: folder)
  }

  private init(_ executable: URL, _ arguments: [String], in folder: URL) throws {
    let process = Process()
    process.executableURL = executable
    process.arguments = arguments
    process.currentDirectoryURL = folder
    let files = ["out", "err"].map { folder.appending(path: "\(UUID().uuidString).\($0)") }
    for file in files { try Data().write(to: file) }
    process.standardOutput = try FileHandle(forWritingTo: files[0])
    process.standardError = try FileHandle(forWritingTo: files[1])
    try process.run()
    process.waitUntilExit()
    status = process.terminationStatus
    output = try String(contentsOf: files[0], encoding: .utf8)
    errors = try String(contentsOf: files[1], encoding: .utf8)
    for file in files { try FileManager.default.removeItem(at: file) }
  }
}

/// A folder with a hyperspace of two spaces and its tables.
private final class Workplace {
  let folder = FileManager.default.temporaryDirectory.appending(path: "commands-\(UUID().uuidString)")
  static let rows = """
    3#8#2,1x8x16x16,0.2000,0.1000,0.0010,1.0000
    5#16#2_3#16#2,1x8x16x16,0.1000,0.2000,0.0020,2.5000
    3#16#2,1x8x16x16,0.3000,0.1000,0.0010,1.2500

    """

  init() throws {
    try FileManager.default.createDirectory(at: folder.appending(path: "t"), withIntermediateDirectories: true)
    try write(
      "h.yaml",
      """
      name: two
      image: {channels: 1, resolutions: [32, 64]}
      classes: 10
      blocks:
        - {family: mbconv, kernels: [3, 5], expansions: [2], activation: relu6}
      stem: {name: stem, widths: [8], kernel: 3, stride: 2, activation: relu}
      stages:
        - {name: stage1, widths: [8, 16, 24], window: 2, depths: [1, 2], stride: 1}
      head:
        - {layer: global-average-pool, name: pool}
        - {layer: linear, name: logits}
      """)
    try write("t/stage1_0_0.csv", Workplace.rows)
    try write(
      "t/stage1_0_1.csv", Workplace.rows.replacing("#8#2", with: "#24#2").replacing("0.2000,0.1", with: "0.1500,0.1"))
  }

  deinit { try? FileManager.default.removeItem(at: folder) }

  func write(_ name: String, _ text: String) throws {
    try Data(text.utf8).write(to: folder.appending(path: name))
  }

  /// Runs a line through a shell, which may redirect or close the program's streams.
  func shell(_ line: String) throws -> Program { try Program(shell: line, in: folder) }

  func run(_ line: String) throws -> Program {
    try Program(line.split(separator: " ").map(String.init), in: folder)
  }
}

@Suite struct ScoreCommandTests {
  private let common = "--hyperspace h.yaml --tables t"

  @Test func `score, evolve and optimum print one JSON value with the fixed names`() throws {
    let work = try Workplace()
    struct Answer: Decodable {
      struct Space: Decodable {
        struct Constraint: Decodable {
          var latencyMilliseconds, feasibleFraction, tailLoss, score: Double
        }
        var space: String
        var score: Double
        var constraints: [Constraint]
      }
      var spaces: [Space]
      var evaluated, candidates: Int?
    }
    func answer(_ line: String) throws -> Answer {
      let program = try work.run(line)
      #expect(program.status == 0, "\(program.errors)")
      return try JSONDecoder().decode(Answer.self, from: Data(program.output.utf8))
    }
    let score = try answer("score \(common) --latency 2 --latency 2.5 --json two-0-0 two-0-1")
    #expect(score.spaces.map(\.space) == ["two-0-0", "two-0-1"])
    let figures = score.spaces[0].constraints
    #expect(figures.map(\.latencyMilliseconds) == [2, 2.5])
    #expect(abs(figures[0].feasibleFraction - 2.0 / 3) < 1e-9 && abs(figures[0].tailLoss - 0.2) < 1e-9)
    #expect(abs(figures[1].feasibleFraction - 1) < 1e-9 && abs(figures[1].tailLoss - 0.1) < 1e-9)
    #expect(abs(score.spaces[0].score - 15) < 1e-6)
    let fixed = try answer("score \(common) --latency 2 --fixed-latency 32=0.9 --json two-0-0").spaces[0].constraints[0]
    #expect(abs(fixed.feasibleFraction - 1.0 / 3) < 1e-9)

    let optimum = try answer("optimum \(common) --latency 2 --top 2 --json --quiet")
    #expect(optimum.spaces.map(\.space) == ["two-0-1", "two-0-0"] && optimum.candidates == 2)
    let evolved = try answer("evolve \(common) --latency 2 --top 2 --json --quiet --width-consistent")
    #expect(evolved.spaces.map(\.space) == ["two-0-1", "two-0-0"] && evolved.evaluated == 2)
    let estimate = try answer("score \(common) --latency 2 --monte-carlo 1000 --seed 3 --json two-0-0")
    #expect(abs(estimate.spaces[0].constraints[0].feasibleFraction - 2.0 / 3) < 0.1)
  }

  /// The command, its exit status and what its message has to name.
  @Test(arguments: [
    ("score %C --latency 2 two-00-00", 1, "has 2 stages; hyperspace two searches 1"),
    ("score %C --latency 2 two-0", 1, "is no search space"),
    ("score %C --latency 2 two-1-0", 1, "block type 1 is not among 0-0"),
    ("score %C --latency 2 two-0-2", 1, "width window 2 is not among 0-1"),
    ("score %C --latency 2 onnxw-0-0", 1, "is a space of onnxw"),
    ("score %C --latency 0.5 two-0-0", 1, "0.5 ms is under the fastest subnet of all spaces, 1.0 ms"),
    ("optimum %C --latency 0.5", 1, "under the fastest subnet"),
    ("evolve %C --latency 0.5", 1, "under the fastest subnet"),
    ("score %C --latency nan two-0-0", 64, "--latency nan"),
    ("score %C --latency -2 two-0-0", 64, "latency"),
    ("score %C --latency two two-0-0", 64, "--latency"),
    ("score %C two-0-0", 64, "--latency"),
    ("score %C --latency 2", 64, "spaces"),
    ("score %C --latency 2 --fraction 0 two-0-0", 64, "--fraction"),
    ("score %C --latency 2 --exponent nan two-0-0", 64, "--exponent"),
    ("score %C --latency 2 --monte-carlo 0 two-0-0", 64, "--monte-carlo"),
    ("score %C --latency 2 --fixed-latency 32 two-0-0", 64, "RESOLUTION=MILLISECONDS"),
    ("score %C --latency 2 --fixed-latency 32=x two-0-0", 64, "RESOLUTION=MILLISECONDS"),
    (
      "score %C --latency 2 --fixed-latency 64=1 two-0-0", 1,
      "resolution 64, which the tables do not have; they have 32"
    ),
    ("score %C --latency 2 --fixed-latency 32=1 --fixed-latency 32=2 two-0-0", 64, "given twice"),
    ("score --hyperspace none --tables t --latency 2 two-0-0", 1, "built-in ones are onnxw"),
    ("score --hyperspace h.yaml --tables nowhere --latency 2 two-0-0", 1, "is no folder"),
    ("score --hyperspace onnxw --tables t --latency 2 onnxw-151122-023231", 1, "stage1_0_0.csv"),
    ("score %C --latency 2 --latency 2 two-0-0", 64, "is given twice"),
    ("score %C --latency 2 --seed -1 two-0-0", 64, "'-1' is invalid for '--seed"),
    ("optimum %C --latency 2 --report nowhere/page.html", 64, "there is no folder"),
    ("evolve %C --latency 2 --report t", 64, "is a folder; name a file"),
    ("export --hyperspace h.yaml --space two-0-0 --subnet x --output nowhere/x.onnx", 64, "--output nowhere/x.onnx"),
    ("tables --hyperspace h.yaml --tables t --output h.yaml", 64, "is a file; name a folder"),
    ("distill --run r --pairs 2", 64, "are of --verify"),
    ("distill --run r --json", 64, "are of --verify"),
    ("profile --run r --minutes 2", 64, "goes with --device and --hyperspace"),
    ("evaluate --model none.onnx --skip-broken-files", 64, "is for --data folder"),
    ("optimum %C --latency 2 --top 0", 64, "--top"),
    ("evolve %C --latency 2 --evaluations 0", 64, "--evaluations"),
    ("agreement %C --latency 2 --width-consistent", 64, "leave it out"),
    ("tables --hyperspace h.yaml --tables t --output t", 64, "is not empty"),
  ])
  func `bad input ends with its status and names what is wrong`(line: String, status: Int32, message: String) throws {
    let program = try Workplace().run(line.replacing("%C", with: common))
    #expect(program.status == status, "\(program.errors)")
    #expect(program.errors.contains(message), "\(program.errors)")
    #expect(program.output.isEmpty)
  }

  @Test(arguments: [
    ("0.2000", "NaN", "t/stage1_0_0.csv:1:17: \"NaN\" is no loss"), ("#8#2", "#24#2", "t/stage1_0_0.csv:1:3: width 24"),
    ("3#8#2", "7#8#2", "t/stage1_0_0.csv:1:1: kernel 7"),
    ("#8#2", "#8#4", "t/stage1_0_0.csv:1:5: \"4\" is no expansion"),
    ("1x8x", "1x9x", "t/stage1_0_0.csv:1:9: input width 9 is not among 8"),
    ("x16x16", "x17x17", "right heights are 16 32"),
    (Workplace.rows, "", "t/stage1_0_0.csv: has no rows"), ("x16x16", "x32x32", "has no row for resolution"),
  ])
  func `a faulty table is named by file, line and column`(right: String, wrong: String, message: String) throws {
    let work = try Workplace()
    let isWhole = wrong == "x32x32" || wrong.isEmpty
    try work.write(
      "t/stage1_0_0.csv",
      isWhole
        ? Workplace.rows.replacing(right, with: wrong)
        : Workplace.rows.replacing(right, with: wrong, maxReplacements: 1))
    for line in ["score \(common) --latency 2 two-0-1", "optimum \(common) --latency 2", "cost \(common)"] {
      let program = try work.run(line)
      #expect(program.status == 1 && program.errors.contains(message), "\(program.errors)")
    }
  }

  @Test func `tables convert to our own format and back, and pages and records are written`() throws {
    let work = try Workplace()
    #expect(try work.run("tables --hyperspace h.yaml --tables t --output own --device meter --seed 7").status == 0)
    let own = try String(contentsOf: work.folder.appending(path: "own/stage1_0_0.csv"), encoding: .utf8)
    #expect(own.hasPrefix("#spaceevo-stage-table 1 {") && own.contains("\"device\":\"meter\""))
    #expect(try work.run("tables --hyperspace h.yaml --tables own --output back --format published").status == 0)
    let back = try String(contentsOf: work.folder.appending(path: "back/stage1_0_0.csv"), encoding: .utf8)
    #expect(back == Workplace.rows)
    let scores = try ["t", "own", "back"].map {
      try work.run("score --hyperspace h.yaml --tables \($0) --latency 2 --json two-0-0").output
    }
    #expect(Set(scores).count == 1 && !scores[0].isEmpty)

    #expect(try work.run("evolve \(common) --latency 2 --report page.html --records all.jsonl --quiet").status == 0)
    let page = try String(contentsOf: work.folder.appending(path: "page.html"), encoding: .utf8)
    for title in ["Aging evolution", "Latency of the subnets", "Loss of the subnets", "The best spaces"] {
      #expect(page.contains(title))
    }
    let records = try String(contentsOf: work.folder.appending(path: "all.jsonl"), encoding: .utf8)
    #expect(records.split(separator: "\n").count == 2)
    let again = try work.run("evolve \(common) --latency 2 --records all.jsonl --quiet")
    #expect(again.status == 64 && again.errors.contains("holds 2 records"))
  }

  @Test(arguments: ["score %C --latency 2 two-0-0 --json", "optimum %C --latency 2", "--help", "--version"])
  func `a result that cannot be written is a failure`(line: String) throws {
    let work = try Workplace()
    let command = line.replacing("%C", with: common)
    for place in [">/dev/full", ">&-", ">&- 2>&-", "<&- >&- 2>&-"] {
      let program = try work.shell("\(command) \(place)")
      #expect(program.status == 1, "\(line) \(place)")
      #expect(place.contains("2>") || program.errors.contains("standard output: cannot write the result"))
    }
    #expect(try work.shell("\(command) 2>&-").status == 0)
  }

  @Test func `what a message quotes of a file is shown, and commands no terminal`() throws {
    let work = try Workplace()
    try work.write("hostile.yaml", "name: two\n\"im\\e[2Jage\": 1\n")
    let program = try work.run("score --hyperspace hostile.yaml --tables t --latency 1 two-0-0")
    #expect(program.status == 1)
    #expect(program.errors.contains("unknown key \"im\\u{1B}[2Jage\""))
    #expect(!program.errors.unicodeScalars.contains("\u{1B}"))
  }
}
