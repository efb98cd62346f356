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

/// Several tilts in place of one, for a tighter bound: instead of `exp(b u)` with `u = T - latency`,
///
///     exp(b u) ((exp(d u) - r) (exp(d u) - s) / ((1 - r) (1 - s)))^2
///
/// which also is at least 1 where `u >= 0`, both factors being so, and at least 0 elsewhere, for `b >= 0`, `d >= 0` and `r`
/// and `s` in `0 ..< 1`. Multiplied out it is a sum of five exponentials, of which two have negative coefficients.
struct Majorant: Hashable, Sendable {
  /// `a`; 0 for the share.
  var loss: Double
  var latency: Double
  var step: Double
  var roots: [Double]

  /// A single exponential.
  init(_ tilt: Tilt) {
    loss = tilt.loss
    latency = tilt.latency
    step = 0
    roots = []
  }

  init(loss: Double, latency: Double, step: Double, roots: [Double]) {
    self.loss = loss
    self.latency = latency
    self.step = step
    self.roots = roots
  }

  /// The exponentials and what they are multiplied with.
  var terms: [(tilt: Tilt, coefficient: Double)] {
    var coefficients = [1.0]
    for root in roots {
      for _ in 0..<2 {
        // Times (z - root) / (1 - root).
        var next = [Double](repeating: 0, count: coefficients.count + 1)
        for (power, coefficient) in coefficients.enumerated() {
          next[power + 1] += coefficient / (1 - root)
          next[power] -= coefficient * root / (1 - root)
        }
        coefficients = next
      }
    }
    return coefficients.enumerated().map { (Tilt(loss: loss, latency: latency + Double($0) * step), $1) }
  }
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

  /// What bounds some spaces' tail losses, and shares, tightly. The first of each is a single exponential.
  func majorants(for spaces: [[Int]], mass: Double, rows: RowStore) -> (tail: [Majorant], share: [Majorant]) {
    let best = spaces.map { keys in
      (
        tail: search(keys, rows: rows) { tilt, logarithm in (naturalLogarithm(mass) - logarithm) / tilt.loss },
        share: search(keys, rows: rows, ofShare: true) { _, logarithm in -logarithm }
      )
    }
    let middle = best[0].tail
    var tail = [Majorant(middle)]
    for a in [1, 0.75, 1.35] {
      for b in [1, 0.7, 1.4] where (a, b) != (1, 1) {
        tail.append(Majorant(Tilt(loss: middle.loss * a, latency: middle.latency * b)))
      }
    }
    let share = [1, 0.5, 0.7, 1.4].map { Majorant(Tilt(loss: 0, latency: best[0].share.latency * $0)) }
    return (
      tail + best.dropFirst().map { Majorant($0.tail) } + [sharpened(middle, keys: spaces[0], rows: rows)],
      share + best.dropFirst().map { Majorant($0.share) } + [sharpened(best[0].share, keys: spaces[0], rows: rows)]
    )
  }

  /// The five exponentials that bound a space's `S` most tightly, at the same `a` as one.
  private func sharpened(_ tilt: Tilt, keys: [Int], rows: RowStore) -> Majorant {
    var best = Majorant(loss: tilt.loss, latency: 0.6 * tilt.latency, step: 0.3 * tilt.latency, roots: [0.2, 0.6])
    func value(_ majorant: Majorant) -> Double {
      guard majorant.roots.allSatisfy({ (0...0.97).contains($0) }) else { return .infinity }
      return logarithm(of: majorant, keys: keys, rows: rows)
    }
    var least = value(best)
    for step in [1.5, 1.2, 1.08] {
      var improved = true
      var rounds = 0
      while improved, rounds < 10 {
        improved = false
        rounds += 1
        var others: [Majorant] = []
        for factor in [step, 1 / step] {
          var (a, b, c, d) = (best, best, best, best)
          a.latency *= factor
          b.step *= factor
          c.roots[0] = 1 - (1 - c.roots[0]) * factor
          d.roots[1] = 1 - (1 - d.roots[1]) * factor
          others += [a, b, c, d]
        }
        for other in others where value(other) < least { (best, least, improved) = (other, value(other), true) }
      }
    }
    return best
  }

  private func logarithm(of majorant: Majorant, keys: [Int], rows: RowStore) -> Double {
    let terms = majorant.terms.map { (logarithmOfTransform($0.tilt, keys: keys, rows: rows), $0.coefficient) }
    let largest = terms.map(\.0).max()!
    let sum = terms.reduce(0) { $0 + $1.1 * exponential($1.0 - largest) }
    return sum > 0 ? largest + naturalLogarithm(sum) : .infinity
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
