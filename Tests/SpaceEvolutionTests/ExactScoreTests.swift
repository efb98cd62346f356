import NetworkGraphs
import SearchSpaces
import SpaceEvolution
import Testing

@Suite struct ExactScoreTests {
  /// Compares with counting: 1e-5 of the share, 1e-4 of loss and score.
  private func compare(
    _ tables: StageTables, _ spaces: [SearchSpace], milliseconds: [Double], parameters: QTParameters = QTParameters(),
    fixedLatency: [Int: Double] = [:], rule: SubnetRule = .independent
  ) throws {
    let scorer = try QTScorer(
      tables: tables, constraints: milliseconds.map(LatencyConstraint.init), parameters: parameters,
      fixedLatency: fixedLatency, rule: rule, threads: 1)
    for space in spaces {
      let score = scorer.score(space)
      for (figures, limit) in zip(score.constraints, milliseconds) {
        let counted = CountedScore(
          space, tables: tables, milliseconds: limit, parameters: parameters, fixedLatency: fixedLatency, rule: rule)
        let context = "\(space) at \(limit) ms: \(figures), counted \(counted)"
        #expect(abs(figures.feasibleFraction - counted.share) <= 1e-5, "\(context)")
        // On both sides of the smallest share that counts a score is right.
        guard abs(counted.share - 1e-5) > 1e-5 else { continue }
        #expect(abs(figures.tailLoss - counted.tailLoss) <= 1e-4 * counted.tailLoss, "\(context)")
        #expect(abs(figures.score - counted.score) <= 1e-4 * counted.score, "\(context)")
      }
      #expect(abs(score.score - score.constraints.reduce(0) { $0 + $1.score }) < 1e-12)
    }
  }

  private func spaces(_ hyperspace: Hyperspace, seed: UInt64, count: Int) -> [SearchSpace] {
    var generator = SeededGenerator(seed: seed)
    return (0..<count).map { _ in hyperspace.randomSpace(using: &generator) }
  }

  @Test(arguments: [1, 2, 5, 36], [SubnetRule.independent, .widthConsistent])
  func `figures are those of all subnets`(rows: Int, rule: SubnetRule) throws {
    let hyperspace = try Synthetic.hyperspace()
    for seed in 0..<2 as Range<UInt64> {
      let tables = try Synthetic.tables(of: hyperspace, rows: rows, seed: seed)
      try compare(
        tables, spaces(hyperspace, seed: seed, count: 3), milliseconds: [4.5, 6, 8.25, 40], rule: rule)
    }
  }

  @Test(arguments: [(0.08, 0.01, 5e-4), (0.5, 1, 1e-3), (1, 0, 0.05), (1e-4, 0.07, 1), (0.3, 3, 2e-5)])
  func `figures hold for any parameters and with fixed latencies`(
    fraction: Double, exponent: Double, tailFraction: Double
  ) throws {
    let hyperspace = try Synthetic.hyperspace()
    for (rows, seed) in [(4, 5), (36, 6)] as [(Int, UInt64)] {
      let tables = try Synthetic.tables(of: hyperspace, rows: rows, seed: seed)
      try compare(
        tables, spaces(hyperspace, seed: seed, count: 2), milliseconds: [5, 7.5, 9],
        parameters: QTParameters(fraction: fraction, exponent: exponent, tailFraction: tailFraction),
        fixedLatency: [32: 0.3, 64: 1.7])
    }
  }

  @Test(arguments: [3, 30], [SubnetRule.independent, .widthConsistent])
  func `sums that are the constraint to the last digit are under it`(rows: Int, rule: SubnetRule) throws {
    // Few different latencies: every constraint here is a sum that many subnets have.
    let hyperspace = try Synthetic.hyperspace()
    let figures = Synthetic.Figures(latency: { 0.1 * Double(1 + $0.next(below: 3)) })
    for seed in 0..<2 as Range<UInt64> {
      var tables = try Synthetic.tables(of: hyperspace, rows: rows, seed: seed, figures: figures)
      tables = try StageTables(
        tables.tables.values.map { table in
          var table = table
          for index in table.rows.indices {
            table.rows[index].latencyMilliseconds = (table.rows[index].latencyMilliseconds * 10).rounded(.up) / 10
          }
          return table
        }, hyperspace: hyperspace)
      try compare(tables, spaces(hyperspace, seed: seed, count: 2), milliseconds: [0.4, 0.6, 0.7, 0.9], rule: rule)
    }
  }

