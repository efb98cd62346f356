public import SearchSpaces

/// One scored space of an evolution, in the order in which they were scored.
public struct EvolutionRecord: Hashable, Sendable, Codable {
  /// How a space came to be tried.
  public enum Origin: String, Hashable, Sendable, Codable {
    /// Drawn uniformly.
    case random
    /// A parent with another block type in one stage.
    case blockMutation
    /// A parent with another width window in one stage.
    case widthMutation
  }

  /// 0 for the first.
  public var index: Int
  /// How often the population could have been replaced by then: `index / populationSize`.
  public var generation: Int
  public var origin: Origin
  /// The winner of the tournament; absent for random spaces.
  public var parent: SearchSpace?
  public var score: QTScore
}

/// Aging evolution of search spaces.
///
/// Real, Aggarwal, Huang and Le 2018, "Regularized evolution for image classifier architecture search"
/// (arXiv 1802.01548), as SpaceEvo uses it (arXiv 2303.08308, section 4.3): a queue of random spaces; in every step the
/// best of a tournament has two children, one with another block type in one stage and one with another width window in
/// one stage; the children enter the queue and the oldest leave. No space is scored twice.
///
/// The same seed gives the same spaces in the same order, whatever the number of threads.
public struct AgingEvolution: Hashable, Sendable {
  public var populationSize: Int
  public var tournamentSize: Int
  /// How many spaces are scored in all; fewer where the hyperspace has no more.
  public var evaluations: Int
  public var seed: UInt64

  public init(populationSize: Int = 500, tournamentSize: Int = 125, evaluations: Int = 5_000, seed: UInt64 = 0) {
    self.populationSize = populationSize
    self.tournamentSize = tournamentSize
    self.evaluations = evaluations
    self.seed = seed
  }

  /// What came out.
  public struct Outcome: Hashable, Sendable {
    /// The best spaces, best first; ties in the order of the encodings.
    public var top: [QTScore]
    /// How many spaces were scored or taken from `known`.
    public var evaluated: Int
  }

  /// Runs the evolution.
  ///
  /// - Parameters:
  ///   - top: How many of the best spaces to keep.
  ///   - known: Scores from an earlier run with the same seed, tables and constraints: the evolution takes the same path
  ///     and scores only what is not here.
  ///   - score: The scores of some spaces in their order; `QTScorer.scores`, or another score.
  ///   - progress: Called for each space in order, known ones included. What it throws ends the evolution.
  /// - Throws: What `progress` throws, and `ScoreError` where the sizes make no sense.
  public func run(
    in hyperspace: Hyperspace, top: Int = 10, known: [SearchSpace: QTScore] = [:],
    score: ([SearchSpace]) -> [QTScore], progress: (EvolutionRecord) throws -> Void = { _ in }
  ) throws -> Outcome {
    guard populationSize >= 1, tournamentSize >= 1, evaluations >= 1, top >= 1 else {
      throw ScoreError("population, tournament, evaluations and top are whole numbers from 1 up")
    }
    var state = EvolutionState(evolution: self, hyperspace: hyperspace, top: top, known: known)
    while let batch = state.nextBatch() {
      let missing = batch.map(\.space).filter { known[$0] == nil }
      var fresh = (missing.isEmpty ? [] : score(missing)).makeIterator()
      for candidate in batch {
        let figures = known[candidate.space] ?? fresh.next()!
        try progress(state.insert(figures, of: candidate))
      }
    }
    return Outcome(top: state.best, evaluated: state.evaluated)
  }
}

private struct EvolutionState {
  struct Candidate {
    var space: SearchSpace
    var origin: EvolutionRecord.Origin
    var parent: SearchSpace?
  }

  private let evolution: AgingEvolution
  private let hyperspace: Hyperspace
  private let top: Int
  private var generator: SeededGenerator
  private var seen: Set<SearchSpace> = []
  /// The queue: the oldest first.
  private var population: [QTScore] = []
  private var oldest = 0
  private(set) var best: [QTScore] = []
  private(set) var evaluated = 0

