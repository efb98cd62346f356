/// What an axis says and how it is divided.
public struct Axis: Hashable, Sendable {
  public enum Scale: Hashable, Sendable {
    case linear
    /// Powers of ten at equal distances. Values that are not positive cannot be drawn and are left out.
    case logarithmic
  }

  /// What is measured: “Latency”.
  public var title: String
  /// Its unit, set in brackets behind the title: “ms”. Empty if it has none.
  public var unit: String
  public var scale: Scale
  /// Values that must be on the axis, whatever the data: `[0]` for a baseline.
  public var including: [Double]

  public init(_ title: String, unit: String = "", scale: Scale = .linear, including: [Double] = []) {
    self.title = title
    self.unit = unit
    self.scale = scale
    self.including = including
  }

  var heading: String { unit.isEmpty ? title : "\(title) (\(unit))" }

  /// Whether a value has a place on this axis. Beyond 10³⁰⁰ differences are no longer finite.
  func canShow(_ value: Double) -> Bool {
    value.isFinite && value.magnitude <= 1e300 && (scale == .linear || value >= 1e-300)
  }
}

/// An axis with its range and its ticks, laid on a stretch of the drawing.
package struct AxisScale {
  package struct Tick: Hashable {
    package var value: Double
    package var label: String
  }

  let axis: Axis
  /// The values at both ends; the first is the lesser.
  package private(set) var lower: Double
  package private(set) var upper: Double
  package private(set) var ticks: [Tick]
  /// The drawing's coordinate of `lower` and of `upper`.
  package var start = 0.0
  package var end = 1.0

  /// - Parameters:
  ///   - values: the data; what the axis cannot show is passed over.
  ///   - tickGoal: about how many ticks there is room for.
  ///   - padded: whether the range ends a little outside the data, so that no mark touches the frame; otherwise it ends at
  ///     the data or, on a linear axis that starts at zero, at the next tick.
  package init(_ axis: Axis, values: some Sequence<Double>, tickGoal: Int, padded: Bool = true) {
    self.axis = axis
    var lower = Double.infinity
    var upper = -Double.infinity
    for value in values where axis.canShow(value) {
      lower = min(lower, value)
      upper = max(upper, value)
    }
    for value in axis.including where axis.canShow(value) {
      lower = min(lower, value)
      upper = max(upper, value)
    }
    let dataLower = lower
    let dataUpper = upper
    switch axis.scale {
    case .linear:
      if lower > upper { (lower, upper) = (0, 1) }
      let size = max(lower.magnitude, upper.magnitude)
      if upper - lower <= size * 1e-9 || upper - lower < 1e-290 {
        // Equal values stand in the middle.
        let half = size < 1e-280 ? 1 : size * 0.1
        (lower, upper) = (lower - half, upper + half)
      } else if padded {
        let margin = (upper - lower) * 0.05
        // A bound that was asked for stays where it is, and a quantity with no negative values gets no negative stretch.
        if !axis.including.contains(dataLower) { lower -= margin }
        if !axis.including.contains(dataUpper) { upper += margin }
        if dataLower >= 0 { lower = max(lower, 0) }
      }
    case .logarithmic:
      if lower > upper { (lower, upper) = (1, 10) }
      // In powers of ten, since the ratio of the ends may be beyond what a number holds.
      var powers = (logarithm10(lower), logarithm10(upper))
      if powers.1 - powers.0 < 1e-9 {
        powers = (powers.0 - 0.3, powers.1 + 0.3)
      } else if padded {
        // At least 2 %, so that marks at the ends stay whole.
        let margin = max((powers.1 - powers.0) * 0.05, 0.01)
        powers = (powers.0 - margin, powers.1 + margin)
      }
      (lower, upper) = (powerOf10(max(powers.0, -306)), powerOf10(min(powers.1, 306)))
      // Powers of ten need not come back exactly.
      if dataLower <= dataUpper { (lower, upper) = (min(lower, dataLower), max(upper, dataUpper)) }
    }
    self.lower = lower
    self.upper = upper
    ticks = []
    let values =
      switch axis.scale {
      case .linear: TickValues.linear(lower, upper, goal: tickGoal)
      case .logarithmic: TickValues.logarithmic(lower, upper, goal: tickGoal)
      }
    ticks = TickValues.labelled(values)
  }

  package func position(_ value: Double) -> Double { start + (end - start) * fraction(value) }

  private func fraction(_ value: Double) -> Double {
    switch axis.scale {
    case .linear: (value - lower) / (upper - lower)
    case .logarithmic:
      (logarithm10(value) - logarithm10(lower)) / (logarithm10(upper) - logarithm10(lower))
    }
  }

  func shows(_ value: Double) -> Bool { value >= lower && value <= upper }
}

