import NetworkGraphs
public import SearchSpaces

/// The study of a device that the paper begins with (section 3): what INT8 gains for which operation, at which widths it
/// is fast, and what the blocks of a hyperspace cost.
public struct DeviceStudy: Sendable {
  /// Maps of these sides, at these widths.
  public var sizes = [28, 14, 7]
  public var widths = [16, 32, 64, 96, 128, 192]
  /// Every multiple of 8, to see where the times step.
  public var stepWidths = Array(stride(from: 16, through: 136, by: 8))
  public var stepSize = 14
  public var blockTypes: [BlockType]

  /// - Parameter blockTypes: The blocks that are compared, such as those of a hyperspace.
  public init(blockTypes: [BlockType]) { self.blockTypes = blockTypes }

  static let operations: [StudyUnit.Kind] =
    [1, 3, 5].map { .convolution(kernel: $0) } + [3, 5, 7].map { .depthwise(kernel: $0) }
    + [.squeezeExcitation, .activated(.hardSwish), .activated(.swish), .residual]
  static let stepOperations: [StudyUnit.Kind] = [
    .convolution(kernel: 1), .convolution(kernel: 3), .depthwise(kernel: 3), .depthwise(kernel: 5), .squeezeExcitation,
  ]

  var operationUnits: [StudyUnit] {
    DeviceStudy.operations.flatMap { kind in
      sizes.flatMap { size in widths.map { StudyUnit(kind, width: $0, size: size) } }
    }
  }

  var stepUnits: [StudyUnit] {
    DeviceStudy.stepOperations.flatMap { kind in stepWidths.map { StudyUnit(kind, width: $0, size: stepSize) } }
  }

  /// Each block type with its smallest kernel and its middle expansion.
  var blockUnits: [StudyUnit] {
    blockTypes.flatMap { type in
      sizes.flatMap { size in
        [32, 64, 96].map { width in
          StudyUnit(
            .block(
              type, kernel: type.kernels.first!,
              expansion: type.expansions.isEmpty ? nil : type.expansions[type.expansions.count / 2]),
            width: width, size: size)
        }
      }
    }
  }

  /// Times everything, what decides most first.
  ///
  /// - Parameters:
  ///   - budget: What is not measured by then is missing from the findings.
  ///   - record: Gets each measurement.
  ///   - progress: Gets how many models are timed, and of how many.
  public func run(
    _ meter: any LatencyMeter, budget: Duration, record: (LatencyMeasurement) throws -> Void = { _ in },
    progress: (Int, Int) -> Void = { _, _ in }
  ) throws -> StudyFindings {
    let deadline = ContinuousClock.now + budget
    var requests: [LatencyRequest] = []
    var seen: Set<StudyUnit> = []
    for unit in operationUnits + stepUnits + blockUnits where seen.insert(unit).inserted {
      for precision in LatencyRequest.Precision.allCases {
        for length in StudyChain.lengths { requests.append(StudyChain(unit, length, precision).request) }
      }
    }
    var nanoseconds: [LatencySubject: Double] = [:]
    var gated = 0
    progress(0, requests.count)
    try meter.measure(requests, effort: .study, until: deadline) { measurement in
      nanoseconds[measurement.subject] = measurement.nanoseconds
      if measurement.isGated { gated += 1 }
      try record(measurement)
      progress(nanoseconds.count, requests.count)
    }
    guard !nanoseconds.isEmpty else {
      throw LatencyProfileError("nothing could be measured within \(budget); a study needs some minutes")
    }
    return findings(nanoseconds, device: meter.device, gatedShare: Double(gated) / Double(nanoseconds.count))
  }

  private func findings(
    _ nanoseconds: [LatencySubject: Double], device: DeviceIdentity, gatedShare: Double
  ) -> StudyFindings {
    func times(_ unit: StudyUnit) -> StudyTimes {
      func one(_ precision: LatencyRequest.Precision) -> Double? {
        let chains = StudyChain.lengths.map { StudyChain(unit, $0, precision) }
        guard let short = nanoseconds[chains[0].request.subject], let long = nanoseconds[chains[1].request.subject],
          long > 1.03 * short
        else { return nil }
        return (long - short) / Double(chains[1].length - chains[0].length) / 1e3
      }
      return StudyTimes(int8: one(.int8), float32: one(.float32))
    }
    func rows(_ units: [StudyUnit]) -> [StudyFindings.Row] {
      units.map { unit in
        let cost = unit.chain(1).cost
        return StudyFindings.Row(
          name: unit.name, width: unit.width, size: unit.size, macs: cost.macs, parameters: cost.parameters,
          microseconds: times(unit))
      }
    }
    return StudyFindings(
      device: device, gatedShare: gatedShare, operations: rows(operationUnits), steps: rows(stepUnits),
      blocks: rows(blockUnits))
  }
}

/// A chain of one unit in one precision.
private struct StudyChain {
  static let lengths = [1, 5]

  var unit: StudyUnit
  var length: Int
  var precision: LatencyRequest.Precision

  init(_ unit: StudyUnit, _ length: Int, _ precision: LatencyRequest.Precision) {
    (self.unit, self.length, self.precision) = (unit, length, precision)
  }

  var request: LatencyRequest {
    LatencyRequest(
      .model("study \(unit.name) \(unit.width)x\(unit.size)x\(unit.size) chain \(length) \(precision.rawValue)"),
      .part(unit.chainInContext(length), precision))
  }
}
