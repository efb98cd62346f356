public import NetworkGraphs
import SearchSpaces

/// The INT8 latency of any network of a hyperspace on one device, from the measured times of its parts.
///
/// A part that was never measured is estimated from those that were; the sum of the parts becomes the latency of the
/// network by a small correction that was fitted on measured networks. Its JSON form is the measured table, readable
/// without this program: a kernel's text and its microseconds.
public struct LatencyPredictor: Sendable {
  public static let formatVersion = 3
  /// Formats that are read. The second had one cost of an operation for all kinds.
  private static let readableVersions = 2...3

  public var device: DeviceIdentity
  /// Microseconds of each measured kernel, without the cost of a call.
  public private(set) var kernels: [KernelSignature: Double]
  /// Microseconds of kernels that were estimated ahead of time.
  public private(set) var estimates: [KernelSignature: Double] = [:]
  public var correction: LatencyCorrection
  /// Share of the kernels' measurements, from 0 to 1, that had the machine at its full speed.
  public var gatedShare: Double
  /// Mean absolute error of estimated kernels in percent, by cross-validation; `nil` where too few were measured.
  public var estimateErrorPercent: Double?
  /// On the networks that the correction was fitted on.
  public var fitted: PredictionAccuracy?
  /// On networks that the predictor was not fitted on.
  public var heldOut: PredictionAccuracy?
  /// How well the device repeats itself, for the error to be read by; `nil` where nothing was measured twice.
  public var repeatability: Repeatability?

  private var regression: KernelRegression

  /// - Parameters:
  ///   - kernels: Microseconds of each measured kernel; what is not above 0 is raised to a hundredth.
  ///   - gatedShare: See the property.
  public init(
    device: DeviceIdentity, kernels: [KernelSignature: Double], correction: LatencyCorrection = .none,
    gatedShare: Double = 1
  ) {
    self.init(
      device: device, kernels: kernels, correction: correction, gatedShare: gatedShare, estimateErrorPercent: nil)
    estimateErrorPercent = KernelRegression.crossValidatedPercent(self.kernels)
  }

  /// Cross-validation takes seconds where there are many kernels, so a predictor that is read has it from its file.
  private init(
    device: DeviceIdentity, kernels: [KernelSignature: Double], correction: LatencyCorrection, gatedShare: Double,
    estimateErrorPercent: Double?
  ) {
    self.device = device
    // A kernel that is faster than the noise of an empty call still takes time.
    self.kernels = kernels.mapValues { max($0, 0.01) }
    self.correction = correction
    self.gatedShare = gatedShare
    self.estimateErrorPercent = estimateErrorPercent
    regression = KernelRegression(self.kernels)
  }

  /// Estimates kernels now, so that predictions only look them up.
  public mutating func estimate(_ signatures: some Sequence<KernelSignature>) {
    for kernel in signatures where kernels[kernel] == nil && estimates[kernel] == nil {
      estimates[kernel] = regression.microseconds(kernel)
    }
  }

