/// All sums of loss and latency over some stages at one resolution, in ascending order of latency.
///
/// Half of a space: with the sums of both halves at hand, share and tail loss follow without any approximation but that
/// of floating point.
struct HalfSums: Sendable {
  let latencies: [Double]
  let losses: [Double]
  let weights: [Double]

  private typealias Sum = (latency: Double, loss: Double, weight: Double)

  /// The sums of some stages from a state at their beginning, one value a state at their end.
  ///
  /// - Parameter stages: The transitions of each stage; none at all is the one sum 0.
  static func byEnd(_ stages: [[RowStore.Transition]], from start: Int) -> [Int: HalfSums] {
    var sums: [Int: [Sum]] = [start: [(0, 0, 1)]]
    for transitions in stages {
      var next: [Int: [Sum]] = [:]
      for transition in transitions {
        guard let before = sums[transition.from] else { continue }
        let rows = transition.rows
        var longer = next.removeValue(forKey: transition.to) ?? []
        longer.reserveCapacity(longer.count + before.count * rows.losses.count)
        for sum in before {
          for row in rows.losses.indices {
            longer.append(
              (sum.latency + rows.latencies[row], sum.loss + rows.losses[row], sum.weight * rows.weights[row]))
          }
        }
        next[transition.to] = longer
      }
      sums = next
    }
    return sums.mapValues { HalfSums($0) }
  }

  private init(_ unsorted: [Sum]) {
    let sums = unsorted.sorted { ($0.latency, $0.loss) < ($1.latency, $1.loss) }
    latencies = sums.map(\.latency)
    losses = sums.map(\.loss)
    weights = sums.map(\.weight)
  }
}

/// The largest sum of latencies that counts as under a constraint: sums of decimals are not exact in binary, and
/// `0.1 + 0.2` is to be under 0.3.
func latencyLimit(_ milliseconds: Double) -> Double { milliseconds + milliseconds.magnitude * 1e-10 + 1e-12 }

/// Share and tail loss by enumeration of both halves of a space: for tables of few rows, where the true distribution
/// has steps that no smooth method resolves.
///
/// Exact up to floating point.
struct Enumeration {
  struct Pair {
    var first: HalfSums
    var second: HalfSums
    /// On the sum of their latencies.
    var limit: Double
    /// What the product of two sums' weights counts in the mixture.
    var weight: Double
  }

  /// One or more a resolution: halves that meet in the same state.
  var pairs: [Pair]

  func shareAndTail(tailFraction: Double) -> ShareAndTail {
    let sweeps = pairs.map {
      (sweep: Sweep(first: $0.first, second: $0.second, limit: latencyLimit($0.limit)), weight: $0.weight)
    }
    let share = sweeps.reduce(0) { $0 + $1.sweep.share * $1.weight }
    let feasible = sweeps.filter { $0.sweep.share > 0 }
    guard share > 0 else { return ShareAndTail(share: 0, tailLoss: 0, shareError: 0, tailError: 0) }
    let lowest = feasible.map(\.sweep.lowestLoss).min()!
    let highest = feasible.map(\.sweep.highestLoss).max()!
    let mass = min(tailFraction, share * (1 - 1e-12))
    func curve(at x: Double) -> (hinge: Double, mass: Double) {
      feasible.reduce(into: (hinge: 0.0, mass: 0.0)) { total, part in
        let (hinge, mass) = part.sweep.curve(at: x)
        total.hinge += hinge * part.weight
        total.mass += mass * part.weight
      }
    }
    // A few huge losses must not widen the range in which the tail of ordinary ones is looked for.
    var span = max(highest - lowest, 1e-12)
    while span > 1e-12, curve(at: lowest + span / 32).mass >= mass { span /= 32 }
    let error = Enumeration.relativeError
    let tail = tailMean(
      mass: mass, in: (lowest - 1e-3 * span)...(lowest + 2 * span), tolerance: error * span, relativeTolerance: error,
      curve)
    let value = tail?.value ?? highest
    return ShareAndTail(
      share: share, tailLoss: value, shareError: 1e-12, tailError: 2 * error * value)
  }

  /// Of the tail loss.
  private static let relativeError = 1e-9
}

/// Pairs of sums under a limit: as the first half's latency grows, fewer of the second half's sums fit.
private struct Sweep {
  let first: HalfSums
  let second: HalfSums
  /// For each sum of the first half, how many of the second's fit beside it.
  let fitting: [Int]
  let share: Double
  /// Losses of the second half, ascending.
  private let sortedLosses: [Double]
  /// The place of each of the second half's sums in `sortedLosses`.
  private let ranks: [Int]

  init(first: HalfSums, second: HalfSums, limit: Double) {
    self.first = first
    self.second = second
    var cumulative = [0.0]
    for weight in second.weights { cumulative.append(cumulative.last! + weight) }
    var count = second.latencies.count
    var fitting: [Int] = []
    var share = 0.0
    for (index, latency) in first.latencies.enumerated() {
      while count > 0, latency + second.latencies[count - 1] > limit { count -= 1 }
      guard count > 0 else { break }
      fitting.append(count)
      share += first.weights[index] * cumulative[count]
    }
    self.fitting = fitting
    self.share = share
    let order = second.losses.indices.sorted { second.losses[$0] < second.losses[$1] }
    sortedLosses = order.map { second.losses[$0] }
    var ranks = [Int](repeating: 0, count: order.count)
    for (rank, index) in order.enumerated() { ranks[index] = rank }
    self.ranks = ranks
  }

  var lowestLoss: Double { (first.losses.min() ?? 0) + (sortedLosses.first ?? 0) }
  var highestLoss: Double { (first.losses.max() ?? 0) + (sortedLosses.last ?? 0) }

  /// `E max(0, x - loss) 1(feasible)` and `P(loss <= x, feasible)`, by a binary indexed tree over the losses of those
  /// of the second half's sums that fit.
  func curve(at x: Double) -> (hinge: Double, mass: Double) {
    var masses = [Double](repeating: 0, count: sortedLosses.count + 1)
    var moments = masses
    var inserted = 0
    var hinge = 0.0
    var mass = 0.0
    for index in fitting.indices.reversed() {
      while inserted < fitting[index] {
        var node = ranks[inserted] + 1
        let weight = second.weights[inserted]
        let moment = weight * second.losses[inserted]
        while node <= sortedLosses.count {
          masses[node] += weight
          moments[node] += moment
          node += node & -node
        }
        inserted += 1
      }
      let room = x - first.losses[index]
      var node = count(upTo: room)
      var innerMass = 0.0
      var innerMoment = 0.0
      while node > 0 {
        innerMass += masses[node]
        innerMoment += moments[node]
        node &= node - 1
      }
      mass += first.weights[index] * innerMass
      hinge += first.weights[index] * (room * innerMass - innerMoment)
    }
    return (hinge, mass)
  }

  private func count(upTo loss: Double) -> Int {
    var low = 0
    var high = sortedLosses.count
    while low < high {
      let middle = (low + high) / 2
      if sortedLosses[middle] <= loss { low = middle + 1 } else { high = middle }
    }
    return low
  }
}
