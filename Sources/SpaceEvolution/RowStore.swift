internal import NetworkGraphs
internal import SearchSpaces

/// The rows of all tables by table and resolution, as plain numbers.
struct RowStore: Sendable {
  struct Table: Sendable {
    /// One a resolution; rows that are alike are one row with their weights added up.
    var resolutions: [WeightedRows]
    /// One a resolution: what may follow what.
    var transitions: [[Transition]]
    /// Over all resolutions.
    var smallestLoss: Double
  }

  /// Rows of a table that follow the same rows of the stage before, and are followed by the same rows.
  struct Transition: Sendable {
    /// The width that comes in, as an index into the widths of the boundary before the stage; 0 where it is free.
    var from: Int
    /// The width that goes out.
    var to: Int
    /// Weights are shares of all rows that have the same `from`: they sum to 1 over all `to`.
    var rows: WeightedRows
  }

  /// In the order of `Hyperspace.stageTableKeys`.
  let tables: [Table]
  let resolutionCount: Int
  /// Index of the first table of each stage, and then the number of tables.
  let stageStarts: [Int]
  private let windowCounts: [Int]
  /// How many widths the boundary before each stage tells apart, and behind the last: 1 where any row follows any.
  let stateCounts: [Int]
  let rule: SubnetRule
  /// Whether rows follow every width that a stage may hand over, in every table and at every resolution.
  let isComplete: Bool
  /// Whether every latency is a multiple of 1e-4 ms.
  let hasFourDecimals: Bool
  /// The largest number of milliseconds of which all differences of latencies within a table and resolution are multiples:
  /// sums of a space lie so far apart. 1e-4 where there is none that is larger.
  let latencyUnit: Double
  /// Smallest and largest latency of any row by stage and resolution.
  let smallestLatencies: [[Double]]
  let largestLatencies: [[Double]]

  init(_ source: StageTables, rule: SubnetRule) {
    let hyperspace = source.hyperspace
    let keys = hyperspace.stageTableKeys
    let boundaries = Boundaries(hyperspace, rule: rule)
    tables = keys.map { key in
      let rows = source.tables[key]!.rows
      let byResolution = source.resolutions.map { resolution in rows.filter { $0.resolution == resolution } }
      return Table(
        resolutions: byResolution.map { WeightedRows($0) },
        transitions: byResolution.map { boundaries.transitions($0, stage: key.stage) },
        smallestLoss: rows.lazy.map(\.loss).min()!)
    }
    self.rule = rule
    stateCounts = boundaries.widths.map { max(1, $0.count) }
    isComplete = zip(keys, tables).allSatisfy { key, table in
      table.transitions.allSatisfy { Set($0.map(\.from)).count == max(1, boundaries.widths[key.stage].count) }
    }
    hasFourDecimals = tables.allSatisfy { table in
      table.resolutions.allSatisfy { rows in
        rows.latencies.allSatisfy { abs(($0 * 1e4).rounded() - $0 * 1e4) < 1e-6 && $0 < 1e9 }
      }
    }
    latencyUnit = hasFourDecimals ? RowStore.commonUnit(tables.flatMap(\.resolutions)) : 1e-4
    resolutionCount = source.resolutions.count
    let stages = hyperspace.searchedStages.indices
    stageStarts = stages.map { stage in keys.firstIndex { $0.stage == stage }! } + [keys.count]
    windowCounts = hyperspace.searchedStages.map(\.windowCount)
    let tables = tables
    let starts = stageStarts
    let resolutions = 0..<resolutionCount
    smallestLatencies = stages.map { stage in
      resolutions.map { r in
        tables[starts[stage]..<starts[stage + 1]].map { $0.resolutions[r].latencies.min()! }.min()!
      }
    }
    largestLatencies = stages.map { stage in
      resolutions.map { r in
        tables[starts[stage]..<starts[stage + 1]].map { $0.resolutions[r].latencies.max()! }.max()!
      }
    }
  }

  private static func commonUnit(_ tables: [WeightedRows]) -> Double {
    var common = 0
    for rows in tables {
      for latency in rows.latencies {
        var (a, b) = (common, Int(((latency - rows.latencies[0]) * 1e4).rounded()))
        while b != 0 { (a, b) = (b, a % b) }
        common = a
      }
      if common == 1 { break }
    }
    return common > 1 ? Double(common) / 1e4 : 1e-4
  }

  func tables(ofStage stage: Int) -> ArraySlice<Table> { tables[stageStarts[stage]..<stageStarts[stage + 1]] }

  /// The stage of a table.
  func stage(of table: Int) -> Int { stageStarts.lastIndex { $0 <= table }! }

  /// The latencies of the fastest and of the slowest subnet of some tables at a resolution.
  func latencyRange(_ keys: [Int], resolution: Int) -> (smallest: Double, largest: Double) {
    // Rows are in ascending order of latency.
    keys.reduce((0, 0)) {
      let latencies = tables[$1].resolutions[resolution].latencies
      return ($0.0 + latencies.first!, $0.1 + latencies.last!)
    }
  }

  var stageCount: Int { stageStarts.count - 1 }

  /// The index of a table.
  func index(stage: Int, block: Int, window: Int) -> Int {
    stageStarts[stage] + block * windowCounts[stage] + window
  }

