import Foundation
import SearchSpaces
import SpaceEvolution

let clock = ContinuousClock()
let hyperspace = Hyperspace.builtIn("onnxw")!
let folder = URL(fileURLWithPath: CommandLine.arguments[1])
var start = clock.now
let tables = try StageTables(folder: folder, hyperspace: hyperspace)
print("load", clock.now - start, tables.rowCount, tables.resolutions)
start = clock.now
let check = tables.checkCosts()
print("check", clock.now - start, check.rows, check.mismatches.count, check.mismatches.prefix(5))
for t in [10.0, 15.0] {
  start = clock.now
  let scorer = try QTScorer(tables: tables, constraints: [.init(milliseconds: t)])
  print("prepare", clock.now - start)
  for s in ["151122-023231", "121122-133333", "131121-022230", "121122-123231"] {
    let space = try hyperspace.space("onnxw-" + s)
    print(t, s, scorer.score(space).constraints[0], scorer.accuracy(of: space))
    print(scorer.monteCarloScore(space, seed: 1))
  }
  var g = SeededGenerator(seed: 3)
  let spaces = (0..<1000).map { _ in hyperspace.randomSpace(using: &g) }
  start = clock.now
  let scores = spaces.map { scorer.score($0) }
  print("score each", (clock.now - start) / 1000, scores.map(\.score).max()!)
  start = clock.now
  let outcome = try AgingEvolution(seed: 1).run(in: hyperspace, score: { scorer.scores($0) })
  print("evolve", clock.now - start, outcome.evaluated, outcome.top.map { ($0.space, $0.score) })
}
