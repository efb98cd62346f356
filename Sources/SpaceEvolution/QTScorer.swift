public import SearchSpaces
internal import Synchronization

/// The exact Q-T score of the spaces of a hyperspace, from stage tables.
///
/// A subnet is one row a stage, drawn independently at one resolution; its loss and its latency are the sums. `p` is the
/// share of subnets under the constraint, over the equal mixture of the tables' resolutions; `L` the mean loss of the
/// best `min(q, p)` of all subnets that are under it.
///
/// **Accuracy.** Tables of many rows: by spectra (`Frequencies`), with the number of frequencies doubled until the
/// estimate of the truncation error is under 5e-6 for the share and 5e-5 of the tail loss. Where it cannot be brought
/// under, which is so where distributions have steps, both halves of the space are enumerated if that is little, as it is
/// for tables of few rows, and put on a lattice if it is much (`LatticeScore`). `accuracy(of:)` tells what was done and how
/// far the figures may be off.
///
/// A value can be used from several threads.
public struct QTScorer: Sendable {
  public let tables: StageTables
  public let constraints: [LatencyConstraint]
  public let parameters: QTParameters
  /// Latency of the stages that are not searched, in milliseconds, by resolution.
  public let fixedLatencies: [Int: Double]
  public let rule: SubnetRule

  let rows: RowStore
  let plans: [ConstraintPlan]
  private let halves = HalfCache()

  /// Prepares the tables for some constraints: about 0.1 s a constraint for 132 tables of 1,000 rows.
  ///
  /// - Parameters:
  ///   - fixedLatency: Milliseconds to be added to every subnet of a resolution; resolutions that are absent add 0.
  ///   - rule: Which rows make a subnet together.
  ///   - threads: How many threads prepare.
  /// - Throws: `ScoreError` where a constraint is not a positive number or is under the fastest subnet of all spaces, a
  ///   parameter is out of its range, or a fixed latency is for a resolution that the tables do not have.
  public init(
    tables: StageTables, constraints: [LatencyConstraint], parameters: QTParameters = QTParameters(),
    fixedLatency: [Int: Double] = [:], rule: SubnetRule = .independent, threads: Int = 2
  ) throws(ScoreError) {
    guard !constraints.isEmpty else { throw ScoreError("no latency constraint; there must be one at least") }
    guard parameters.fraction > 0, parameters.fraction <= 1 else {
      throw ScoreError("fraction \(parameters.fraction) is not above 0 and at most 1")
    }
    guard parameters.exponent >= 0, parameters.exponent.isFinite else {
      throw ScoreError("exponent \(parameters.exponent) is no number from 0 up")
    }
    guard parameters.tailFraction > 0, parameters.tailFraction <= 1 else {
      throw ScoreError("tail fraction \(parameters.tailFraction) is not above 0 and at most 1")
    }
    for (resolution, milliseconds) in fixedLatency.sorted(by: { $0.key < $1.key }) {
      guard tables.resolutions.contains(resolution) else {
        throw ScoreError(
          "a fixed latency for resolution \(resolution), which the tables do not have; they have "
            + tables.resolutions.map { "\($0)" }.joined(separator: " "))
      }
      guard milliseconds >= 0, milliseconds.isFinite else {
        throw ScoreError("fixed latency \(milliseconds) ms for resolution \(resolution) is no number from 0 up")
      }
    }
    let rows = RowStore(tables, rule: rule)
    for constraint in constraints {
      let milliseconds = constraint.milliseconds
      guard milliseconds > 0, milliseconds <= 1e9 else {
        throw ScoreError("latency \(milliseconds) ms is no number of milliseconds above 0 and at most 1e9")
      }
      let fastest = tables.resolutions.enumerated().map { index, resolution in
        (latency: rows.smallestLatency(resolution: index) + (fixedLatency[resolution] ?? 0), resolution: resolution)
      }.min { $0.latency < $1.latency }!
      guard milliseconds >= fastest.latency else {
        throw ScoreError(
          "latency \(milliseconds) ms is under the fastest subnet of all spaces, "
            + "\((fastest.latency * 1e6).rounded() / 1e6) ms at resolution \(fastest.resolution); no space can be scored at "
            + "it")
      }
    }
    self.tables = tables
    self.constraints = constraints
    self.parameters = parameters
    self.fixedLatencies = fixedLatency
    self.rule = rule
    self.rows = rows
    plans = constraints.map {
      ConstraintPlan(
        milliseconds: $0.milliseconds, rows: rows, fixedLatencies: tables.resolutions.map { fixedLatency[$0] ?? 0 },
        tailFraction: parameters.tailFraction, threads: threads)
    }
  }

  /// The score of a space.
  ///
  /// - Precondition: `space` is one of the hyperspace's (`Hyperspace.space(_:)` checks).
  public func score(_ space: SearchSpace) -> QTScore { score(space, isRefined: false) }

  private func score(_ space: SearchSpace, isRefined: Bool) -> QTScore {
    let figures = constraints.indices.map { index in
      let figures = shareAndTail(space, constraint: index, isRefined: isRefined).figures
      return QTScore.Constraint(
        latencyMilliseconds: constraints[index].milliseconds, feasibleFraction: figures.share,
        tailLoss: figures.tailLoss,
        score: parameters.score(feasibleFraction: figures.share, tailLoss: figures.tailLoss))
    }
    return QTScore(space: space, score: figures.reduce(0) { $0 + $1.score }, constraints: figures)
  }

  /// The scores of spaces in their order, computed on several threads; the same whatever their number.
  public func scores(_ spaces: [SearchSpace], threads: Int = 2) -> [QTScore] {
    spaces.concurrentMap(threads: threads) { score($0) }
  }