  /// The indices of a space's tables, one a stage.
  func indices(of space: SearchSpace) -> [Int] {
    space.blockTypes.indices.map { index(stage: $0, block: space.blockTypes[$0], window: space.windows[$0]) }
  }

  /// The share of draws that can be completed, by resolution: 1 where rows follow every width; see `SubnetRule`.
  func completion(_ keys: [Int]) -> [Double] {
    (0..<resolutionCount).map { resolution in
      guard rule == .widthConsistent else { return 1 }
      var reached = [1.0]
      for (stage, key) in keys.enumerated() {
        var next = [Double](repeating: 0, count: stateCounts[stage + 1])
        for transition in tables[key].transitions[resolution] {
          next[transition.to] += reached[transition.from] * transition.rows.weight
        }
        reached = next
      }
      return reached[0]
    }
  }

  /// What a draw at each resolution weighs in a space's mixture: an equal part each, of the draws that can be completed;
  /// 0 for a resolution that has none.
  func mixture(_ keys: [Int]) -> [Double] {
    let completion = completion(keys)
    let alive = Double(completion.filter { $0 > 0 }.count)
    return completion.map { $0 > 0 ? 1 / (alive * $0) : 0 }
  }

  /// A limit that the same sums keep, as far from any of them as can be: smooth methods take the value at a step for half
  /// of it.
  ///
  /// - Parameter base: One of the sums.
  func betweenSums(_ limit: Double, base: Double = 0, unit: Double = 1e-4) -> Double {
    guard hasFourDecimals else { return limit }
    return base + (((latencyLimit(limit) - base) / unit).rounded(.down) + 0.5) * unit
  }

  /// The latency of the fastest subnet of any space at a resolution.
  func smallestLatency(resolution: Int) -> Double { smallestLatencies.reduce(0) { $0 + $1[resolution] } }

  /// Where to split the stages so that the larger half has as few sums as possible, and how many it has.
  func split(_ keys: [Int]) -> (index: Int, largest: Int) {
    let counts = keys.map { key in tables[key].resolutions.map(\.losses.count).max()! }
    func product(_ range: Range<Int>) -> Int {
      range.reduce(1) { total, index in
        let (value, overflow) = total.multipliedReportingOverflow(by: counts[index])
        return overflow ? .max : value
      }
    }
    return (1...keys.count).map { ($0, max(product(0..<$0), product($0..<keys.count))) }.min { $0.1 < $1.1 }!
  }
}

/// The widths that the boundaries between searched stages tell apart.
private struct Boundaries {
  /// Before each stage, and behind the last; empty where any row may follow any.
  let widths: [[Int]]

  init(_ hyperspace: Hyperspace, rule: SubnetRule) {
    let stages = hyperspace.searchedStages.indices
    // Between two searched stages that are neighbours only: a stage that is not searched hands over what it likes.
    widths =
      stages.map { stage in
        guard rule == .widthConsistent, stage > 0,
          hyperspace.stageIndex(searched: stage) == hyperspace.stageIndex(searched: stage - 1) + 1
        else { return [] }
        return hyperspace.inputWidths(searched: stage)
      } + [[]]
  }

  func transitions(_ rows: [StageRow], stage: Int) -> [RowStore.Transition] {
    let (incoming, outgoing) = (widths[stage], widths[stage + 1])
    let grouped = Dictionary(grouping: rows) { row in
      [
        incoming.firstIndex(of: row.input.channels) ?? 0,
        row.blocks.last.flatMap { outgoing.firstIndex(of: $0.width) } ?? 0,
      ]
    }
    var counts: [Int: Int] = [:]
    for (states, rows) in grouped { counts[states[0], default: 0] += rows.count }
    return grouped.sorted { $0.key.lexicographicallyPrecedes($1.key) }.map { states, rows in
      RowStore.Transition(
        from: states[0], to: states[1], rows: WeightedRows(rows, total: counts[states[0]]!))
    }
  }
}

extension WeightedRows {
  /// Rows of one table and resolution, in ascending order of latency.
  ///
  /// - Parameter total: How many rows have the weight 1 together; as many as there are where left out.
  init(_ rows: [StageRow], total: Int? = nil) {
    let weight = 1 / Double(total ?? rows.count)
    unit = weight
    losses = []
    latencies = []
    weights = []
    for row in rows.map({ ($0.latencyMilliseconds, $0.loss) }).sorted(by: { $0 < $1 }) {
      if latencies.last == row.0, losses.last == row.1 {
        weights[weights.count - 1] += weight
      } else {
        latencies.append(row.0)
        losses.append(row.1)
        weights.append(weight)
      }
    }
  }

  var weight: Double { weights.reduce(0, +) }

  /// The distance from the smallest loss below which 98 of 100 rows lie.
  var trimmedLossRange: Double {
    let sorted = losses.sorted()
    return sorted[(sorted.count - 1) * 98 / 100] - sorted[0]
  }

  /// The same rows with losses and latencies counted from other origins.
  func shifted(loss: Double, latency: Double) -> WeightedRows {
    WeightedRows(
      losses: losses.map { $0 - loss }, latencies: latencies.map { $0 - latency }, weights: weights, unit: unit)
  }
}
