/// The measurements of one device, and for each subject the one to believe.
public struct MeasurementTable {
  private var measurements: [LatencySubject: [LatencyMeasurement]] = [:]
  private var level = ProbeLevel()
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
    level.insert(new.probeNanoseconds)
    measurements[new.subject, default: []].append(new)
  }

  /// What the machine's probe reads at full speed, by the measurements known by now; `nil` where there are none.
  public var probeLevel: Double? { level.count > 0 ? level.nanoseconds : nil }

  /// Whether the machine was at its full speed, judged by all measurements known by now.
  public func isGated(_ measurement: LatencyMeasurement) -> Bool {
    measurement.isGated && level.admits(measurement.probeNanoseconds)
  }

  /// How often the subject was measured with the machine at its full speed.
  public func gatedCount(_ subject: LatencySubject) -> Int { measurements[subject]?.count(where: isGated) ?? 0 }

  /// The shortest of the gated measurements, or of all where none is.
  public subscript(_ subject: LatencySubject) -> LatencyMeasurement? {
    guard let all = measurements[subject] else { return nil }
    let gated = all.filter(isGated)
    return (gated.isEmpty ? all : gated).min { $0.nanoseconds < $1.nanoseconds }
  }

  /// The gated measurements of a subject, in the order in which they were made.
  public func gated(_ subject: LatencySubject) -> [LatencyMeasurement] {
    (measurements[subject] ?? []).filter(isGated).sorted { $0.secondsSince1970 < $1.secondsSince1970 }
  }

  /// All kernels measured.
  public var kernels: [KernelSignature: LatencyMeasurement] {
    var kernels: [KernelSignature: LatencyMeasurement] = [:]
    for subject in measurements.keys {
      if case .kernel(let kernel) = subject { kernels[kernel] = self[subject] }
    }
    return kernels
  }

  /// Microseconds that each measured kernel adds to a network, by all measurements of it and of what is taken off; below
  /// zero where noise is larger than the kernel.
  ///
  /// - Parameter smoothed: Whether small differences are pulled towards what kernels like them took.
  func kernelMicroseconds(_ method: KernelMethod, smoothed: Bool) -> [KernelSignature: Double] {
    let call = self[.emptyCall]?.microseconds ?? 0
    var result: [KernelSignature: Double] = [:]
    var noise: [KernelSignature: Double] = [:]
    for (kernel, measurement) in kernels {
      switch method {
      case .alone: result[kernel] = measurement.microseconds - call
      case .inContext:
        let context = kernel.context
        guard let around = context == .call ? call : self[.context(context)]?.microseconds else { continue }
        result[kernel] = measurement.microseconds - around
        // Two times are known to about a hundredth each.
        noise[kernel] = 0.01 * (measurement.microseconds + around)
      }
    }
    return method == .alone || !smoothed ? result : KernelRegression.smoothed(result, noise: noise)
  }
}