  @Test(arguments: [5, 36])
  func `sums that lie evenly apart are under a constraint that is one of them`(rows: Int) throws {
    // Far enough apart to matter, and too close for the frequencies to tell apart.
    let hyperspace = try Synthetic.hyperspace()
    let tables = try Synthetic.tables(of: hyperspace, rows: rows, seed: 8)
    let even = try StageTables(
      tables.tables.values.map { table in
        var table = table
        for index in table.rows.indices {
          let latency = (table.rows[index].latencyMilliseconds * 20).rounded() / 20 + 0.0007
          table.rows[index].latencyMilliseconds = (latency * 1e4).rounded() / 1e4
        }
        return table
      }, hyperspace: hyperspace)
    try compare(even, spaces(hyperspace, seed: 8, count: 3), milliseconds: [4.0521, 7.0021, 8.5021, 11.0021])
  }

  @Test func `figures hold where one row dominates, losses are huge, or all latencies are the same`() throws {
    let hyperspace = try Synthetic.hyperspace()
    let dominated = Synthetic.Figures(
      loss: { $0.next(below: 10) < 8 ? 0.4 : 0.2 + $0.uniform() },
      latency: { $0.next(below: 10) < 8 ? 2 : 1 + $0.uniform() })
    let huge = Synthetic.Figures(loss: { $0.next(below: 4) == 0 ? 50 * $0.uniform() : 0.3 + 0.1 * $0.uniform() })
    let level = Synthetic.Figures(latency: { _ in 1 })
    for (index, figures) in [dominated, huge, level].enumerated() {
      for rows in [6, 36] {
        let tables = try Synthetic.tables(of: hyperspace, rows: rows, seed: UInt64(index), figures: figures)
        try compare(tables, spaces(hyperspace, seed: 3, count: 3), milliseconds: [3.5, 5.1, 6])
      }
    }
  }

  @Test(arguments: [1e3, 1e6, 8e8], [SubnetRule.independent, .widthConsistent])
  func `a few losses beyond all measure leave the others their digits`(loss: Double, rule: SubnetRule) throws {
    let hyperspace = try Synthetic.hyperspace()
    let figures = Synthetic.Figures(loss: { $0.next(below: 12) == 0 ? loss : 0.3 + 0.1 * $0.uniform() })
    for rows in [6, 36] {
      let tables = try Synthetic.tables(of: hyperspace, rows: rows, seed: 4, figures: figures)
      try compare(
        tables, spaces(hyperspace, seed: 4, count: 3), milliseconds: [4.5, 8],
        parameters: QTParameters(tailFraction: 0.2), rule: rule)
    }
  }

  @Test func `losses beyond all measure of slow rows leave the tail of fast subnets alone`() throws {
    let hyperspace = try Synthetic.hyperspace()
    var tables = try Synthetic.tables(of: hyperspace, rows: 60, seed: 9)
    tables = try StageTables(
      tables.tables.values.map { table in
        var table = table
        let latencies = table.rows.map(\.latencyMilliseconds).sorted()
        let slow = latencies[latencies.count * 49 / 50]
        for index in table.rows.indices where table.rows[index].latencyMilliseconds >= slow {
          table.rows[index].loss = 1e8
        }
        return table
      }, hyperspace: hyperspace)
    // The tail is all of what is fast enough.
    try compare(
      tables, spaces(hyperspace, seed: 9, count: 2), milliseconds: [3, 4], parameters: QTParameters(tailFraction: 1))
  }

  @Test func `figures hold for latencies of any digits, near the fastest subnet`() throws {
    let hyperspace = try Synthetic.hyperspace()
    for seed in 0..<2 as Range<UInt64> {
      let tables = try Synthetic.tables(
        of: hyperspace, rows: 36, seed: seed, figures: .init(hasFourDecimals: false))
      for space in spaces(hyperspace, seed: seed, count: 2) {
        let fastest = tables.tables(of: space).reduce(0) { $0 + $1.rows.map(\.latencyMilliseconds).min()! }
        try compare(tables, [space], milliseconds: [1.02, 1.1, 1.25, 1.5].map { fastest * $0 })
      }
    }
  }

  @Test func `a width that no row follows takes no part`() throws {
    let hyperspace = try Synthetic.hyperspace()
    let tables = try Synthetic.tables(of: hyperspace, rows: 40, seed: 2)
    // Behind stage 1, width 16 has no followers, and at resolution 64 none has.
    let sparse = try StageTables(
      tables.tables.values.map { table in
        var table = table
        if table.key.stage == 1 {
          table.rows.removeAll { $0.input.channels == 16 || ($0.resolution == 64 && $0.input.channels != 8) }
        }
        return table
      }, hyperspace: hyperspace)
    let narrow = try hyperspace.space("tiny-000-000")
    let wide = try hyperspace.space("tiny-010-111")
    try compare(sparse, [narrow, wide], milliseconds: [5, 9], rule: .widthConsistent)
  }

