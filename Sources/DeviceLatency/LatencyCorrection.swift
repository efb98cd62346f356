/// From the sum of a network's parts to the network:
/// `t = sum over kinds (scale[kind] * parts[kind] + perOperation[kind] * operations[kind]) + perMegabyte * weight megabytes
/// + perCall`, in microseconds.
///
/// Parts cost more or less in a network than alone: they find each other's data in the caches instead of their own, and
/// a runtime fuses some into others. That differs between kinds of parts, so each kind has a scale and a cost of its own,
/// which are kept near the common ones as far as the measured networks allow.
public struct LatencyCorrection: Hashable, Sendable, Codable {
  /// One a case of `KernelSignature.Group`, in their order.
  public var scales: [Double]
  /// One a case of `KernelSignature.Group` too. May be a little below zero: a call of one operation costs more than the
  /// call of nothing that is taken off it, and one that is fused into another costs less than beside it.
  public var microsecondsPerOperation: [Double]
  public var microsecondsPerMegabyte: Double
  /// May be a little below zero where the ends of kernels' models cost more than those of a network.
  public var microsecondsPerCall: Double

  public init(
    scales: [Double], microsecondsPerOperation: [Double], microsecondsPerMegabyte: Double, microsecondsPerCall: Double
  ) {
    let count = KernelSignature.Group.allCases.count
    precondition(
      scales.count == count && microsecondsPerOperation.count == count, "one scale and one cost a group of kernels")
    self.scales = scales
    self.microsecondsPerOperation = microsecondsPerOperation
    self.microsecondsPerMegabyte = microsecondsPerMegabyte
    self.microsecondsPerCall = microsecondsPerCall
  }

  /// One scale and one cost for all kinds of parts.
  public init(
    scale: Double, microsecondsPerOperation: Double, microsecondsPerMegabyte: Double, microsecondsPerCall: Double
  ) {
    self.init(
      scales: KernelSignature.Group.allCases.map { _ in scale },
      microsecondsPerOperation: KernelSignature.Group.allCases.map { _ in microsecondsPerOperation },
      microsecondsPerMegabyte: microsecondsPerMegabyte, microsecondsPerCall: microsecondsPerCall)
  }

  private enum CodingKeys: CodingKey {
    case scales, microsecondsPerOperation, microsecondsPerMegabyte, microsecondsPerCall
  }

  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    func number(_ key: CodingKeys) throws -> Double { try container.decode(Double.self, forKey: key) }
    let count = KernelSignature.Group.allCases.count
    func numbers(_ key: CodingKeys) throws -> [Double] {
      let numbers = try container.decode([Double].self, forKey: key)
      guard numbers.count == count, numbers.allSatisfy({ $0.magnitude <= LatencyCorrection.mostMicroseconds }) else {
        throw DecodingError.dataCorruptedError(
          forKey: key, in: container,
          debugDescription: "\(numbers.count) \(key.stringValue); \(count) are right, one a group")
      }
      return numbers
    }
    // Format 2 had one cost for all kinds.
    let costs =
      if let cost = try? container.decode(Double.self, forKey: .microsecondsPerOperation) {
        [Double](repeating: cost, count: count)
      } else {
        try numbers(.microsecondsPerOperation)
      }
    self.init(
      scales: try numbers(.scales), microsecondsPerOperation: costs,
      microsecondsPerMegabyte: try number(.microsecondsPerMegabyte),
      microsecondsPerCall: try number(.microsecondsPerCall))
    for value in costs + [microsecondsPerMegabyte, microsecondsPerCall] {
      guard value.magnitude <= LatencyCorrection.mostMicroseconds else {
        throw DecodingError.dataCorruptedError(
          forKey: .microsecondsPerOperation, in: container, debugDescription: "\(value) is no number of microseconds")
      }
    }
  }

  /// A file that says more, of a kernel or of a cost, is no latency predictor: it would be a fortnight.
  static let mostMicroseconds = 1e12

  /// The bare sum of the parts.
  public static let none = LatencyCorrection(
    scale: 1, microsecondsPerOperation: 0, microsecondsPerMegabyte: 0, microsecondsPerCall: 0)

  /// What is summed over the parts of a network, or of a stage of one.
  public struct Parts: Hashable, Sendable {
    /// Microseconds of the parts alone, one a case of `KernelSignature.Group`.
    public var microseconds = KernelSignature.Group.allCases.map { _ in 0.0 }
    /// One a case of `KernelSignature.Group` too.
    public var operations = KernelSignature.Group.allCases.map { _ in 0 }
    public var weightMegabytes = 0.0

    public init() {}

    public static func += (a: inout Parts, b: Parts) {
      for index in a.microseconds.indices {
        a.microseconds[index] += b.microseconds[index]
        a.operations[index] += b.operations[index]
      }
      a.weightMegabytes += b.weightMegabytes
    }
  }

  /// One measured network and the sum of its parts.
  public struct Sample: Hashable, Sendable {
    public var parts: Parts
    public var measuredMicroseconds: Double

    public init(parts: Parts, measuredMicroseconds: Double) {
      self.parts = parts
      self.measuredMicroseconds = measuredMicroseconds
    }
  }

  /// Microseconds of the parts in a network, without the cost of the call.
  public func microseconds(_ parts: Parts) -> Double {
    var sum = microsecondsPerMegabyte * parts.weightMegabytes
    for index in scales.indices {
      sum += scales[index] * parts.microseconds[index]
      sum += microsecondsPerOperation[index] * Double(parts.operations[index])
    }
    return sum
  }

  /// The relative error of a network's prediction; above zero where it is predicted too slow.
  func error(_ sample: Sample) -> Double {
    (microseconds(sample.parts) + microsecondsPerCall) / sample.measuredMicroseconds - 1
  }
}
