import DeviceLatency
import NetworkGraphs
import SearchSpaces

/// A device whose times follow a known rule, so that a test knows what a predictor has to find.
struct SyntheticDevice: LatencyMeter {
  var device = DeviceIdentity(
    name: "synthetic", version: "1", processor: "none", instructionSets: [], threads: 1)
  var correction = LatencyCorrection(
    scale: 1.04, microsecondsPerOperation: 0.6, microsecondsPerMegabyte: 18, microsecondsPerCall: 1.5)
  /// How many measurements it makes in all before its time is up.
  var patience = Int.max {
    didSet { made = Counter() }
  }
  private var made = Counter()
  var isBusy = false
  var kernelMethod = KernelMethod.alone

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
        correction.scales[kernel.group.rawValue] * SyntheticDevice.microseconds(kernel)
        + correction.microsecondsPerOperation[kernel.group.rawValue]
        + correction.microsecondsPerMegabyte * Double(node.convolution?.weightCount ?? 0) / 1e6
    }
    return sum
  }

  /// The sum of a model's operations, with a change of order at each end that depends on the map there.
  private func networkOf(_ graph: NetworkGraph, _ kernel: KernelSignature?) -> Double {
    let inside = graph.kernelSignatures(isWhole: false).compactMap(\.self).reduce(0) {
      $0 + SyntheticDevice.microseconds($1)
    }
    return SyntheticDevice.emptyCallMicroseconds + inside + Double(graph.inputShape.count + graph.outputShape.count)
      / 500
  }

  /// Float convolutions take twice as long, depthwise ones seven tenths; everything else as long. Depthwise ones want
  /// multiples of 16 channels.
  private func part(_ graph: NetworkGraph, _ precision: LatencyRequest.Precision) -> Double {
    let kernels = graph.kernelSignatures(isWhole: false).compactMap(\.self)
    return kernels.reduce(3) { sum, kernel in
      let factor =
        switch kernel.group {
        case .dense, .pointwise: 2.0
        case .depthwise: 0.7
        default: 1.0
        }
      let step = kernel.group == .depthwise && !kernel.input.channels.isMultiple(of: 16) ? 1.5 : 1
      return sum + SyntheticDevice.microseconds(kernel) * step * (precision == .float32 ? factor : 1)
    }
  }

  func measure(
    _ requests: [LatencyRequest], effort: MeasurementEffort, until deadline: ContinuousClock.Instant,
    record: (LatencyMeasurement) throws -> Void
  ) throws {
    for request in requests.prefix(max(0, patience - made.count)) {
      made.count += 1
      let time =
        switch request.model {
        case .empty: SyntheticDevice.emptyCallMicroseconds
        case .kernel(let kernel): SyntheticDevice.microseconds(kernel) + SyntheticDevice.emptyCallMicroseconds
        case .network(let graph, _): microseconds(graph)
        case .part(let graph, let precision): part(graph, precision)
        case .kernelInContext(let kernel): networkOf(NetworkGraph(inContext: kernel), kernel)
        case .context(let context):
          NetworkGraph(context).map { networkOf($0, nil) } ?? SyntheticDevice.emptyCallMicroseconds
        case .bytes: 0.0
        }
      try record(
        LatencyMeasurement(
          device: device, subject: request.subject, nanoseconds: time * 1e3, spreadPercent: 0, slices: 3, rounds: 3,
          isGated: !isBusy, probeNanoseconds: isBusy ? 200 : 100, secondsSince1970: 0))
    }
  }
}

private final class Counter { var count = 0 }

/// Random networks of random spaces of a built-in hyperspace.
func randomGraphs(_ name: String, count: Int, seed: UInt64 = 7) throws -> [NetworkGraph] {
  guard let hyperspace = Hyperspace.builtIn(name) else { return [] }
  return try (0..<count).map { index in
    var generator = SeededGenerator(seed: seed, stream: "tests", index)
    let space = hyperspace.randomSpace(using: &generator)
    return try NetworkGraph(hyperspace.randomSubnet(of: space, using: &generator), of: space, in: hyperspace)
  }
}
