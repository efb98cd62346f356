import SearchSpaces
import SpaceEvolution
import Testing

@Suite struct EvolutionTests {
  private func scorer(rows: Int = 8, seed: UInt64 = 1) throws -> QTScorer {
    try QTScorer(
      tables: Synthetic.tables(of: Synthetic.hyperspace(), rows: rows, seed: seed),
      constraints: [.init(milliseconds: 6)], threads: 1)
  }

  private func history(
    _ evolution: AgingEvolution, _ scorer: QTScorer, known: [SearchSpace: QTScore] = [:], threads: Int = 1
  ) throws -> (records: [EvolutionRecord], outcome: AgingEvolution.Outcome) {
    var records: [EvolutionRecord] = []
    let outcome = try evolution.run(in: scorer.tables.hyperspace, top: 5, known: known) {
      scorer.scores($0, threads: threads)
    } progress: {
      records.append($0)
    }
    return (records, outcome)
  }

  @Test(arguments: 0..<5 as Range<UInt64>)
  func `no space is scored twice, and children differ from their parent in one choice`(seed: UInt64) throws {
    let scorer = try scorer(seed: seed)
    let evolution = AgingEvolution(populationSize: 12, tournamentSize: 4, evaluations: 60, seed: seed)
    let (records, outcome) = try history(evolution, scorer)
    #expect(records.count == 60 && outcome.evaluated == 60)
    #expect(Set(records.map(\.score.space)).count == 60)
    #expect(records.map(\.index) == Array(0..<60))
    #expect(records.map(\.generation) == (0..<60).map { $0 / 12 })
    #expect(records.prefix(12).allSatisfy { $0.origin == .random && $0.parent == nil })
    for record in records where record.origin != .random {
      let parent = try #require(record.parent)
      let space = record.score.space
      let blocks = zip(parent.blockTypes, space.blockTypes).count { $0 != $1 }
      let windows = zip(parent.windows, space.windows).count { $0 != $1 }
      #expect((blocks, windows) == (record.origin == .blockMutation ? (1, 0) : (0, 1)))
      // Only the living have children: the parent is among the last twelve before.
      let born = try #require(records.firstIndex { $0.score.space == parent })
      #expect(record.index - born <= 13)
    }
    let best = records.map(\.score).sorted { $0.ranks(before: $1) }.prefix(5)
    #expect(outcome.top == Array(best))
  }

  @Test func `the same seed takes the same way with any number of threads, and from where it was stopped`() throws {
    let scorer = try scorer()
    let evolution = AgingEvolution(populationSize: 10, tournamentSize: 3, evaluations: 50, seed: 7)
    let whole = try history(evolution, scorer).records
    #expect(try history(evolution, scorer, threads: 4).records == whole)
    let known = Dictionary(uniqueKeysWithValues: whole.prefix(23).map { ($0.score.space, $0.score) })
    #expect(try history(evolution, scorer, known: known).records == whole)
    let other = AgingEvolution(populationSize: 10, tournamentSize: 3, evaluations: 50, seed: 8)
    #expect(try history(other, scorer).records != whole)
  }

  @Test func `a hyperspace that is used up ends the evolution`() throws {
    let scorer = try scorer(rows: 2)
    let evolution = AgingEvolution(populationSize: 20, tournamentSize: 5, evaluations: 5_000, seed: 0)
    let (records, outcome) = try history(evolution, scorer)
    #expect(outcome.evaluated == 96 && Set(records.map(\.score.space)).count == 96)
  }

  @Test func `sizes that make no sense are refused`() throws {
    let scorer = try scorer(rows: 2)
    for evolution in [
      AgingEvolution(populationSize: 0), AgingEvolution(tournamentSize: 0), AgingEvolution(evaluations: -1),
    ] {
      #expect(throws: ScoreError.self) { try history(evolution, scorer) }
    }
  }

  @Test func `ranking agreement is 1 for the same order, -1 for the opposite one`() {
    let scores = (0..<40).map { Double($0 * $0) }
    let same = RankingAgreement(scores, scores.map { $0 + 1 })
    #expect(same.kendallTau == 1 && same.sharedInFirstTenth == 4 && same.firstTenth == 4)
    let opposite = RankingAgreement(scores, scores.map { -$0 })
    #expect(opposite.kendallTau == -1 && opposite.sharedInFirstTenth == 0)
    // Of six pairs five agree and one does not.
    #expect(abs(RankingAgreement([1, 2, 3, 4], [1, 3, 2, 4]).kendallTau! - 4.0 / 6) < 1e-12)
    #expect(RankingAgreement([1, 2], [3, 3]).kendallTau == nil)
  }
}
