/// The measurements of one device, and for each subject the one to believe.
public struct MeasurementTable {
  private var measurements: [LatencySubject: [LatencyMeasurement]] = [:]
  private var bestProbe = Double.infinity
  private let device: DeviceIdentity

  /// - Parameters:
  ///   - measurements: Of any device; those of others are left out.
  ///   - device: The device.
  public init(_ measurements: [LatencyMeasurement], device: DeviceIdentity) {
    self.device = device
    for measurement in measurements { insert(measurement) }
  }

  /// Adds a measurement, if it is of this device.
  public mutating func insert(_ new: LatencyMeasurement) {
    guard new.device == device else { return }
    bestProbe = min(bestProbe, new.probeNanoseconds)
    measurements[new.subject, default: []].append(new)
  }

  /// Whether the machine was at its full speed, judged by the best probe known by now.
  public func isGated(_ measurement: LatencyMeasurement) -> Bool {
    measurement.isGated && measurement.probeNanoseconds <= bestProbe * LatencyMeasurement.probeTolerance
  }

  /// How often the subject was measured with the machine at its full speed.
  public func gatedCount(_ subject: LatencySubject) -> Int { measurements[subject]?.count(where: isGated) ?? 0 }

  /// The shortest of the gated measurements, or of all where none is.
  public subscript(_ subject: LatencySubject) -> LatencyMeasurement? {
    guard let all = measurements[subject] else { return nil }
    let gated = all.filter(isGated)
    return (gated.isEmpty ? all : gated).min { $0.nanoseconds < $1.nanoseconds }
  }

  /// All kernels measured.
  public var kernels: [KernelSignature: LatencyMeasurement] {
    var kernels: [KernelSignature: LatencyMeasurement] = [:]
    for subject in measurements.keys {
      if case .kernel(let kernel) = subject { kernels[kernel] = self[subject] }
    }
    return kernels
  }
}
