import Reports
import Testing

@Suite("Axes")
struct AxisTests {
  /// Ranges of all sizes and places, degenerate ones among them.
  static func values(seed: Int) -> [Double] {
    var numbers = SeededNumbers(seed: seed)
    let size = [1e-300, 1e-9, 1e-3, 1, 40, 1e6, 1e16, 1e296][seed % 8]
    let offset = seed.isMultiple(of: 3) ? size * 1000 * numbers.fraction() : 0
    let count = [1, 2, 5, 50][(seed / 8) % 4]
    return (0..<count).map { _ in offset + size * (numbers.fraction() - (seed.isMultiple(of: 2) ? 0 : 0.5)) }
  }

  @Test("Ticks of a linear axis ascend, lie in its range and leave no gap at its ends", arguments: 0..<256)
  func linearTicksCoverTheRange(seed: Int) throws {
    let values = Self.values(seed: seed)
    let scale = AxisScale(Axis("Value"), values: values, tickGoal: 2 + seed % 9)
    #expect(scale.lower < scale.upper)
    for value in values { #expect(value >= scale.lower && value <= scale.upper) }
    let ticks = scale.ticks.map(\.value)
    #expect(ticks.count <= 24)
    let first = try #require(ticks.first)
    let last = try #require(ticks.last)
    let slack = (scale.upper - scale.lower) * 1e-6
    #expect(first >= scale.lower - slack && last <= scale.upper + slack)
    guard ticks.count > 1 else { return }
    let step = ticks[1] - ticks[0]
    #expect(step > 0)
    #expect(first - scale.lower <= step * 1.001 && scale.upper - last <= step * 1.001)
    for (next, tick) in zip(ticks.dropFirst(), ticks) { #expect(abs(next - tick - step) < step * 1e-3) }
  }

  @Test("Labels of ticks all differ", arguments: 0..<256)
  func labelsDiffer(seed: Int) {
    let axis = Axis("Value", scale: seed.isMultiple(of: 2) ? .linear : .logarithmic)
    let scale = AxisScale(axis, values: Self.values(seed: seed).map(abs), tickGoal: 5)
    #expect(Set(scale.ticks.map(\.label)).count == scale.ticks.count)
  }

  @Test(
    "Nice ticks",
    arguments: [
      ([0.0, 10.0], 5, ["0", "2", "4", "6", "8", "10"]), ([0.0, 0.3], 3, ["0.0", "0.1", "0.2", "0.3"]),
      ([-1.0, 1.0], 4, ["-1.0", "-0.5", "0.0", "0.5", "1.0"]), ([0.0, 2e9], 2, ["0", "1×10⁹", "2×10⁹"]),
    ])
  func niceTicks(values: [Double], goal: Int, expected: [String]) {
    #expect(AxisScale(Axis("Value"), values: values, tickGoal: goal, padded: false).ticks.map(\.label) == expected)
  }

  @Test("A logarithmic axis puts powers of ten at equal distances")
  func logarithmicTicks() {
    let scale = AxisScale(Axis("Value", scale: .logarithmic), values: [0.1, 100], tickGoal: 4, padded: false)
    #expect(scale.ticks.map(\.label) == ["0.1", "1", "10", "100"])
    #expect(abs(scale.position(1) - 1.0 / 3) < 1e-12)
  }

  @Test("Values that an axis cannot show don't stretch it")
  func unusableValues() {
    let linear = AxisScale(Axis("Value"), values: [.nan, 1, .infinity, 2, 1e305], tickGoal: 5)
    #expect(linear.lower >= 0.9 && linear.upper <= 2.1)
    let logarithmic = AxisScale(Axis("Value", scale: .logarithmic), values: [-1, 0, 1, 10, .nan], tickGoal: 5)
    #expect(logarithmic.lower > 0.5 && logarithmic.upper < 20)
  }

  @Test("A quantity that is never negative has no negative stretch of axis")
  func noNegativePadding() {
    #expect(AxisScale(Axis("Latency"), values: [0.01, 10], tickGoal: 5).lower == 0)
  }
}
