/// From the sum of a network's parts to the network: `t = scale * sum + perOperation * operations + perMegabyte * weight
/// megabytes + perCall`, in microseconds.
///
/// Parts cost a little more in a network than alone, since they find each other's data in the caches instead of their
/// own.
public struct LatencyCorrection: Hashable, Sendable, Codable {
  public var scale: Double
  /// May be a little below zero: a call of one operation costs more than the call of nothing that is taken off it.
  public var microsecondsPerOperation: Double
  public var microsecondsPerMegabyte: Double
  public var microsecondsPerCall: Double

  public init(
    scale: Double, microsecondsPerOperation: Double, microsecondsPerMegabyte: Double, microsecondsPerCall: Double
  ) {
    self.scale = scale
    self.microsecondsPerOperation = microsecondsPerOperation
    self.microsecondsPerMegabyte = microsecondsPerMegabyte
    self.microsecondsPerCall = microsecondsPerCall
  }

  /// The bare sum of the parts.
  public static let none = LatencyCorrection(
    scale: 1, microsecondsPerOperation: 0, microsecondsPerMegabyte: 0, microsecondsPerCall: 0)

  /// One measured network and the sum of its parts.
  public struct Sample: Hashable, Sendable {
    public var partsMicroseconds: Double
    public var operations: Int
    public var weightMegabytes: Double
    public var measuredMicroseconds: Double

    public init(
      partsMicroseconds: Double, operations: Int, weightMegabytes: Double, measuredMicroseconds: Double
    ) {
      self.partsMicroseconds = partsMicroseconds
      self.operations = operations
      self.weightMegabytes = weightMegabytes
      self.measuredMicroseconds = measuredMicroseconds
    }
  }

  /// Fits measured networks by robust least squares of the relative error; a cost that makes no sense
  /// is left out.
  ///
  /// - Parameter samples: With fewer than two, the bare sum of the parts stays.
  public init(fitting samples: [Sample]) {
    let usable = samples.filter { $0.measuredMicroseconds > 0 && $0.partsMicroseconds > 0 }
    guard usable.count >= 2 else {
      self = .none
      return
    }
    // The scale alone, as the fallback that always exists.
    var best = LatencyCorrection(
      scale: Statistics.median(usable.map { $0.measuredMicroseconds / $0.partsMicroseconds }),
      microsecondsPerOperation: 0, microsecondsPerMegabyte: 0, microsecondsPerCall: 0)
    var leastError = best.robustError(usable)
    // Non-negative least squares by trying which of the other three terms to have.
    for mask in 0..<8 where usable.count >= 2 * (1 + mask.nonzeroBitCount) {
      let used = [true, mask & 1 != 0, mask & 2 != 0, mask & 4 != 0]
      guard let candidate = LatencyCorrection.fit(usable, used), candidate.isSensible else { continue }
      let error = candidate.robustError(usable)
      if error < leastError * 0.999 { (best, leastError) = (candidate, error) }
    }
    self = best
  }

  private var isSensible: Bool {
    (0.3...3).contains(scale) && microsecondsPerOperation >= -1 && microsecondsPerMegabyte >= 0
      && microsecondsPerCall >= 0
  }

  /// Iteratively reweighted least squares with Huber's weights on the relative error.
  private static func fit(_ samples: [Sample], _ used: [Bool]) -> LatencyCorrection? {
    func row(_ sample: Sample) -> [Double] {
      let all = [sample.partsMicroseconds, Double(sample.operations), sample.weightMegabytes, 1]
      return zip(all, used).filter(\.1).map { $0.0 / sample.measuredMicroseconds }
    }
    let rows = samples.map(row)
    let targets = [Double](repeating: 1, count: samples.count)
    var weights = targets
    var solution: [Double]?
    for _ in 0..<10 {
      guard let found = LeastSquares.solve(rows: rows, targets: targets, weights: weights) else { return nil }
      solution = found
      let residuals = rows.map { row in abs(zip(row, found).reduce(-1) { $0 + $1.0 * $1.1 }) }
      let limit = max(1.5 * Statistics.median(residuals), 1e-4)
      weights = residuals.map { $0 <= limit ? 1 : limit / $0 }
    }
    guard var values = solution?[...] else { return nil }
    let terms = used.map { $0 ? values.removeFirst() : 0 }
    return LatencyCorrection(
      scale: terms[0], microsecondsPerOperation: terms[1], microsecondsPerMegabyte: terms[2],
      microsecondsPerCall: terms[3])
  }

  /// The mean absolute relative error, which single bad networks sway less than its square.
  private func robustError(_ samples: [Sample]) -> Double {
    Statistics.mean(samples.map { abs(microseconds($0) / $0.measuredMicroseconds - 1) })
  }

  func microseconds(_ sample: Sample) -> Double {
    scale * sample.partsMicroseconds + microsecondsPerOperation * Double(sample.operations)
      + microsecondsPerMegabyte * sample.weightMegabytes + microsecondsPerCall
  }
}
