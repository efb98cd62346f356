import Foundation
import SearchSpaces
import SpaceEvolution
import Testing

/// The authors' tables for `onnxw`, which this repository does not hold: put their folder into `SPACEEVO_TABLES`.
private let folder = ProcessInfo.processInfo.environment["SPACEEVO_TABLES"].map { URL(filePath: $0) }

@Suite(.enabled(if: folder != nil, "SPACEEVO_TABLES names no folder of published tables")) struct PublishedTablesTests {
  private let hyperspace = Hyperspace.builtIn("onnxw")!
  private let tables: StageTables

  init() throws { tables = try StageTables(folder: #require(folder), hyperspace: hyperspace) }

  @Test func `every row costs what the lowering says`() {
    let check = tables.checkCosts()
    #expect(check.rows == 132_000 && check.mismatches.isEmpty)
  }

  @Test(arguments: [
    ("onnxw-151122-023231", 10.0, 0.009889, 2.43933, 0.40147),
    ("onnxw-151122-023231", 15, 0.19704, 2.32085, 0.43088),
    ("onnxw-121122-133333", 15, 0.03952, 2.26841, 0.43774),
  ])
  func `listed spaces have the listed figures`(
    space: String, milliseconds: Double, share: Double, tailLoss: Double, score: Double
  ) throws {
    let scorer = try QTScorer(tables: tables, constraints: [.init(milliseconds: milliseconds)])
    let figures = scorer.score(try hyperspace.space(space)).constraints[0]
    #expect(abs(figures.feasibleFraction - share) < 1e-5)
    #expect(abs(figures.tailLoss - tailLoss) < 1e-4 * tailLoss)
    #expect(abs(figures.score - score) < 1e-4 * score)
  }

  @Test(arguments: [(10.0, "onnxw-131121-022230", 0.40333), (15, "onnxw-121122-123231", 0.44077)])
  func `the optimum is the one that is known`(milliseconds: Double, space: String, score: Double) throws {
    let scorer = try QTScorer(tables: tables, constraints: [.init(milliseconds: milliseconds)])
    let outcome = try Optimum(scorer).run(top: 2)
    #expect(outcome.top[0].space.encoding == space)
    #expect(abs(outcome.top[0].score - score) < 1e-4 * score)
    #expect(outcome.top[1].score > outcome.top[0].score * (1 - 3e-4))
    #expect(outcome.candidates == 95_551_488)
    #expect(outcome.excludedByTailLoss + outcome.excludedByShare + outcome.scored == outcome.candidates)
  }
}