  /// Adjusts kernels' times, as far as they are in doubt, to the networks that the correction was fitted on.
  ///
  /// Where a kernel's time is a small difference of two long ones it is known to about a tenth, and what is wrong with it
  /// shows in every network that has it. The most probable errors, if each were drawn by itself and networks were
  /// predicted to three hundredths otherwise: ridge regression in its dual form, one unknown a network.
  mutating func adjustKernels(to networks: [(graph: NetworkGraph, microseconds: Double)]) {
    guard networks.count >= 20 else { return }
    let signatures = networks.map { $0.graph.kernelSignatures(isWhole: true).compactMap(\.self) }
    // In one order, since sums of floating-point numbers depend on it.
    let known = Set(signatures.joined()).sorted()
    let places = Dictionary(uniqueKeysWithValues: known.enumerated().map { ($1, $0) })
    // With a floor for kernels that seemed to cost nothing.
    let operations = Double(signatures.reduce(0) { $0 + $1.count })
    let floor = 0.03 * networks.reduce(0) { $0 + $1.microseconds } / operations
    let doubts = known.map { (kernels[$0] == nil ? 0.2 : 0.1) * microseconds(of: $0) + floor }
    let rows = zip(networks, signatures).map { network, signatures in
      var row = [Double](repeating: 0, count: known.count)
      for kernel in signatures {
        row[places[kernel]!] +=
          doubts[places[kernel]!] * correction.scales[kernel.group.rawValue] / network.microseconds
      }
      return row
    }
    let filled = rows.map { row in row.indices.filter { row[$0] != 0 } }
    var residuals = networks.map { 1 - 1e3 * milliseconds(of: $0.graph) / $0.microseconds }
    // A network that was measured badly must not bend its kernels.
    let limit = 5 * Statistics.median(residuals.map(abs))
    residuals = residuals.map { min(max($0, -limit), limit) }
    let matrix = rows.indices.map { i in
      rows.indices.map { j in filled[i].reduce(i == j ? 0.03 * 0.03 : 0) { $0 + rows[i][$1] * rows[j][$1] } }
    }
    guard let weights = LeastSquares.solve(matrix: matrix, right: residuals) else { return }
    for (place, kernel) in known.enumerated() {
      let error = zip(rows, weights).reduce(0) { $0 + $1.0[place] * $1.1 }
      let adjusted = max(microseconds(of: kernel) + doubts[place] * error, 0.01)
      if kernels[kernel] != nil { kernels[kernel] = adjusted } else { estimates[kernel] = adjusted }
    }
    regression = KernelRegression(kernels)
  }

  /// Microseconds of one kernel alone: measured, or else estimated. 0 where nothing at all was measured.
  public func microseconds(of kernel: KernelSignature) -> Double {
    kernels[kernel] ?? estimates[kernel] ?? regression.microseconds(kernel) ?? 0
  }

  /// The latency of a whole network, from pixels to logits.
  public func prediction(of graph: NetworkGraph) -> LatencyPrediction {
    let parts = parts(of: graph, isWhole: true)
    return LatencyPrediction(
      stageNames: graph.stageNames, stageMilliseconds: parts.map(corrected),
      callMilliseconds: correction.microsecondsPerCall / 1e3)
  }

  /// Milliseconds of a whole network, from pixels to logits.
  public func milliseconds(of graph: NetworkGraph) -> Double { prediction(of: graph).milliseconds }

  /// Milliseconds that a stage adds to any network: the graph is the stage's alone.
  public func stageMilliseconds(of graph: NetworkGraph) -> Double {
    parts(of: graph, isWhole: false).map(corrected).reduce(0, +)
  }

  /// The sum of a network's parts, for fitting the correction.
  public func sample(of graph: NetworkGraph, measuredMicroseconds: Double) -> LatencyCorrection.Sample {
    LatencyCorrection.Sample(
      parts: parts(of: graph, isWhole: true).reduce(into: .init()) { $0 += $1 },
      measuredMicroseconds: measuredMicroseconds)
  }

  /// One value a stage of the graph.
  private func parts(of graph: NetworkGraph, isWhole: Bool) -> [LatencyCorrection.Parts] {
    var parts = [LatencyCorrection.Parts](repeating: .init(), count: graph.stageNames.count)
    for (node, kernel) in zip(graph.nodes, graph.kernelSignatures(isWhole: isWhole)) {
      guard let kernel else { continue }
      parts[node.stage].microseconds[kernel.group.rawValue] += microseconds(of: kernel)
      parts[node.stage].operations[kernel.group.rawValue] += 1
      parts[node.stage].weightMegabytes += Double(node.convolution?.weightCount ?? 0) / 1e6
    }
    return parts
  }

  /// Milliseconds, without the cost of the call.
  private func corrected(_ parts: LatencyCorrection.Parts) -> Double { correction.microseconds(parts) / 1e3 }
}

