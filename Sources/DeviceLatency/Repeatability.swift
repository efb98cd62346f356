/// How well a device repeats itself: the same networks measured again later, in sessions of their own.
public struct Repeatability: Hashable, Sendable, Codable {
  /// How many networks were measured more than once at the machine's full speed.
  public var networks: Int
  /// Mean, and 95th percentile, of the difference between the first and the last measurement, in percent of the first.
  public var meanPercent: Double
  public var percentile95: Double
  /// Between the two, on average.
  public var secondsApart: Double

  /// - Parameter measurements: Those of one network each, at least two, in the order in which they were made.
  /// - Returns: `nil` where there are none.
  public init?(_ measurements: [[LatencyMeasurement]]) {
    let pairs = measurements.compactMap { list in list.count > 1 ? (list.first!, list.last!) : nil }
    guard !pairs.isEmpty else { return nil }
    let differences = pairs.map { 100 * abs($1.nanoseconds / $0.nanoseconds - 1) }
    networks = pairs.count
    meanPercent = Statistics.mean(differences)
    percentile95 = Statistics.quantile(differences, 0.95)
    secondsApart = Statistics.mean(pairs.map { $1.secondsSince1970 - $0.secondsSince1970 })
  }
}
