import DeviceLatency
import Foundation
import NetworkGraphs
import SearchSpaces
import Testing

@Suite("Measurements")
struct MeasurementTests {
  let device = SyntheticDevice().device

  func measurement(_ slices: [LatencySlice], needed: Int) -> LatencyMeasurement? {
    LatencyMeasurement(
      slices, device: device, subject: .emptyCall, level: ProbeLevel(earlier: 100), needed: needed,
      secondsSince1970: 0)
  }

  @Test("Slices count only where the probe was within 5 % of the best")
  func gate() throws {
    let slices = [
      LatencySlice(nanoseconds: 50, probeNanoseconds: 106), LatencySlice(nanoseconds: 60, probeNanoseconds: 105),
      LatencySlice(nanoseconds: 66, probeNanoseconds: 100), LatencySlice(nanoseconds: 63, probeNanoseconds: 101),
    ]
    let value = try #require(measurement(slices, needed: 3))
    #expect(value.isGated)
    #expect(value.nanoseconds == 60)
    #expect(abs(value.spreadPercent - 10) < 1e-9)
    #expect(value.slices == 3)
    #expect(value.rounds == 4)
    #expect(value.probeNanoseconds == 105)
  }

  @Test("Single readings that no other comes near do not become the machine's full speed")
  func outliers() {
    var level = ProbeLevel()
    #expect(level.nanoseconds == .infinity)
    var generator = SeededGenerator(seed: 8)
    // A clock that boosted twice, then 300 readings of an ordinary machine and as many of a slow one.
    for reading in [80, 82] as [Double] { level.insert(reading) }
    for _ in 0..<300 {
      level.insert(100 + 2 * generator.uniform())
      level.insert(130 + 20 * generator.uniform())
    }
    #expect((100..<101).contains(level.nanoseconds))
    #expect(level.admits(104))
    #expect(!level.admits(107))
    #expect(ProbeLevel([120, 100, 110]).nanoseconds == 120)
  }

  @Test("A machine that is slow from beginning to end is known by earlier measurements")
  func earlier() {
    var level = ProbeLevel(earlier: 100)
    for _ in 0..<50 { level.insert(130) }
    #expect(!level.admits(130))
    var faster = ProbeLevel(earlier: 100)
    for _ in 0..<50 { faster.insert(80) }
    #expect(faster.nanoseconds == 80)
  }

  @Test("The level of many readings is that of all of them", arguments: 0..<4 as Range<UInt64>)
  func manyReadings(seed: UInt64) {
    var generator = SeededGenerator(seed: seed)
    let readings = (0..<20_000).map { _ in 100 * (1 + generator.uniform()) }
    #expect(ProbeLevel(readings).nanoseconds == readings.sorted()[400])
  }

  @Test("With too few slices at full speed the number says so")
  func busy() throws {
    let slices = [
      LatencySlice(nanoseconds: 50, probeNanoseconds: 150), LatencySlice(nanoseconds: 60, probeNanoseconds: 100),
    ]
    let value = try #require(measurement(slices, needed: 2))
    #expect(!value.isGated)
    #expect(value.nanoseconds == 50)
    #expect(value.slices == 2)
    #expect(measurement([], needed: 1) == nil)
  }

  @Test("Each subject survives its JSON form")
  func codable() throws {
    let hyperspace = try #require(Hyperspace.builtIn("mini32"))
    var generator = SeededGenerator(seed: 1)
    let space = hyperspace.randomSpace(using: &generator)
    let subnet = hyperspace.randomSubnet(of: space, using: &generator)
    let kernel = KernelSignature(
      kind: .depthwise(kernel: 5, stride: 2), input: TensorShape(channels: 24, height: 9, width: 9), range: .relu6)
    for subject: LatencySubject in [.emptyCall, .kernel(kernel), .subnet(space, subnet), .model("resnet.onnx")] {
      var value = try #require(
        measurement([LatencySlice(nanoseconds: 50, probeNanoseconds: 100)], needed: 1))
      value.subject = subject
      #expect(try JSONDecoder().decode(LatencyMeasurement.self, from: JSONEncoder().encode(value)) == value)
    }
    #expect(throws: DecodingError.self) {
      try JSONDecoder().decode(LatencySubject.self, from: Data(#"{"call": "full"}"#.utf8))
    }
  }

  @Test("Kendall's tau-b of small lists, worked out by hand")
  func kendall() {
    #expect(Statistics.kendallTau([1, 2, 3, 4], [1, 2, 3, 4]) == 1)
    #expect(Statistics.kendallTau([1, 2, 3, 4], [4, 3, 2, 1]) == -1)
    #expect(abs(Statistics.kendallTau([1, 2, 3, 4], [1, 2, 4, 3]) - 4.0 / 6) < 1e-12)
    // One tie in a: five untied pairs there, six in b, four concordant and one discordant.
    #expect(abs(Statistics.kendallTau([1, 1, 2, 3], [1, 2, 4, 3]) - 3 / 30.0.squareRoot()) < 1e-12)
    #expect(Statistics.kendallTau([1, 1], [1, 2]) == 0)
  }

  @Test("Quantiles lie between neighbours in proportion")
  func quantiles() {
    #expect(Statistics.median([3, 1, 2]) == 2)
    #expect(Statistics.median([4, 1, 2, 3]) == 2.5)
    #expect(Statistics.quantile([10, 20], 0.25) == 12.5)
    #expect(Statistics.quantile([5], 1) == 5)
  }

  @Test("Accuracy counts what is within 5 and 10 %")
  func accuracy() {
    let accuracy = PredictionAccuracy(
      [(1.04, 1), (1.88, 2), (3.6, 3), (4, 4)].map {
        .init(predictedMilliseconds: $0.0, measuredMilliseconds: $0.1)
      })
    #expect(accuracy.within5Percent == 0.5)
    #expect(accuracy.within10Percent == 0.75)
    #expect(abs(accuracy.meanPercent - 7.5) < 1e-9)
    #expect(abs(accuracy.largestPercent - 20) < 1e-9)
    #expect(accuracy.kendallTau == 1)
  }
}
