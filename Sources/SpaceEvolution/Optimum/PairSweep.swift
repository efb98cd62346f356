/// All pairs of half spaces against a threshold.
struct PairSweep: Sendable {
  /// A pair that the bounds do not exclude.
  struct Survivor: Sendable {
    var first: Int32
    var second: Int32
    /// What its score is at most.
    var bound: Double
  }

  /// What a part of the sweep leaves.
  struct Outcome: Sendable {
    var survivors: [Survivor] = []
    /// By the tail loss alone.
    var excludedByTail = 0
    /// By tail loss and share together.
    var excludedByShare = 0
    /// The largest bound of those that were excluded.
    var bestExcluded = 0.0
  }

  let bounds: [PairBounds]
  let halves: HalfSpaces

  /// Second halves at a time, in groups of eight, so that what is read again and again stays in the cache.
  private static let tile = 384

  /// Excludes what it can of some first halves with all second ones.
  ///
  /// - Parameter threshold: Pairs whose bound is below are excluded.
  func sweep(_ firsts: Range<Int>, threshold: Double) -> Outcome {
    var outcome = Outcome()
    let quick = bounds.map(\.quick)
    let blocks = halves.secondBlocks
    // Rounded down, so that nothing is excluded that is not below.
    let limit = Float(threshold).nextDown
    var largest = SIMD8<Float>.zero
    for start in stride(from: 0, to: blocks, by: PairSweep.tile) {
      let tile = start..<min(blocks, start + PairSweep.tile)
      for first in firsts {
        for block in tile {
          var scores = SIMD8<Float>.zero
          for bound in quick { scores += bound.scores(bound.sum(first: first, block: block, blocks: blocks)) }
          if scores.max() < limit {
            largest.replace(with: scores, where: scores .> largest)
            continue
          }
          for lane in 0..<8 where block * 8 + lane < halves.secondCount {
            if scores[lane] < limit {
              outcome.bestExcluded = max(outcome.bestExcluded, Double(scores[lane]) * 1.000001)
            } else {
              examine(first: first, second: block * 8 + lane, threshold: threshold, &outcome)
            }
          }
        }
      }
    }
    outcome.bestExcluded = max(outcome.bestExcluded, Double(largest.max()) * 1.000001)
    outcome.excludedByTail =
      firsts.count * halves.secondCount - outcome.excludedByShare - outcome.survivors.count
    return outcome
  }

  /// The tighter bounds, for a pair that the quick one does not exclude.
  private func examine(first: Int, second: Int, threshold: Double, _ outcome: inout Outcome) {
    var byTail = 0.0
    var byShare = 0.0
    for bound in bounds {
      let score = bound.score(first: first, second: second)
      byTail += score.byTail
      byShare += min(score.byTail, score.byShare)
    }
    if byShare >= threshold, byShare > 0 {
      outcome.survivors.append(Survivor(first: Int32(first), second: Int32(second), bound: byShare))
      return
    }
    if byTail >= threshold { outcome.excludedByShare += 1 }
    outcome.bestExcluded = max(outcome.bestExcluded, min(byTail, byShare))
  }
}

extension QuickBound {
  /// `S` of a first half with eight second ones, but for its factor.
  @inline(__always)
  func sum(first: Int, block: Int, blocks: Int) -> SIMD8<Float> {
    let terms = transforms.terms
    var sum = SIMD8<Float>.zero
    for term in 0..<terms {
      sum += transforms.second[term * blocks + block] * transforms.first[first * terms + term]
    }
    return sum
  }
}
