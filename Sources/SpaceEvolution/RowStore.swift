internal import SearchSpaces

/// The rows of all tables by table and resolution, as plain numbers.
struct RowStore: Sendable {
  struct Table: Sendable {
    /// One a resolution; rows that are alike are one row with their weights added up.
    var resolutions: [WeightedRows]
    /// Over all resolutions.
    var smallestLoss: Double
  }

  /// In the order of `Hyperspace.stageTableKeys`.
  let tables: [Table]
  let resolutionCount: Int
  /// Index of the first table of each stage, and then the number of tables.
  let stageStarts: [Int]
  private let windowCounts: [Int]
  /// Smallest and largest latency of any row by stage and resolution.
  let smallestLatencies: [[Double]]
  let largestLatencies: [[Double]]

  init(_ source: StageTables) {
    let hyperspace = source.hyperspace
    let keys = hyperspace.stageTableKeys
    tables = keys.map { key in
      let rows = source.tables[key]!.rows
      return Table(
        resolutions: source.resolutions.map { resolution in WeightedRows(rows.filter { $0.resolution == resolution }) },
        smallestLoss: rows.lazy.map(\.loss).min()!)
    }
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

extension WeightedRows {
  /// Rows of one table and resolution, in ascending order of latency.
  init(_ rows: [StageRow]) {
    let weight = 1 / Double(rows.count)
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

  /// The distance from the smallest loss below which 98 of 100 rows lie.
  var trimmedLossRange: Double {
    let sorted = losses.sorted()
    return sorted[(sorted.count - 1) * 98 / 100] - sorted[0]
  }

  /// The same rows with losses and latencies counted from other origins.
  func shifted(loss: Double, latency: Double) -> WeightedRows {
    WeightedRows(losses: losses.map { $0 - loss }, latencies: latencies.map { $0 - latency }, weights: weights)
  }
}
