internal import SearchSpaces

/// The best of *all* search spaces of a hyperspace by their Q-T score, without scoring them all.
///
/// The stages are split in halves. For every pair of half spaces the tail loss is bounded from below and the share from
/// above (`Tilt` says how, `PairBounds` why that is sound in floating point), which bounds the score from above. What may
/// be as good as the spaces that an aging evolution finds first is scored, most promising first, until no bound reaches the
/// best scores.
///
/// The result does not depend on the number of threads nor on the seed.
public struct Optimum: Sendable {
  /// By this share may a tail loss be off.
  static let tolerance = 1e-4
  /// By so much may the share of feasible subnets be off.
  static let shareTolerance = 1e-5

  /// How all spaces of a hyperspace were dealt with: `candidates = excludedByTailLoss + excludedByShare + scored`.
  public struct Outcome: Hashable, Sendable {
    /// The best spaces, best first; ties in the order of the encodings. Only spaces with a score above 0.
    public var top: [QTScore]
    /// How many spaces there are.
    public var candidates: Int
    /// How many the bound of the tail loss excluded.
    public var excludedByTailLoss: Int
    /// How many were left by that, and excluded by the bounds of tail loss and share together.
    public var excludedByShare: Int
    /// How many were left by both, and scored.
    public var scored: Int
    /// No space that was excluded has a score above this; `nil` where none was.
    public var bestExcludedBound: Double?
    /// How many spaces the evolution scored that went before, whether they were excluded later or not.
    public var scoredBefore: Int
  }

  /// What is being done, for whoever draws progress.
  public enum Phase: Hashable, Sendable {
    /// Units are spaces scored.
    case evolving
    /// Units are spaces bounded.
    case bounding
    /// Units are spaces dealt with, of those that are left.
    case scoring
  }

  public let scorer: QTScorer

  public init(_ scorer: QTScorer) { self.scorer = scorer }

  /// Finds the best spaces.
  ///
  /// - Parameters:
  ///   - top: How many.
  ///   - progress: Called often, with the phase, how much of it is done and how much there is. What it throws ends the search.
  /// - Throws: What `progress` throws, and `ScoreError` where `top` is not positive or there are more spaces than an `Int`
  ///   counts.
  public func run(
    top: Int = 10, threads: Int = 2, progress: (Phase, Int, Int) throws -> Void = { _, _, _ in }
  ) throws -> Outcome {
    let hyperspace = scorer.tables.hyperspace
    guard top >= 1 else { throw ScoreError("top is a whole number from 1 up") }
    guard hyperspace.spaceCount < .max else { throw ScoreError("hyperspace \(hyperspace.name) has too many spaces") }
    var best = BestSpaces(capacity: top, scorer: scorer, threads: threads)
    try evolve(&best, progress)
    let scoredBefore = best.count

    let halves = HalfSpaces(scorer.rows)
    let sweep = PairSweep(bounds: bounds(around: best, halves: halves, threads: threads), halves: halves)
    var outcome = Outcome(
      top: [], candidates: hyperspace.spaceCount, excludedByTailLoss: 0, excludedByShare: 0, scored: 0,
      bestExcludedBound: nil, scoredBefore: scoredBefore)
    var bestExcluded = 0.0
    var survivors: [PairSweep.Survivor] = []
    // A wave keeps all threads busy and is over soon enough for progress to move.
    let chunk = max(1, 4_000_000 / halves.secondCount)
    let chunks = stride(from: 0, to: halves.firstCount, by: chunk).map { $0..<min(halves.firstCount, $0 + chunk) }
    for start in stride(from: 0, to: chunks.count, by: 2 * threads) {
      let threshold = best.threshold
      let wave = Array(chunks[start..<min(chunks.count, start + 2 * threads)])
      for part in wave.concurrentMap(threads: threads, { sweep.sweep($0, threshold: threshold) }) {
        outcome.excludedByTailLoss += part.excludedByTail
        outcome.excludedByShare += part.excludedByShare
        bestExcluded = max(bestExcluded, part.bestExcluded)
        survivors += part.survivors
      }
      try progress(.bounding, wave.last!.upperBound * halves.secondCount, hyperspace.spaceCount)
      // So that memory stays bounded where the bounds exclude little.
      if survivors.count > 2_000_000 || wave.last!.upperBound == halves.firstCount {
        try settle(&survivors, halves, &best, &outcome, &bestExcluded, progress)
      }
    }
    outcome.top = best.ranked()
    if outcome.scored < outcome.candidates { outcome.bestExcludedBound = bestExcluded }
    return outcome
  }

  /// Good spaces to begin with: those of an aging evolution, and what single changes make better.
  private func evolve(_ best: inout BestSpaces, _ progress: (Phase, Int, Int) throws -> Void) throws {
    let hyperspace = scorer.tables.hyperspace
    let evaluations = min(3_000, hyperspace.spaceCount)
    let evolution = AgingEvolution(
      populationSize: min(200, evaluations), tournamentSize: 50, evaluations: evaluations, seed: 1)
    var done = 0
    _ = try evolution.run(in: hyperspace, top: 1) {
      best.score($0)
    } progress: { _ in
      done += 1
      if done % 100 == 0 { try progress(.evolving, done, evaluations) }
    }
    var centre = best.leader
    while let space = centre {
      _ = best.score(hyperspace.neighbours(of: space))
      centre = best.leader == space ? nil : best.leader
    }
  }