  @Test func `a space without a complete subnet scores 0`() throws {
    let hyperspace = try Synthetic.hyperspace()
    let tables = try Synthetic.tables(of: hyperspace, rows: 20, seed: 2)
    let broken = try StageTables(
      tables.tables.values.map { table in
        var table = table
        if table.key.stage == 1 { table.rows.removeAll { $0.input.channels != 8 } }
        return table
      }, hyperspace: hyperspace)
    let scorer = try QTScorer(
      tables: broken, constraints: [.init(milliseconds: 9)], rule: .widthConsistent, threads: 1)
    #expect(scorer.score(try hyperspace.space("tiny-000-100")).score == 0)
    #expect(scorer.score(try hyperspace.space("tiny-000-000")).score > 0)
    #expect(scorer.sampledSubnets(of: try hyperspace.space("tiny-000-100"), count: 5, seed: 0).isEmpty)
  }

  @Test(arguments: [SubnetRule.independent, .widthConsistent])
  func `the Monte Carlo estimate agrees within its own standard error`(rule: SubnetRule) throws {
    let hyperspace = try Synthetic.hyperspace()
    let tables = try Synthetic.tables(of: hyperspace, rows: 60, seed: 9)
    let parameters = QTParameters(tailFraction: 0.005)
    let scorer = try QTScorer(
      tables: tables, constraints: [.init(milliseconds: 6), .init(milliseconds: 8)], parameters: parameters, rule: rule,
      threads: 1)
    var squares: [Double] = []
    for seed in 0..<20 as Range<UInt64> {
      let space = spaces(hyperspace, seed: seed, count: 1)[0]
      let exact = scorer.score(space)
      let estimate = scorer.monteCarloScore(space, samples: 20_000, seed: seed)
      for (index, errors) in estimate.standardErrors.enumerated() where exact.constraints[index].feasibleFraction > 0.02
      {
        let (a, b) = (estimate.estimate.constraints[index], exact.constraints[index])
        squares.append(square((a.feasibleFraction - b.feasibleFraction) / errors.feasibleFraction))
        squares.append(square((a.tailLoss - b.tailLoss) / errors.tailLoss))
        squares.append(square((a.score - b.score) / errors.score))
      }
    }
    // Squares of standard normal numbers: their mean is 1, give or take. An estimate that is off, or errors that are too
    // small or too large, shift it.
    let mean = squares.reduce(0, +) / Double(squares.count)
    #expect(squares.count >= 60)
    #expect(mean > 0.5 && mean < 1.7, "\(mean)")
    #expect(squares.allSatisfy { $0 < 25 })
  }

  private func square(_ x: Double) -> Double { x * x }

  @Test func `the same seed gives the same estimate, and another seed another`() throws {
    let hyperspace = try Synthetic.hyperspace()
    let tables = try Synthetic.tables(of: hyperspace, rows: 20, seed: 1)
    let scorer = try QTScorer(tables: tables, constraints: [.init(milliseconds: 7)], threads: 1)
    let space = hyperspace.space(at: 17)
    let first = scorer.monteCarloScore(space, samples: 2_000, seed: 5)
    #expect(scorer.monteCarloScore(space, samples: 2_000, seed: 5) == first)
    #expect(scorer.monteCarloScore(space, samples: 2_000, seed: 6) != first)
  }

  @Test func `what cannot be scored is refused with what would be right`() throws {
    let hyperspace = try Synthetic.hyperspace()
    let tables = try Synthetic.tables(of: hyperspace, rows: 3, seed: 0)
    func message(
      _ milliseconds: [Double], _ parameters: QTParameters = QTParameters(), fixed: [Int: Double] = [:]
    ) -> String {
      do {
        _ = try QTScorer(
          tables: tables, constraints: milliseconds.map(LatencyConstraint.init), parameters: parameters,
          fixedLatency: fixed, threads: 1)
        return "none"
      } catch {
        return error.message
      }
    }
    #expect(message([]).contains("no latency constraint"))
    #expect(message([.nan]).contains("above 0 and at most 1e9"))
    #expect(message([-1]).contains("above 0 and at most 1e9"))
    #expect(message([0.01]).contains("under the fastest subnet of all spaces"))
    #expect(message([8], QTParameters(fraction: 0)).contains("fraction"))
    #expect(message([8], QTParameters(exponent: -1)).contains("exponent"))
    #expect(message([8], fixed: [48: 1]).contains("32 64"))
    #expect(message([8], fixed: [32: .infinity]).contains("fixed latency"))
    #expect(message([8]) == "none")
  }
}
