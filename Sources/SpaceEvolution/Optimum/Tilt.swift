/// The exponents of an exponential bound.
///
/// For every subnet, `1(latency <= T) <= exp(b (T - latency))`, so with the transform `S = E exp(-a loss + b (T - latency))`
///
/// - the share is at most `S` at `a = 0`;
/// - a mass `m` of subnets under the constraint has a mean loss of at least `(ln m - ln S) / a`, since by Jensen's
///   inequality `exp(-a L) <= E[exp(-a loss) | those] <= S / m`.
///
/// Both hold for all `a > 0` and `b >= 0`; how tight they are depends on the choice. Stages are drawn one by one, so `S` is a
/// product over stages, and what it costs for a pair of half spaces is a product of two short vectors.
struct Tilt: Hashable, Sendable {
  /// `a`, in 1 / unit of loss; 0 for the share.
  var loss: Double
  /// `b`, in 1 / ms.
  var latency: Double
}

/// A latency constraint as the bounds see it.
struct BoundedConstraint: Sendable {
  /// By resolution; `nil` where no subnet of any space keeps the constraint. A little above what counts as under it, so that
  /// rounding in sums of latencies cannot make a bound too tight.
  let limits: [Double?]
  /// What each resolution weighs at most in any space's mixture.
  let mixture: Double

  init(milliseconds: Double, scorer: QTScorer) {
    let rows = scorer.rows
    limits = scorer.tables.resolutions.enumerated().map { index, resolution in
      let limit = milliseconds - (scorer.fixedLatencies[resolution] ?? 0)
      let safe = latencyLimit(limit) + 1e-9 * milliseconds
      return safe >= rows.smallestLatency(resolution: index) ? safe : nil
    }
    // Where draws may not be completed, bounds are on the mean over completed ones of the sum over resolutions.
    mixture = rows.isComplete ? 1 / Double(rows.resolutionCount) : 1
  }
}

extension RowStore {
  /// `E exp(-a (loss - smallest) - b (latency - smallest))` over a transition's rows.
  func moment(_ transition: Transition, stage: Int, resolution: Int, smallestLoss: Double, _ tilt: Tilt) -> Double {
    let origin = smallestLatencies[stage][resolution]
    let rows = transition.rows
    var sum = 0.0
    for index in rows.losses.indices {
      sum +=
        rows.weights[index]
        * exponential(
          -tilt.loss * (rows.losses[index] - smallestLoss) - tilt.latency * (rows.latencies[index] - origin))
    }
    return sum
  }

  /// The smallest loss of any table of a stage.
  func smallestLoss(stage: Int) -> Double { tables(ofStage: stage).map(\.smallestLoss).min()! }
}

extension BoundedConstraint {
  /// `ln S` of one space.
  func logarithmOfTransform(_ tilt: Tilt, keys: [Int], rows: RowStore) -> Double {
    var logarithms: [Double] = []
    for (resolution, limit) in limits.enumerated() {
      guard let limit else { continue }
      var logarithm = naturalLogarithm(mixture) + tilt.latency * (limit - rows.smallestLatency(resolution: resolution))
      for (stage, key) in keys.enumerated() {
        let smallest = rows.smallestLoss(stage: stage)
        // Without regard to widths: for choosing a tilt that is close enough.
        let all = RowStore.Transition(from: 0, to: 0, rows: rows.tables[key].resolutions[resolution])
        logarithm +=
          naturalLogarithm(
            rows.moment(all, stage: stage, resolution: resolution, smallestLoss: smallest, tilt)) - tilt.loss * smallest
      }
      logarithms.append(logarithm)
    }
    guard let largest = logarithms.max(), largest.isFinite else { return -.infinity }
    return largest + naturalLogarithm(logarithms.reduce(0) { $0 + exponential($1 - largest) })
  }

  /// The tilts that bound some spaces' tail losses, and shares, most tightly: around the best ones of each space.
  func tilts(for spaces: [[Int]], mass: Double, rows: RowStore) -> (tail: [Tilt], share: [Tilt]) {
    let best = spaces.map { keys in
      (
        tail: search(keys, rows: rows) { tilt, logarithm in (naturalLogarithm(mass) - logarithm) / tilt.loss },
        share: search(keys, rows: rows, ofShare: true) { _, logarithm in -logarithm }
      )
    }
    let middle = best[0].tail
    var tail = [middle]
    for a in [1, 0.75, 1.35] {
      for b in [1, 0.7, 1.4] where (a, b) != (1, 1) {
        tail.append(Tilt(loss: middle.loss * a, latency: middle.latency * b))
      }
    }
    tail += best.dropFirst().map(\.tail)
    let share = [1, 0.5, 0.7, 1.4].map { Tilt(loss: 0, latency: best[0].share.latency * $0) }
    return (tail, share + best.dropFirst().map(\.share))
  }

  /// A pattern search: the quantity has one maximum.
  private func search(
    _ keys: [Int], rows: RowStore, ofShare: Bool = false, _ quality: (Tilt, Double) -> Double
  ) -> Tilt {
    let range =
      zip(limits.indices, limits).compactMap { resolution, limit in
        limit.map { $0 - rows.smallestLatency(resolution: resolution) }
      }.max() ?? 1
    // Beyond that a transform says no more than a limit on the fastest subnet does.
    let steepest = 60 / max(range, 1e-9)
    let spread = keys.reduce(0.0) { sum, key in
      let losses = rows.tables[key].resolutions[0].losses
      let mean = losses.reduce(0, +) / Double(losses.count)
      return sum + losses.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(losses.count)
    }.squareRoot()
    var tilt = Tilt(loss: ofShare ? 0 : 3 / max(spread, 1e-6), latency: min(steepest, 4 / max(range, 1e-9)))
    func value(_ tilt: Tilt) -> Double { quality(tilt, logarithmOfTransform(tilt, keys: keys, rows: rows)) }
    var best = value(tilt)
    for step in [2.0, 1.4, 1.15, 1.06] {
      var improved = true
      var rounds = 0
      while improved, rounds < 12 {
        improved = false
        rounds += 1
        for (a, b) in [(step, 1), (1 / step, 1), (1, step), (1, 1 / step)] where !(ofShare && a != 1) {
          let other = Tilt(loss: tilt.loss * a, latency: min(steepest, tilt.latency * b))
          let quality = value(other)
          if quality > best { (tilt, best, improved) = (other, quality, true) }
        }
      }
    }
    return tilt
  }
}
