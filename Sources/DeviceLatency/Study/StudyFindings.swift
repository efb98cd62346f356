/// What a study found, with the rows that it was found in.
public struct StudyFindings: Sendable, Codable {
  public struct Row: Hashable, Sendable, Codable {
    public var name: String
    public var width: Int
    public var size: Int
    public var macs: Int
    public var parameters: Int
    public var microseconds: StudyTimes

    public init(name: String, width: Int, size: Int, macs: Int, parameters: Int, microseconds: StudyTimes) {
      self.name = name
      self.width = width
      self.size = size
      self.macs = macs
      self.parameters = parameters
      self.microseconds = microseconds
    }
  }

  /// What INT8 gains for one kind of operation.
  public struct Gain: Hashable, Sendable, Codable {
    public var name: String
    /// Median, smallest and largest speed-up over widths and sizes.
    public var median: Double
    public var smallest: Double
    public var largest: Double
    /// Whether INT8 gains at least a tenth in the median.
    public var isWorthwhile: Bool
  }

  /// How the time of an operation goes with the width.
  public struct Step: Hashable, Sendable, Codable {
    public var name: String
    /// The multiple of channels that the times keep to; 8 where multiples of 8 are as good as any.
    public var multiple: Int
    /// How much longer, by MACs, widths take that are odd multiples of 8 (of 16), compared with their neighbours.
    public var oddMultiplesOf8: Double?
    public var oddMultiplesOf16: Double?
  }

  /// What a block type costs, relative to the cheapest.
  public struct Block: Hashable, Sendable, Codable {
    public var name: String
    /// Median nanoseconds per thousand MACs, and per parameter, over widths and sizes.
    public var nanosecondsPerKiloMAC: Double
    public var nanosecondsPerParameter: Double
    public var speedUp: Double?
    /// Whether it costs, per MAC or per parameter, at most half as much again as the cheapest block.
    public var deservesPlace: Bool
  }

  public var device: DeviceIdentity
  public var gatedShare: Double
  public var operations: [Row]
  public var steps: [Row]
  public var blocks: [Row]
  public var gains: [Gain]
  public var widthSteps: [Step]
  public var blockCosts: [Block]

  public init(device: DeviceIdentity, gatedShare: Double, operations: [Row], steps: [Row], blocks: [Row]) {
    self.device = device
    self.gatedShare = gatedShare
    self.operations = operations
    self.steps = steps
    self.blocks = blocks
    gains = grouped(operations).compactMap { name, rows in
      let speedUps = rows.compactMap(\.microseconds.speedUp)
      guard !speedUps.isEmpty else { return nil }
      let median = Statistics.median(speedUps)
      return Gain(
        name: name, median: median, smallest: speedUps.min()!, largest: speedUps.max()!, isWorthwhile: median >= 1.1)
    }
    widthSteps = grouped(steps).map { name, rows in
      let odd8 = StudyFindings.excess(rows, of: 8)
      let odd16 = StudyFindings.excess(rows, of: 16)
      let multiple = (odd16 ?? 1) > 1.12 ? 32 : (odd8 ?? 1) > 1.12 ? 16 : 8
      return Step(name: name, multiple: multiple, oddMultiplesOf8: odd8, oddMultiplesOf16: odd16)
    }
    blockCosts = StudyFindings.costs(blocks)
  }

  /// How much longer odd multiples of `unit` take than the mean of their two neighbours, which are even multiples, per
  /// MAC; the median over the widths.
  private static func excess(_ rows: [Row], of unit: Int) -> Double? {
    var perMAC: [Int: Double] = [:]
    for row in rows { perMAC[row.width] = row.microseconds.int8.map { $0 / Double(row.macs) } }
    let ratios = perMAC.compactMap { width, time -> Double? in
      guard width % (2 * unit) == unit, let below = perMAC[width - unit], let above = perMAC[width + unit] else {
        return nil
      }
      return time / ((below + above) / 2)
    }
    return ratios.isEmpty ? nil : Statistics.median(ratios)
  }

  private static func costs(_ rows: [Row]) -> [Block] {
    let costs = grouped(rows).compactMap { name, rows -> Block? in
      let timed = rows.filter { $0.microseconds.int8 != nil }
      guard !timed.isEmpty else { return nil }
      func perUnit(_ count: (Row) -> Int) -> Double {
        Statistics.median(timed.map { 1e3 * $0.microseconds.int8! / Double(count($0)) })
      }
      let speedUps = timed.compactMap(\.microseconds.speedUp)
      return Block(
        name: name, nanosecondsPerKiloMAC: 1e3 * perUnit(\.macs), nanosecondsPerParameter: perUnit(\.parameters),
        speedUp: speedUps.isEmpty ? nil : Statistics.median(speedUps), deservesPlace: true)
    }
    let leastPerMAC = costs.map(\.nanosecondsPerKiloMAC).min() ?? 0
    let leastPerParameter = costs.map(\.nanosecondsPerParameter).min() ?? 0
    return costs.map { block in
      var block = block
      block.deservesPlace =
        block.nanosecondsPerKiloMAC <= 1.5 * leastPerMAC || block.nanosecondsPerParameter <= 1.5 * leastPerParameter
      return block
    }
  }

  /// The findings as sentences.
  public var sentences: [String] {
    func list(_ names: [String]) -> String { names.joined(separator: ", ") }
    func text(_ number: Double) -> String { "\((number * 100).rounded() / 100)" }
    var sentences: [String] = []
    let useless = gains.filter { !$0.isWorthwhile }
    let useful = gains.filter(\.isWorthwhile)
    if !useful.isEmpty {
      sentences.append("INT8 pays for: \(list(useful.map { "\($0.name) (\(text($0.median))x)" })).")
    }
    if !useless.isEmpty {
      sentences.append("INT8 gains nothing for: \(list(useless.map { "\($0.name) (\(text($0.median))x)" })).")
    }
    for step in widthSteps where step.multiple > 8 {
      let excess = step.multiple == 32 ? step.oddMultiplesOf16 : step.oddMultiplesOf8
      sentences.append(
        "Widths of \(step.name) should be multiples of \(step.multiple): others take \(text(excess ?? 1)) times as long per "
          + "MAC as their neighbours.")
    }
    let level = widthSteps.filter { $0.multiple == 8 }
    if !level.isEmpty {
      sentences.append("Any multiple of 8 is as good as its neighbours for: \(list(level.map(\.name))).")
    }
    let best = blockCosts.filter(\.deservesPlace)
    if !best.isEmpty {
      sentences.append(
        "Blocks that deserve a place, within half as much again of the cheapest per MAC or per parameter: "
          + "\(list(best.map(\.name))).")
    }
    return sentences
  }
}

/// Rows by name, in the order of first appearance.
private func grouped(_ rows: [StudyFindings.Row]) -> [(String, [StudyFindings.Row])] {
  var names: [String] = []
  var groups: [String: [StudyFindings.Row]] = [:]
  for row in rows {
    if groups[row.name] == nil { names.append(row.name) }
    groups[row.name, default: []].append(row)
  }
  return names.map { ($0, groups[$0]!) }
}