  init(evolution: AgingEvolution, hyperspace: Hyperspace, top: Int, known: [SearchSpace: QTScore]) {
    self.evolution = evolution
    self.hyperspace = hyperspace
    self.top = top
    generator = SeededGenerator(seed: evolution.seed, stream: "evolution")
  }

  /// What is to be scored next: random spaces until the population is full, then a winner's two children.
  mutating func nextBatch() -> [Candidate]? {
    let left = min(evolution.evaluations, hyperspace.spaceCount) - evaluated
    guard left > 0 else { return nil }
    var batch: [Candidate] = []
    if evaluated < evolution.populationSize {
      while batch.count < min(left, evolution.populationSize - evaluated, 64), let space = unseenRandom() {
        batch.append(Candidate(space: space, origin: .random))
      }
    } else {
      let parent = tournamentWinner()
      for origin in [EvolutionRecord.Origin.blockMutation, .widthMutation] where batch.count < left {
        if let child = unseenChild(of: parent, origin) { batch.append(child) }
      }
    }
    return batch.isEmpty ? nil : batch
  }

  mutating func insert(_ score: QTScore, of candidate: Candidate) -> EvolutionRecord {
    let record = EvolutionRecord(
      index: evaluated, generation: evaluated / evolution.populationSize, origin: candidate.origin,
      parent: candidate.parent, score: score)
    evaluated += 1
    if population.count < evolution.populationSize {
      population.append(score)
    } else {
      population[oldest] = score
      oldest = (oldest + 1) % population.count
    }
    best.insertRanked(score, keeping: top)
    return record
  }

  private mutating func tournamentWinner() -> SearchSpace {
    var winner = population[generator.next(below: population.count)]
    for _ in 1..<max(1, evolution.tournamentSize) {
      let rival = population[generator.next(below: population.count)]
      if rival.ranks(before: winner) { winner = rival }
    }
    return winner.space
  }

  /// A mutation that is new. Where a parent's neighbourhood is exhausted, other winners are tried, then random spaces.
  private mutating func unseenChild(of parent: SearchSpace, _ origin: EvolutionRecord.Origin) -> Candidate? {
    var parent = parent
    for attempt in 0..<200 {
      if attempt % 20 == 19 { parent = tournamentWinner() }
      let child =
        origin == .blockMutation
        ? hyperspace.blockMutation(of: parent, using: &generator)
        : hyperspace.widthMutation(of: parent, using: &generator)
      if let child, seen.insert(child).inserted { return Candidate(space: child, origin: origin, parent: parent) }
    }
    return unseenRandom().map { Candidate(space: $0, origin: .random) }
  }

  /// A random space that is new; the first new one in order where draws do not find one and there are few.
  private mutating func unseenRandom() -> SearchSpace? {
    for _ in 0..<200 {
      let space = hyperspace.randomSpace(using: &generator)
      if seen.insert(space).inserted { return space }
    }
    guard hyperspace.spaceCount <= 1 << 20 else { return nil }
    return (0..<hyperspace.spaceCount).lazy.map(hyperspace.space(at:)).first { !seen.contains($0) }.map { space in
      seen.insert(space)
      return space
    }
  }
}

extension QTScore {
  /// Better scores first; ties in the order of the encodings.
  public func ranks(before other: QTScore) -> Bool {
    score != other.score ? score > other.score : space < other.space
  }
}

extension [QTScore] {
  /// Inserts a score where it belongs, best first, and drops what is beyond a count.
  mutating func insertRanked(_ score: QTScore, keeping count: Int) {
    if self.count == count, let last, !score.ranks(before: last) { return }
    insert(score, at: firstIndex { score.ranks(before: $0) } ?? endIndex)
    if self.count > count { removeLast() }
  }
}
