import DeviceLatency
import NetworkGraphs
import SearchSpaces

/// A device whose times follow a known rule, so that a test knows what a predictor has to find.
struct SyntheticDevice: LatencyMeter {
  var device = DeviceIdentity(
    name: "synthetic", version: "1", processor: "none", instructionSets: [], threads: 1)
  var correction = LatencyCorrection(
    scale: 1.04, microsecondsPerOperation: 0.6, microsecondsPerMegabyte: 18, microsecondsPerCall: 1.5)
  /// How many measurements it makes before its time is up.
  var patience = Int.max
  var isBusy = false

  static let emptyCallMicroseconds = 1.0

  /// Rises with work, memory and what vectors of 16 channels leave unused.
  static func microseconds(_ kernel: KernelSignature) -> Double {
    let graph = NetworkGraph(kernel)
    let channels = graph.outputShape.channels
    let filled = Double(channels) / Double((channels + 15) / 16 * 16)
    let rate = if case .depthwise = kernel.kind { 20.0 } else { 200.0 }
    return 0.4 + Double(graph.cost.macs) / 1e3 / rate / filled + Double(kernel.input.count) / 4e4
  }

  func microseconds(_ graph: NetworkGraph) -> Double {
    var sum = correction.microsecondsPerCall
    for (node, kernel) in zip(graph.nodes, graph.kernelSignatures(isWhole: true)) {
      guard let kernel else { continue }
      sum +=
        correction.scale * SyntheticDevice.microseconds(kernel) + correction.microsecondsPerOperation
        + correction.microsecondsPerMegabyte * Double(node.convolution?.weightCount ?? 0) / 1e6
    }
    return sum
  }

  func measure(
    _ requests: [LatencyRequest], effort: MeasurementEffort, until deadline: ContinuousClock.Instant,
    record: (LatencyMeasurement) throws -> Void
  ) throws {
    for request in requests.prefix(patience) {
      let time =
        switch request.model {
        case .empty: SyntheticDevice.emptyCallMicroseconds
        case .kernel(let kernel): SyntheticDevice.microseconds(kernel) + SyntheticDevice.emptyCallMicroseconds
        case .network(let graph): microseconds(graph)
        case .part, .bytes: 0.0
        }
      try record(
        LatencyMeasurement(
          device: device, subject: request.subject, nanoseconds: time * 1e3, spreadPercent: 0, slices: 3, rounds: 3,
          isGated: !isBusy, probeNanoseconds: isBusy ? 200 : 100, secondsSince1970: 0))
    }
  }
}

/// Random networks of random spaces of a built-in hyperspace.
func randomGraphs(_ name: String, count: Int, seed: UInt64 = 7) throws -> [NetworkGraph] {
  guard let hyperspace = Hyperspace.builtIn(name) else { return [] }
  return try (0..<count).map { index in
    var generator = SeededGenerator(seed: seed, stream: "tests", index)
    let space = hyperspace.randomSpace(using: &generator)
    return try NetworkGraph(hyperspace.randomSubnet(of: space, using: &generator), of: space, in: hyperspace)
  }
}
