/// The share of subnets under a limit, and the mean loss of the best of them.
struct ShareAndTail: Hashable, Sendable {
  /// `p`.
  var share: Double
  /// `L`; 0 where the share is 0.
  var tailLoss: Double
  /// How far `share` may be off.
  var shareError: Double
  /// How far `tailLoss` may be off.
  var tailError: Double
}

/// Finds the largest value of `f(x) = x - H(x) / m` for `H(x) = E max(0, x - loss) 1(feasible)`.
///
/// That value is the mean loss of the best mass `m` (Rockafellar and Uryasev 2000, "Optimization of conditional
/// value-at-risk"): `f` is concave, its slope is `1 - G(x) / m` with `G = H'` the mass of feasible losses up to `x`, and
/// an error in `x` enters `f` squared only.
///
/// - Parameters:
///   - range: `G` is below `m` at its lower end. Where it is so at the upper end as well, the result is `nil`.
///   - tolerance: How far under the largest value the result may be.
///   - relativeTolerance: Where given, the same as a share of the result; both hold then.
///   - curve: `H` and `G` at a point.
/// - Returns: The point and the value there.
func tailMean(
  mass m: Double, in range: ClosedRange<Double>, tolerance: Double, relativeTolerance: Double? = nil,
  _ curve: (Double) -> (hinge: Double, mass: Double)
) -> (point: Double, value: Double)? {
  var low = (x: range.lowerBound, slope: 1.0)
  let top = curve(range.upperBound)
  var high = (x: range.upperBound, slope: 1 - top.mass / m)
  var best = (point: high.x, value: high.x - top.hinge / m)
  guard high.slope <= 0 else { return nil }
  for step in 0..<(relativeTolerance == nil ? 60 : 200) {
    // The tangents at both ends meet above the curve: no value is more than `gap` above the one at an end.
    let gap = (high.x - low.x) * low.slope * -high.slope / max(low.slope - high.slope, 1e-300)
    if gap <= tolerance, relativeTolerance.map({ gap <= $0 * best.value }) ?? true { break }
    // Between bisection, which is safe, and the secant of the logarithm of the mass, which is nearly straight in a tail.
    var x = (low.x + high.x) / 2
    if step % 3 != 2 {
      let lowMass = naturalLogarithm(max(1 - low.slope, 1e-9))
      let highMass = naturalLogarithm(1 - high.slope)
      let secant = low.x + (high.x - low.x) * -lowMass / max(highMass - lowMass, 1e-300)
      let margin = 0.02 * (high.x - low.x)
      x = min(max(secant, low.x + margin), high.x - margin)
    }
    let (hinge, mass) = curve(x)
    let value = x - hinge / m
    if value > best.value { best = (x, value) }
    let slope = 1 - mass / m
    if slope > 0 { low = (x, slope) } else { high = (x, slope) }
  }
  return best
}
