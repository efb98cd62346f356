import SearchSpaces
import SpaceEvolution
import Testing

@Suite struct OptimumTests {
  @Test(arguments: 0..<12 as Range<UInt64>, [SubnetRule.independent, .widthConsistent])
  func `the best are those of all spaces, and the counts add up`(seed: UInt64, rule: SubnetRule) throws {
    let hyperspace = try Synthetic.hyperspace()
    let tables = try Synthetic.tables(of: hyperspace, rows: [2, 6, 16][Int(seed % 3)], seed: seed)
    let latencies = [[4.0], [6.5], [5, 9], [3.2, 6, 30]][Int(seed % 4)]
    let parameters = [
      QTParameters(), QTParameters(fraction: 0.4, exponent: 0), QTParameters(fraction: 0.3, exponent: 0.5),
      QTParameters(tailFraction: 0.02), QTParameters(fraction: 0.9, exponent: 2, tailFraction: 0.2),
    ][Int(seed % 5)]
    let scorer = try QTScorer(
      tables: tables, constraints: latencies.map(LatencyConstraint.init), parameters: parameters,
      fixedLatency: [32: 0.1 * Double(seed % 2)], rule: rule, threads: 1)
    let all = (0..<hyperspace.spaceCount).map { scorer.refinedScore(hyperspace.space(at: $0)) }
      .filter { $0.score > 0 }.sorted { $0.ranks(before: $1) }
    let outcome = try Optimum(scorer).run(top: 10, threads: 2)
    #expect(outcome.top == Array(all.prefix(10)))
    #expect(outcome.candidates == 96)
    #expect(outcome.excludedByTailLoss + outcome.excludedByShare + outcome.scored == outcome.candidates)
    if let bound = outcome.bestExcludedBound, let last = outcome.top.last, outcome.top.count == 10 {
      #expect(bound < last.score)
      // Every space that is better than the bound was scored.
      #expect(all.count { $0.score > bound * (1 + 1e-4) } <= outcome.scored)
    }
  }

  @Test func `most spaces are excluded where spaces differ`() throws {
    let hyperspace = try #require(Hyperspace.builtIn("mini32"))
    var generator = SeededGenerator(seed: 4)
    let tables = try Synthetic.tables(of: hyperspace, rows: 7, seed: 4)
    let scorer = try QTScorer(tables: tables, constraints: [.init(milliseconds: 7)])
    let outcome = try Optimum(scorer).run(top: 3)
    #expect(outcome.candidates == hyperspace.spaceCount)
    #expect(outcome.excludedByTailLoss + outcome.excludedByShare + outcome.scored == outcome.candidates)
    #expect(outcome.scored < outcome.candidates / 4)
    for _ in 0..<200 {
      let score = scorer.score(hyperspace.randomSpace(using: &generator))
      #expect(!score.ranks(before: outcome.top[2]) || outcome.top.contains { $0.space == score.space })
    }
  }

  @Test func `spaces that are all the same are ties in the order of the encodings`() throws {
    let hyperspace = try Synthetic.hyperspace()
    let tables = try Synthetic.tables(
      of: hyperspace, rows: 5, seed: 0, figures: .init(loss: { _ in 0.5 }, latency: { _ in 1 }))
    let level = try StageTables(
      tables.tables.values.map { table in
        var table = table
        for index in table.rows.indices {
          table.rows[index].loss = 0.5
          table.rows[index].latencyMilliseconds = 1
        }
        return table
      }, hyperspace: hyperspace)
    let scorer = try QTScorer(tables: level, constraints: [.init(milliseconds: 3)], threads: 1)
    let outcome = try Optimum(scorer).run(top: 4)
    #expect(outcome.top.map(\.space) == (0..<4).map { hyperspace.space(at: $0) })
    #expect(outcome.top.allSatisfy { abs($0.score - 1 / 1.5) < 1e-9 })
    #expect(outcome.scored == 96 && outcome.bestExcludedBound == nil)
  }

  @Test func `progress ends the search where it throws`() throws {
    struct Stop: Error {}
    let hyperspace = try Synthetic.hyperspace()
    let tables = try Synthetic.tables(of: hyperspace, rows: 3, seed: 0)
    let scorer = try QTScorer(tables: tables, constraints: [.init(milliseconds: 8)], threads: 1)
    #expect(throws: Stop.self) { try Optimum(scorer).run { _, _, _ in throw Stop() } }
    #expect(throws: ScoreError.self) { try Optimum(scorer).run(top: 0) }
  }
}
