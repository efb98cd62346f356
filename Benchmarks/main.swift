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
  }
  var g = SeededGenerator(seed: 3)
  let spaces = (0..<1000).map { _ in hyperspace.randomSpace(using: &g) }
  start = clock.now
  let scores = spaces.map { scorer.score($0) }
  print("score each", (clock.now - start) / 1000, scores.map(\.score).max()!)
  var slow = clock.now
  for space in spaces {
    slow = clock.now; _ = scorer.score(space); let d = clock.now - slow;
    if d > .milliseconds(20) { print(space, d, scorer.accuracy(of: space)[0], scorer.score(space).constraints[0]) }
  }
  let accuracies = spaces.map { scorer.accuracy(of: $0)[0] }
  print(
    Dictionary(grouping: accuracies, by: \.method).mapValues(\.count), accuracies.map(\.feasibleFraction).max()!,
    accuracies.map(\.tailLoss).max()!)
}
