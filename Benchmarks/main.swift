import Foundation
import SearchSpaces
import SpaceEvolution

// How long loading, checking and scoring of published tables takes. It reports; it asserts nothing.
guard CommandLine.arguments.count == 2 else {
  FileHandle.standardError.write(
    Data(
      "usage: spaceevo-benchmarks FOLDER, the folder of the published onnxw tables (make bench TABLES=FOLDER)\n".utf8))
  exit(64)
}
guard let hyperspace = Hyperspace.builtIn("onnxw") else { fatalError("onnxw is built in") }
let clock = ContinuousClock()

func report<Result>(_ name: String, _ body: () throws -> Result) rethrows -> Result {
  let start = clock.now
  let result = try body()
  print("\(name): \(clock.now - start)")
  return result
}

do {
  let tables = try report("load the tables") {
    try StageTables(folder: URL(filePath: CommandLine.arguments[1]), hyperspace: hyperspace)
  }
  let check = report("check every row's MACs and parameters") { tables.checkCosts() }
  print("  \(check.rows) rows, \(check.mismatches.count) do not agree")
  let scorer = try report("prepare for 10 and 15 ms") {
    try QTScorer(tables: tables, constraints: [.init(milliseconds: 10), .init(milliseconds: 15)])
  }
  var generator = SeededGenerator(seed: 1)
  let spaces = (0..<200).map { _ in hyperspace.randomSpace(using: &generator) }
  for T in [10.0, 15] {
    let scorer = try QTScorer(tables: tables, constraints: [.init(milliseconds: T)])
    let o = try report("optimum \(T)") { try Optimum(scorer).run { p, a, b in if a == b { print(p, a, clock.now) } } }
    print(o.candidates, o.excludedByTailLoss, o.excludedByShare, o.scored, o.bestExcludedBound ?? 0, o.scoredBefore)
    for s in o.top { print(s.space, s.score) }
  }
  report("score 200 random spaces at both, on one thread") { _ = scorer.scores(spaces, threads: 1) }
} catch {
  FileHandle.standardError.write(Data("\(error)\n".utf8))
  exit(1)
}