  /// The score of a space with more digits than `score(_:)` promises, for telling apart those that are nearly as good:
  /// with twice as many frequencies a side. It takes some ten times as long.
  public func refinedScore(_ space: SearchSpace) -> QTScore { score(space, isRefined: true) }

  /// The latency of a space's fastest subnet, the fixed stages included; infinite where no draw can be completed.
  public func fastestMilliseconds(of space: SearchSpace) -> Double {
    let keys = rows.indices(of: space)
    let byResolution = tables.resolutions.enumerated().map { index, resolution -> Double in
      var fastest: [Int: Double] = [0: fixedLatencies[resolution] ?? 0]
      for key in keys {
        var next: [Int: Double] = [:]
        for transition in rows.tables[key].transitions[index] {
          guard let before = fastest[transition.from] else { continue }
          // Rows are in ascending order of latency.
          next[transition.to] = min(next[transition.to] ?? .infinity, before + transition.rows.latencies[0])
        }
        fastest = next
      }
      return fastest.values.min() ?? .infinity
    }
    return byResolution.min() ?? .infinity
  }

  /// How a score was computed, and how far it may be off.
  public struct Accuracy: Hashable, Sendable {
    public enum Method: Hashable, Sendable {
      /// All sums of two halves of the space.
      case enumeration
      /// Spectra, refined so often beyond those that were prepared.
      case spectra(refinements: Int)
      /// Sums on a lattice; seconds a space.
      case lattice
    }
    public var method: Method
    /// Absolute.
    public var feasibleFraction: Double
    /// Absolute.
    public var tailLoss: Double
  }

  /// How the score of a space is computed for each constraint, and how far share and tail loss may be off.
  public func accuracy(of space: SearchSpace) -> [Accuracy] {
    constraints.indices.map { index in
      let (figures, method) = shareAndTail(space, constraint: index)
      return Accuracy(method: method, feasibleFraction: figures.shareError, tailLoss: figures.tailError)
    }
  }

  /// Sums a half may have to be enumerated at once, before spectra are refined, and at all.
  private static let smallHalf = 64
  private static let middleHalf = 120_000
  private static let largestHalf = 1_000_000

  private func shareAndTail(
    _ space: SearchSpace, constraint: Int, isRefined: Bool = false
  ) -> (figures: ShareAndTail, method: Accuracy.Method) {
    let keys = rows.indices(of: space)
    let split = rows.split(keys)
    func enumerated() -> (ShareAndTail, Accuracy.Method) {
      (enumeration(keys, split: split.index, constraint: constraint), .enumeration)
    }
    if split.largest <= QTScorer.smallHalf { return enumerated() }
    let plan = plans[constraint]
    var frequencies = isRefined ? plan.frequencies.doubled : plan.frequencies
    for refinement in 0...ConstraintPlan.refinements {
      let figures = plan.shareAndTail(keys, rows: rows, tailFraction: parameters.tailFraction, frequencies)
      if let figures, figures.isAccurate { return (figures, .spectra(refinements: refinement)) }
      // What was prepared does not do. Enumerating is exact; where that is too much, more frequencies are next.
      if split.largest <= QTScorer.middleHalf { return enumerated() }
      frequencies = figures == nil ? frequencies.widened : frequencies.doubled
    }
    if split.largest <= QTScorer.largestHalf { return enumerated() }
    let limits = tables.resolutions.map { constraints[constraint].milliseconds - (fixedLatencies[$0] ?? 0) }
    let lattice = LatticeScore(keys: keys, rows: rows, limits: limits, tailFraction: parameters.tailFraction)
    return (lattice.shareAndTail(), .lattice)
  }

  private func enumeration(_ keys: [Int], split: Int, constraint: Int) -> ShareAndTail {
    let limit = constraints[constraint].milliseconds
    let mixture = rows.mixture(keys)
    var pairs: [Enumeration.Pair] = []
    for (resolution, pixels) in tables.resolutions.enumerated() where mixture[resolution] > 0 {
      let firsts = halves.byEnd(keys[..<split], from: 0, resolution: resolution, rows: rows)
      for (state, first) in firsts.sorted(by: { $0.key < $1.key }) {
        let seconds = halves.byEnd(keys[split...], from: state, resolution: resolution, rows: rows)
        guard let second = seconds[0] else { continue }
        pairs.append(
          Enumeration.Pair(
            first: first, second: second, limit: limit - (fixedLatencies[pixels] ?? 0), weight: mixture[resolution]))
      }
    }
    return Enumeration(pairs: pairs).shareAndTail(tailFraction: parameters.tailFraction)
  }
}

/// Sums of halves that were needed before; spaces that follow one another in an evolution share them.
private final class HalfCache: Sendable {
  private struct Key: Hashable {
    var tables: [Int]
    var start: Int
    var resolution: Int
  }
  private struct State {
    var halves: [Key: [Int: HalfSums]] = [:]
    var sums = 0
  }
  /// About 24 bytes a sum.
  private static let capacity = 8_000_000
  private let state = Mutex(State())

  /// The sums of some tables' rows from a state on, by the state in which they end.
  func byEnd(_ tables: ArraySlice<Int>, from start: Int, resolution: Int, rows: RowStore) -> [Int: HalfSums] {
    let key = Key(tables: Array(tables), start: start, resolution: resolution)
    if let half = state.withLock({ $0.halves[key] }) { return half }
    let half = HalfSums.byEnd(tables.map { rows.tables[$0].transitions[resolution] }, from: start)
    let count = half.values.reduce(0) { $0 + $1.losses.count }
    state.withLock { state in
      if state.sums + count > HalfCache.capacity { state = State() }
      if state.halves.updateValue(half, forKey: key) == nil { state.sums += count }
    }
    return half
  }
}
