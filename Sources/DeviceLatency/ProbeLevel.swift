/// What the machine's probe reads at full speed, judged by all of its readings so far.
///
/// The shortest reading alone is an outlier: a clock that boosts for some milliseconds makes it one that hardly any
/// later reading comes near, and then nothing would ever count as measured at full speed. The level is what one reading
/// in fifty is at or below, and never the two shortest.
public struct ProbeLevel: Sendable {
  /// How much slower than the level a reading may be, as a factor, for what was timed beside it to count.
  public static let tolerance = 1.05
  /// The share of the readings at or below the level.
  private static let share = 0.02
  /// Room for the level of 200,000 readings; of more, the lowest of them tell it.
  private static let kept = 4_000

  /// The lowest readings, ascending.
  private var lowest: [Double] = []
  public private(set) var count = 0
  /// The level of earlier measurements on the device, if it was given; the lower of the two counts.
  private let earlier: Double?

  /// - Parameter earlier: The level of earlier measurements on the same device, in nanoseconds: a machine that is slow
  ///   now from beginning to end is known by it.
  public init(earlier: Double? = nil) { self.earlier = earlier }

  public init(_ readings: some Sequence<Double>) {
    self.init()
    for reading in readings { insert(reading) }
  }

  /// Adds the reading of a probe, in nanoseconds.
  public mutating func insert(_ reading: Double) {
    count += 1
    if lowest.count == ProbeLevel.kept, reading >= lowest[lowest.count - 1] { return }
    var low = 0
    var high = lowest.count
    while low < high {
      let middle = (low + high) / 2
      if lowest[middle] <= reading { low = middle + 1 } else { high = middle }
    }
    lowest.insert(reading, at: low)
    if lowest.count > ProbeLevel.kept { lowest.removeLast() }
  }

  /// Nanoseconds of the probe at full speed by the readings alone; infinite where there were none.
  public var seen: Double {
    let rank = max(2, Int(ProbeLevel.share * Double(count)))
    return lowest.isEmpty ? .infinity : lowest[min(rank, lowest.count - 1)]
  }

  /// Nanoseconds of the probe at full speed; infinite where nothing is known.
  public var nanoseconds: Double { min(seen, earlier ?? .infinity) }

  /// Whether a reading is within 5 % of the level.
  public func admits(_ reading: Double) -> Bool { reading <= nanoseconds * ProbeLevel.tolerance }
}
