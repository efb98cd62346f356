/// How well a device repeats itself: the same networks measured again later, in sessions of their own.
public struct Repeatability: Hashable, Sendable, Codable {
  /// How many networks were measured more than once at the machine's full speed.
  public var networks: Int
  /// Mean, and 95th percentile, of the difference between the shortest of the first half of the measurements and the
  /// shortest of the last half, in percent of the first.
  public var meanPercent: Double
  public var percentile95: Double
  /// Between those two, on average.
  public var secondsApart: Double

  /// - Parameter measurements: Those of one network each, at least two, in the order in which they were made.
  /// - Returns: `nil` where there are none.
  public init?(_ measurements: [[LatencyMeasurement]]) {
    let pairs = measurements.compactMap { list -> (LatencyMeasurement, LatencyMeasurement)? in
      guard list.count > 1 else { return nil }
      func shortest(_ half: ArraySlice<LatencyMeasurement>) -> LatencyMeasurement {
        half.min { $0.nanoseconds < $1.nanoseconds }!
      }
      return (shortest(list.prefix(list.count / 2)), shortest(list.suffix(list.count / 2)))
    }
    guard !pairs.isEmpty else { return nil }
    let differences = pairs.map { 100 * abs($1.nanoseconds / $0.nanoseconds - 1) }
    networks = pairs.count
    meanPercent = Statistics.mean(differences)
    percentile95 = Statistics.quantile(differences, 0.95)
    secondsApart = Statistics.mean(pairs.map { $1.secondsSince1970 - $0.secondsSince1970 })
  }
}