/// A predicted latency and what it is made of.
public struct LatencyPrediction: Hashable, Sendable {
  public var stageNames: [String]
  /// One a stage name; the first is the stem, the last the head.
  public var stageMilliseconds: [Double]
  public var callMilliseconds: Double

  /// What every network pays that has this stem and this head.
  public var fixedMilliseconds: Double {
    stageMilliseconds.first! + (stageMilliseconds.count > 1 ? stageMilliseconds.last! : 0) + callMilliseconds
  }

  /// Stem, head and call, then stage after stage: the same sum as of tables of stages.
  public var milliseconds: Double {
    stageMilliseconds.dropFirst().dropLast().reduce(fixedMilliseconds, +)
  }
}

extension LatencyPredictor: Codable {
  private enum Key: String, CodingKey {
    case formatVersion, device, correction, gatedShare, estimateErrorPercent, fitted, heldOut, repeatability,
      microseconds, estimatedMicroseconds
  }

  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: Key.self)
    let version = try container.decode(Int.self, forKey: .formatVersion)
    guard LatencyPredictor.readableVersions.contains(version) else {
      throw DecodingError.dataCorruptedError(
        forKey: .formatVersion, in: container,
        debugDescription:
          "this predictor has format \(version); this program reads \(LatencyPredictor.readableVersions.lowerBound) to "
          + "\(LatencyPredictor.readableVersions.upperBound). Profile anew.")
    }
    func table(_ key: Key) throws -> [KernelSignature: Double] {
      var table: [KernelSignature: Double] = [:]
      for (text, value) in try container.decode([String: Double].self, forKey: key) {
        guard let kernel = KernelSignature(text), value > 0, value <= LatencyCorrection.mostMicroseconds else {
          throw DecodingError.dataCorruptedError(
            forKey: key, in: container, debugDescription: "\"\(text)\": \(value) is no kernel and its microseconds")
        }
        table[kernel] = value
      }
      return table
    }
    let gatedShare = try container.decode(Double.self, forKey: .gatedShare)
    guard (0...1).contains(gatedShare) else {
      throw DecodingError.dataCorruptedError(
        forKey: .gatedShare, in: container, debugDescription: "\(gatedShare) is no share from 0 to 1")
    }
    self.init(
      device: try container.decode(DeviceIdentity.self, forKey: .device), kernels: try table(.microseconds),
      correction: try container.decode(LatencyCorrection.self, forKey: .correction), gatedShare: gatedShare,
      estimateErrorPercent: try container.decodeIfPresent(Double.self, forKey: .estimateErrorPercent))
    estimates = try table(.estimatedMicroseconds)
    fitted = try container.decodeIfPresent(PredictionAccuracy.self, forKey: .fitted)
    heldOut = try container.decodeIfPresent(PredictionAccuracy.self, forKey: .heldOut)
    repeatability = try container.decodeIfPresent(Repeatability.self, forKey: .repeatability)
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: Key.self)
    try container.encode(LatencyPredictor.formatVersion, forKey: .formatVersion)
    try container.encode(device, forKey: .device)
    try container.encode(correction, forKey: .correction)
    try container.encode(gatedShare, forKey: .gatedShare)
    try container.encodeIfPresent(estimateErrorPercent, forKey: .estimateErrorPercent)
    try container.encodeIfPresent(fitted, forKey: .fitted)
    try container.encodeIfPresent(heldOut, forKey: .heldOut)
    try container.encodeIfPresent(repeatability, forKey: .repeatability)
    func texts(_ table: [KernelSignature: Double]) -> [String: Double] {
      Dictionary(uniqueKeysWithValues: table.map { ($0.key.description, $0.value) })
    }
    try container.encode(texts(kernels), forKey: .microseconds)
    try container.encode(texts(estimates), forKey: .estimatedMicroseconds)
  }
}