/// Where ticks stand.
enum TickValues {
  /// Multiples of 1, 2 or 5 times a power of ten, from `lower` to `upper`.
  static func linear(_ lower: Double, _ upper: Double, goal: Int) -> [Double] {
    let rough = (upper - lower) / Double(max(goal, 2))
    guard rough > 0, rough.isFinite else { return [lower] }
    let exponent = Int(logarithm10(rough).rounded(.down))
    let unit = powerOf10(exponent)
    guard unit > 0 else { return [lower] }
    let step: Double =
      switch rough / unit {
      case ...1.001: 1
      case ...2.001: 2
      case ...5.001: 5
      default: 10
      }
    let spacing = step * unit
    let first = (lower / spacing - 1e-9).rounded(.up)
    let last = (upper / spacing + 1e-9).rounded(.down)
    guard first.magnitude < 1e15, last.magnitude < 1e15, first <= last else { return [lower] }
    return (0...min(Int(last - first), 50)).map { index in
      // Dividing by a whole number keeps 0.3 from being 0.30000000000000004.
      let count = (first + Double(index)) * step
      return exponent < 0 && exponent > -300 ? count / powerOf10(-exponent) : count * unit
    }
  }

  /// Powers of ten, or 1, 2, 5 times a power of ten where few decades are shown; plain steps where less than half a decade is.
  static func logarithmic(_ lower: Double, _ upper: Double, goal: Int) -> [Double] {
    let decades = logarithm10(upper) - logarithm10(lower)
    if decades < 0.5 { return linear(lower, upper, goal: goal) }
    let first = Int(logarithm10(lower).rounded(.down))
    let last = Int(logarithm10(upper).rounded(.up))
    let every = max(1, Int((decades / Double(max(goal, 2))).rounded(.up)))
    var mantissas: [Double] = [1]
    if Double(goal) >= decades * 3 { mantissas = [1, 2, 5] }
    if Double(goal) >= decades * 6 { mantissas = [1, 1.5, 2, 3, 5, 7] }
    var values: [Double] = []
    for exponent in first...last where (exponent - first).isMultiple(of: every) || exponent.isMultiple(of: every) {
      guard every == 1 || exponent.isMultiple(of: every) else { continue }
      for mantissa in mantissas {
        let value = Double("\(mantissa)e\(exponent)") ?? 0
        if value >= lower * (1 - 1e-9) && value <= upper * (1 + 1e-9) { values.append(value) }
      }
    }
    return values.isEmpty ? linear(lower, upper, goal: goal) : values
  }

  /// Labels in one form for all: as many decimals as the finest needs, powers of ten where the numbers are long.
  static func labelled(_ values: [Double]) -> [AxisScale.Tick] {
    let size = values.lazy.map(\.magnitude).max() ?? 0
    let least = values.lazy.map(\.magnitude).filter { $0 > 0 }.min() ?? 0
    if size >= 1e7 || (size > 0 && size < 1e-4) || (size > 0 && least < 1e-5) {
      return values.map { AxisScale.Tick(value: $0, label: NumberText.scientific($0, digits: 6)) }
    }
    // On an axis of several decades each tick keeps to its own decimals: 0.1, 1, 10.
    let common = least > 0 && size / least >= 20 && !isEvenlySpaced(values) ? nil : values.map(decimals).max()
    return values.map {
      AxisScale.Tick(value: $0, label: NumberText.fixed($0, decimals: common ?? decimals($0)))
    }
  }

  private static func isEvenlySpaced(_ values: [Double]) -> Bool {
    guard values.count > 2 else { return true }
    let step = values[1] - values[0]
    return zip(values.dropFirst(), values).allSatisfy { ($0 - $1 - step).magnitude < step.magnitude * 1e-3 }
  }

  private static func decimals(_ value: Double) -> Int {
    let digits = DecimalDigits(value)
    return min(max(digits.digits.count - digits.exponent, 0), 12)
  }
}