  private func bounds(around best: BestSpaces, halves: HalfSpaces, threads: Int) -> [PairBounds] {
    let rows = scorer.rows
    return scorer.constraints.enumerated().map { index, constraint in
      let bounded = BoundedConstraint(milliseconds: constraint.milliseconds, scorer: scorer)
      let leaders = best.leaders.filter { $0.constraints[index].score > 0 }
      let keys = leaders.prefix(3).map { rows.indices(of: $0.space) }
      // Where no space is known that keeps the constraint, one is as good as another.
      let examples = keys.isEmpty ? [rows.indices(of: scorer.tables.hyperspace.space(at: 0))] : Array(keys)
      let tilts = bounded.tilts(for: examples, mass: scorer.parameters.tailFraction, rows: rows)
      return PairBounds(
        tail: tilts.tail, share: tilts.share, constraint: bounded,
        reference: leaders.first?.constraints[index].tailLoss ?? 0, parameters: scorer.parameters, halves: halves,
        rows: rows, threads: threads)
    }
  }

  /// Scores survivors, the most promising first, until the rest cannot be among the best.
  private func settle(
    _ survivors: inout [PairSweep.Survivor], _ halves: HalfSpaces, _ best: inout BestSpaces, _ outcome: inout Outcome,
    _ bestExcluded: inout Double, _ progress: (Phase, Int, Int) throws -> Void
  ) throws {
    survivors.sort { ($1.bound, $0.first, $0.second) < ($0.bound, $1.first, $1.second) }
    var next = 0
    while next < survivors.count, survivors[next].bound >= best.threshold {
      var batch: [SearchSpace] = []
      while next < survivors.count, batch.count < 512, survivors[next].bound >= best.threshold {
        let pair = survivors[next]
        batch.append(
          scorer.rows.space(
            halves.keys(first: Int(pair.first), second: Int(pair.second), rows: scorer.rows),
            in: scorer.tables.hyperspace))
        next += 1
      }
      _ = best.score(batch)
      outcome.scored += batch.count
      try progress(.scoring, next, survivors.count)
    }
    if next < survivors.count {
      bestExcluded = max(bestExcluded, survivors[next].bound)
      outcome.excludedByShare += survivors.count - next
    }
    survivors = []
  }
}

/// The best of the spaces that were scored.
private struct BestSpaces {
  let capacity: Int
  let scorer: QTScorer
  let threads: Int
  /// Best first: a few more than asked for, since the last digits of their scores may not be right yet.
  private(set) var leaders: [QTScore] = []
  /// Scores of the spaces of the evolution, which return in the sweep.
  private var known: [SearchSpace: QTScore] = [:]

  init(capacity: Int, scorer: QTScorer, threads: Int) {
    self.capacity = capacity
    self.scorer = scorer
    self.threads = threads
  }

  var count: Int { known.count }
  var leader: SearchSpace? { leaders.first.flatMap { $0.score > 0 ? $0.space : nil } }

  /// Bounds below this exclude: so many spaces as are asked for have a score of at least that.
  var threshold: Double {
    leaders.count < capacity ? 0 : leaders.prefix(capacity).map { $0.score - error(of: $0) }.min()!
  }

  /// How far a score may be off.
  private func error(of score: QTScore) -> Double {
    score.constraints.reduce(0) { sum, figures in
      let isPenalised = figures.feasibleFraction < scorer.parameters.fraction
      let ofShare =
        isPenalised
        ? scorer.parameters.exponent * Optimum.shareTolerance
          / max(figures.feasibleFraction, QTParameters.minimumFraction) : 0
      return sum + figures.score * min(1, Optimum.tolerance + ofShare)
    }
  }

  mutating func score(_ spaces: [SearchSpace]) -> [QTScore] {
    let fresh = scorer.scores(spaces.filter { known[$0] == nil }, threads: threads)
    // Those of the evolution; millions of survivors need not be kept.
    if known.count < 100_000 { for score in fresh { known[score.space] = score } }
    for score in fresh where score.score > 0 { insert(score) }
    let bySpace = Dictionary(fresh.map { ($0.space, $0) }) { first, _ in first }
    return spaces.map { known[$0] ?? bySpace[$0]! }
  }

  private mutating func insert(_ score: QTScore) {
    // Both of two scores may be off.
    if leaders.count >= capacity, score.score + error(of: score) < threshold { return }
    leaders.insertRanked(score, keeping: .max)
    guard leaders.count > capacity else { return }
    let last = threshold
    while leaders.count > capacity, let score = leaders.last, score.score + error(of: score) < last {
      leaders.removeLast()
    }
  }

  /// The best with scores that are accurate enough to tell them apart.
  func ranked() -> [QTScore] {
    let scorer = scorer
    let refined = leaders.concurrentMap(threads: threads) { scorer.refinedScore($0.space) }
    return Array(refined.sorted { $0.ranks(before: $1) }.prefix(capacity))
  }
}

extension RowStore {
  /// The space of some tables, one a stage.
  func space(_ keys: [Int], in hyperspace: Hyperspace) -> SearchSpace {
    let stages = hyperspace.searchedStages
    let places = keys.enumerated().map { $1 - stageStarts[$0] }
    return SearchSpace(
      hyperspace: hyperspace.name, blockTypes: places.enumerated().map { $1 / stages[$0].windowCount },
      windows: places.enumerated().map { $1 % stages[$0].windowCount })
  }
}

extension Hyperspace {
  /// The spaces that differ in the block type or the width window of one stage.
  func neighbours(of space: SearchSpace) -> [SearchSpace] {
    var result: [SearchSpace] = []
    for (stage, choices) in searchedStages.enumerated() {
      for block in blockTypes.indices where block != space.blockTypes[stage] {
        var other = space
        other.blockTypes[stage] = block
        result.append(other)
      }
      for window in 0..<choices.windowCount where window != space.windows[stage] {
        var other = space
        other.windows[stage] = window
        result.append(other)
      }
    }
    return result
  }
}
