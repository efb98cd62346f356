import DeviceLatency
import Pipeline
import SearchSpaces
import Testing

@Suite struct StageWeightsTests {
  /// Networks of four stages, the accuracy of which is a sum of the stages' values with these weights, and noise.
  private static func networks(
    _ count: Int, weights: [Double], noise: Double, seed: UInt64
  ) -> (values: [[Double]], accuracies: [Double]) {
    var generator = SeededGenerator(seed: seed, stream: "stage-weights")
    let values = (0..<count).map { _ in weights.map { _ in Double.random(in: 0...3, using: &generator) } }
    let accuracies = values.map { row in
      zip(row, weights).reduce(0.9) { $0 + 0.01 * $1.0 * $1.1 } + noise * Double.random(in: -1...1, using: &generator)
    }
    return (values, accuracies)
  }

  @Test(arguments: 1...5 as ClosedRange<UInt64>)
  func `fitted weights rank networks they were not fitted to, where stages count differently`(seed: UInt64) throws {
    let (values, accuracies) = Self.networks(32, weights: [0, 0, 2, 1], noise: 0.004, seed: seed)
    let fitted = try #require(StageWeights.judged(values, accuracies))
    let sum = values.map { $0.reduce(0, +) }
    let (tau, plain) = (Statistics.kendallTau(fitted, accuracies), Statistics.kendallTau(sum, accuracies))
    #expect(tau > 0.75 && tau > plain + 0.1, "\(tau) with fitted weights, \(plain) with the plain sum")
  }

  @Test func `a constant added to a stage's values changes no order`() throws {
    let (values, accuracies) = Self.networks(32, weights: [0, 0, 2, 1], noise: 0.004, seed: 6)
    let moved = values.map { [$0[0], $0[1], $0[2] + 20, $0[3]] }
    let judged = try #require(StageWeights.judged(values, accuracies))
    let again = try #require(StageWeights.judged(moved, accuracies))
    #expect(zip(judged, again).allSatisfy { abs($0 - $1) < 1e-6 })
  }

  @Test func `where accuracies are chance, fitted weights say nothing`() throws {
    let taus = try (1...40 as ClosedRange<UInt64>).map { seed in
      let (values, accuracies) = Self.networks(24, weights: [0, 0, 0, 0], noise: 0.01, seed: seed)
      return Statistics.kendallTau(try #require(StageWeights.judged(values, accuracies)), accuracies)
    }
    // One tau of 24 networks has a standard deviation of 0.15: their mean, of 0.024.
    #expect(abs(Statistics.mean(taus)) < 0.1, "mean tau \(Statistics.mean(taus))")
  }

  @Test func `with fewer than three networks a stage, or stages that never differ, nothing is fitted`() {
    let (values, accuracies) = Self.networks(11, weights: [1, 1, 1, 1], noise: 0, seed: 1)
    #expect(StageWeights.judged(values, accuracies) == nil)
    let same = [[Double]](repeating: [1, 2, 3, 4], count: 20)
    #expect(StageWeights.judged(same, (0..<20).map { Double($0) / 20 }) == nil)
  }
}
