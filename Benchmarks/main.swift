import Foundation
import SearchSpaces
import SpaceEvolution

// Prints how long loading, checking, scoring, evolving and the search for the optimum take on two threads, and what came
// out. It reports; it asserts nothing. `make bench`; with `make bench TABLES=FOLDER` on the published onnxw tables.

let clock = ContinuousClock()

func measure<Result>(_ body: () throws -> Result) rethrows -> (result: Result, seconds: Double) {
  let start = clock.now
  let result = try body()
  return (result, (clock.now - start) / .seconds(1))
}

func report(_ name: String, _ value: Double, _ unit: String, _ remark: String = "") {
  let number = String(format: value < 10 ? "%8.3f" : "%8.1f", value)
  print(
    name.padding(toLength: 48, withPad: " ", startingAt: 0) + number + " " + unit
      + (remark.isEmpty ? "" : "   \(remark)"))
}

/// Everything that is asked of a hyperspace and its tables.
func run(_ hyperspace: Hyperspace, _ tables: StageTables, milliseconds: [Double]) throws {
  let check = measure { tables.checkCosts() }
  report(
    "check \(check.result.rows) rows against the lowering", check.seconds, "s",
    "\(check.result.mismatches.count) differ")
  for limit in milliseconds {
    print("at \(limit) ms:")
    let scorer = try measure { try QTScorer(tables: tables, constraints: [.init(milliseconds: limit)]) }
    report("  prepare", scorer.seconds, "s")
    var generator = SeededGenerator(seed: 1)
    let spaces = (0..<2_000).map { _ in hyperspace.randomSpace(using: &generator) }
    let random = measure { scorer.result.scores(spaces, threads: 1) }
    report("  exact score of a random space, one thread", random.seconds / 2_000 * 1e3, "ms")
    let one = spaces[0]
    let estimate = measure { scorer.result.monteCarloScore(one, seed: 0) }
    report("  Monte Carlo estimate, 100,000 subnets", estimate.seconds * 1e3, "ms")
    let evolution = try measure {
      try AgingEvolution().run(in: hyperspace, top: 1) { scorer.result.scores($0, threads: 2) }
    }
    let found = evolution.result.top[0]
    report(
      "  aging evolution, \(evolution.result.evaluated) spaces", evolution.seconds, "s",
      "\(found.space) \(text(found.score))")
    let optimum = try measure { try Optimum(scorer.result).run() }
    let outcome = optimum.result
    report(
      "  optimum of \(outcome.candidates) spaces", optimum.seconds, "s",
      outcome.top.first.map { "\($0.space) \(text($0.score))" } ?? "none")
    print(
      "    excluded by tail loss \(outcome.excludedByTailLoss), by share too \(outcome.excludedByShare), scored "
        + "\(outcome.scored); no excluded one above \(outcome.bestExcludedBound.map(text) ?? "-")")
  }
  let rules = try measure {
    try QTScorer(tables: tables, constraints: [.init(milliseconds: milliseconds[0])], rule: .widthConsistent)
  }
  var generator = SeededGenerator(seed: 2)
  let spaces = (0..<40).map { _ in hyperspace.randomSpace(using: &generator) }
  _ = rules.result.scores(spaces, threads: 1)
  let consistent = measure { rules.result.scores(spaces, threads: 1) }
  report("width-consistent score, one thread", consistent.seconds / 40 * 1e3, "ms")
  report("most memory so far", peakMegabytes(), "MB")
}

func text(_ score: Double) -> String { String(format: "%.5f", score) }

do {
  guard let onnxw = Hyperspace.builtIn("onnxw"), let mobilew = Hyperspace.builtIn("mobilew") else {
    fatalError("onnxw and mobilew are built in")
  }
  try reportRecordFiles()
  if let folder = CommandLine.arguments.dropFirst().first, !folder.isEmpty {
    print("onnxw, tables of \(folder)")
    let tables = try measure { try StageTables(folder: URL(filePath: folder), hyperspace: onnxw) }
    report("load \(tables.result.tables.count) tables", tables.seconds, "s")
    try run(onnxw, tables.result, milliseconds: [10, 15])
  } else {
    print("onnxw, made-up tables (TABLES=FOLDER for the published ones)")
    let made = try syntheticTables(of: onnxw, rows: 1_000, resolutions: [160, 192, 224], seed: 1)
    let folder = FileManager.default.temporaryDirectory.appending(path: "spaceevo-benchmark-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: folder) }
    try made.write(to: folder)
    let tables = try measure { try StageTables(folder: folder, hyperspace: onnxw) }
    report("load \(tables.result.tables.count) tables", tables.seconds, "s")
    try run(onnxw, tables.result, milliseconds: [10, 15])
  }
  print("mobilew, made-up tables")
  let tables = try syntheticTables(of: mobilew, rows: 1_000, resolutions: [160, 192, 224], seed: 1)
  try run(mobilew, tables, milliseconds: [15])
} catch {
  FileHandle.standardError.write(Data("\(error)\n".utf8))
  exit(1)
}
