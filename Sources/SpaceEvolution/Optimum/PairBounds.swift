/// Upper bounds on the scores of pairs of half spaces, for one constraint.
///
/// **Why they are sound in floating point.** All terms of a sum `S` are positive, so its relative error is at most that of
/// one term plus one rounding an addition: a few dozen units of 6e-8 in single precision, products of moments in double
/// precision included. `safety`, one part in 10^5, is more; numbers too small for single precision are made up for by
/// `floor` (see `HalfTransforms`). What follows, a logarithm and a division, errs by parts in 10^7 and is widened by as
/// much again. A score is compared with `QTScorer`'s, which may be off by 1e-4 of its value, so a space is excluded only if
/// its bound is that much below (`Optimum.tolerance`).
struct PairBounds: Sendable {
  static let safety = 1.00001
  static let floor = 1e-30

  private struct Bound: Sendable {
    var tilt: Tilt
    var transforms: HalfTransforms
  }

  private let tail: [Bound]
  private let share: [Bound]
  private let parameters: QTParameters
  /// `(ln m_low, penalty)` of masses under the tail fraction, a pair a step, largest first.
  private let smallMasses: [(logarithm: Double, penalty: Double, mass: Double)]
  /// No tail loss is below this.
  private let smallestLoss: Double
  let quick: QuickBound

  /// - Parameter reference: A tail loss that good spaces have.
  init(
    tail: [Tilt], share: [Tilt], constraint: BoundedConstraint, reference: Double, parameters: QTParameters,
    halves: HalfSpaces, rows: RowStore, threads: Int
  ) {
    let bounds = (tail + share).concurrentMap(threads: threads) { tilt in
      Bound(tilt: tilt, transforms: HalfTransforms(tilt, constraint, halves: halves, rows: rows))
    }
    self.tail = Array(bounds.prefix(tail.count))
    self.share = Array(bounds.dropFirst(tail.count))
    self.parameters = parameters
    smallestLoss = max(
      (0..<rows.stageCount).reduce(0) { $0 + rows.smallestLoss(stage: $1) } * (1 - 1e-12),
      QTParameters.minimumTailLoss)
    let q = parameters.tailFraction
    let steps = max(1, Int((naturalLogarithm(q / QTParameters.minimumFraction) / 0.3).rounded(.up)))
    let ratio = power(QTParameters.minimumFraction / q, 1 / Double(steps))
    smallMasses =
      q <= QTParameters.minimumFraction
      ? []
      : (0..<steps).map { step in
        let high = q * power(ratio, Double(step))
        return (
          naturalLogarithm(high * ratio), parameters.penalty(feasibleFraction: high * 1.000001), high
        )
      }
    quick = QuickBound(
      self.tail[0].tilt, self.tail[0].transforms, parameters: parameters, smallMasses: smallMasses,
      reference: reference)
  }

  /// What a pair's score at the constraint is at most: by its tail loss alone, and by its share too.
  func score(first: Int, second: Int) -> (byTail: Double, byShare: Double) {
    let q = parameters.tailFraction
    let logarithmOfMass = naturalLogarithm(q)
    var tailLoss = smallestLoss
    // How much a smaller mass lowers the bound: by its logarithm over this.
    var tilt = tail[0].tilt.loss
    for bound in tail {
      let value = (logarithmOfMass - bound.transforms.logarithmOfTransform(first, second)) / bound.tilt.loss
      if value > tailLoss { (tailLoss, tilt) = (value, bound.tilt.loss) }
    }
    tailLoss *= 1 - 1e-7
    var logarithmOfShare = 0.0
    for bound in share {
      logarithmOfShare = min(logarithmOfShare, bound.transforms.logarithmOfTransform(first, second))
    }
    let largestShare = exponential(logarithmOfShare) * 1.000001

    /// The best that a share under the tail fraction gives: then all subnets under the constraint are the tail.
    func smallShareScore(upTo share: Double) -> Double {
      var best = 0.0
      for (index, step) in smallMasses.enumerated()
      where index + 1 == smallMasses.count || smallMasses[index + 1].mass < share {
        let loss = max(smallestLoss, tailLoss - (logarithmOfMass - step.logarithm) / tilt)
        best = max(best, 1 / (step.penalty * loss))
        if step.mass <= QTParameters.minimumFraction { break }
      }
      return best
    }
    let byTail = max(1 / tailLoss, smallShareScore(upTo: 1))
    guard largestShare >= QTParameters.minimumFraction else { return (byTail, 0) }
    let byPenalty =
      largestShare >= q ? 1 / (parameters.penalty(feasibleFraction: largestShare) * tailLoss) : 0
    return (byTail, max(byPenalty, smallShareScore(upTo: largestShare)))
  }
}

extension HalfTransforms {
  /// An upper bound of `ln S`.
  func logarithmOfTransform(_ first: Int, _ second: Int) -> Double {
    let blocks = self.second.count / terms
    var sum: Float = 0
    for term in 0..<terms {
      sum += self.first[first * terms + term] * self.second[term * blocks + second / 8][second % 8]
    }
    return naturalLogarithm(Double(sum) * PairBounds.safety + PairBounds.floor) + logarithm
  }
}

/// The bound by one tilt of the tail loss, for eight pairs at once.
///
/// The logarithm is that of the number's exponent and a chord above its mantissa: at most 0.0861 more than log2.
struct QuickBound: Sendable {
  let transforms: HalfTransforms
  /// The tail loss is at least `offset - slope * log2 S`.
  private let offset: Float
  private let slope: Float
  /// The least tail loss for which `offset` holds; less is no bound.
  private let validity: Float

  init(
    _ tilt: Tilt, _ transforms: HalfTransforms, parameters: QTParameters,
    smallMasses: [(logarithm: Double, penalty: Double, mass: Double)], reference: Double
  ) {
    self.transforms = transforms
    let q = naturalLogarithm(parameters.tailFraction)
    // The score is at most 1 / L, and for shares under the tail fraction 1 / (penalty (L - (ln q - ln m) / a)). The latter is
    // at most 1 / (L - correction) for L from nine tenths of the reference up.
    let validity = 0.9 * reference
    let correction = smallMasses.reduce(0.0) { most, step in
      max(most, step.penalty * (q - step.logarithm) / tilt.loss - (step.penalty - 1) * validity)
    }
    let slope = naturalLogarithm(2) / tilt.loss
    let offset = (q - transforms.logarithm) / tilt.loss - correction
    self.slope = Float(slope)
    self.validity = max(Float(validity - correction), 1e-9)
    // Rounding of both numbers and of what is computed from them.
    self.offset = Float(offset - 2e-6 * (offset.magnitude + 128 * slope))
  }

  /// Upper bounds on the scores of eight pairs; infinite where the tilt tells nothing.
  ///
  /// - Parameter sum: The sums over terms.
  @inline(__always)
  func scores(_ sum: SIMD8<Float>) -> SIMD8<Float> {
    let padded = sum * Float(PairBounds.safety) + Float(PairBounds.floor)
    let bits = SIMD8<Float>(SIMD8<Int32>(truncatingIfNeeded: unsafe unsafeBitCast(padded, to: SIMD8<UInt32>.self)))
    let logarithm = bits * 0x1p-23 - (127 - 0.08611)
    let loss = SIMD8<Float>(repeating: offset) - logarithm * slope
    return (1 / loss).replacing(with: .infinity, where: loss .< SIMD8(repeating: validity))
  }
}
