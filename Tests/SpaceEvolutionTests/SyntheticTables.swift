import NetworkGraphs
import SearchSpaces
import SpaceEvolution

/// Small hyperspaces and tables of random rows: what a space scores can be counted out on them.
enum Synthetic {
  /// Three searched stages with 4, 6 and 4 tables: 96 spaces.
  static func hyperspace() throws -> Hyperspace {
    try Hyperspace(
      yaml: """
        name: tiny
        image: {channels: 3, resolutions: [32, 64]}
        classes: 10
        blocks:
          - {family: mbconv, kernels: [3, 5], expansions: [2, 4], activation: relu6}
          - {family: dual-depthwise, kernels: [3], activation: relu}
        stem: {name: stem, widths: [8], kernel: 3, stride: 2, activation: relu}
        stages:
          - {name: stage1, widths: [8, 16, 24], window: 2, depths: [1, 2], stride: 2}
          - {name: stage2, widths: [16, 24, 32, 40], window: 2, depths: [1, 2], stride: 2}
          - {name: stage3, widths: [32, 48, 64], window: 2, depths: [1, 2], stride: 1}
        head:
          - {layer: global-average-pool, name: pool}
          - {layer: linear, name: logits}
        """, file: "tiny.yaml")
  }

  /// How rows' figures are drawn.
  struct Figures {
    var loss: (inout SeededGenerator) -> Double = { 0.2 + 0.4 * $0.uniform() }
    /// In milliseconds.
    var latency: (inout SeededGenerator) -> Double = { 0.5 + 4 * $0.uniform() }
    /// Multiples of 1e-4, as in published tables.
    var hasFourDecimals = true
  }

  /// Tables with random rows; one row in five stands twice.
  static func tables(
    of hyperspace: Hyperspace, rows: Int, seed: UInt64, resolutions: [Int]? = nil, figures: Figures = Figures()
  ) throws -> StageTables {
    let searched = hyperspace.stages.indices.filter { hyperspace.stages[$0].isSearched }
    let tables = hyperspace.stageTableKeys.map { key in
      var generator = SeededGenerator(seed: seed, stream: "table", key.stage, key.block, key.window)
      let stage = searched[key.stage]
      let choices = hyperspace.stageChoices(
        stage: hyperspace.stages[stage], block: key.block, window: key.window)
      let inputs = stage == 0 ? hyperspace.stem.widths : hyperspace.stages[stage - 1].widths
      let strides = [hyperspace.stem.stride] + hyperspace.stages[..<stage].map(\.stride)
      func number(_ draw: (inout SeededGenerator) -> Double) -> Double {
        let value = draw(&generator)
        return figures.hasFourDecimals ? (value * 1e4).rounded() / 1e4 : value
      }
      // Tables differ as stages, types and windows do, or all spaces would score alike.
      let (lossFactor, latencyFactor) = (0.8 + 0.4 * generator.uniform(), 0.7 + 0.6 * generator.uniform())
      var result: [StageRow] = []
      for resolution in resolutions ?? hyperspace.resolutions {
        let edge = strides.reduce(resolution) { ($0 + $1 - 1) / $1 }
        while result.count(where: { $0.resolution == resolution }) < rows {
          let row = StageRow(
            blocks: choices.randomBlocks(using: &generator),
            input: TensorShape(channels: generator.choose(inputs), height: edge, width: edge), resolution: resolution,
            loss: number { lossFactor * figures.loss(&$0) }, megaMACs: 1, megaParameters: 0.1,
            latencyMilliseconds: number { latencyFactor * figures.latency(&$0) })
          result.append(row)
          if generator.next(below: 5) == 0 { result.append(row) }
        }
      }
      return StageTable(key: key, rows: result)
    }
    return try StageTables(tables, hyperspace: hyperspace)
  }
}

/// The Q-T score as its definition says, by counting every subnet.
struct CountedScore {
  var share: Double
  var tailLoss: Double
  var score: Double

  /// - Parameter rule: Under `.widthConsistent` each later row is drawn among those that may follow, and draws that cannot be
  ///   completed count for nothing.
  init(
    _ space: SearchSpace, tables: StageTables, milliseconds: Double, parameters: QTParameters = QTParameters(),
    fixedLatency: [Int: Double] = [:], rule: SubnetRule = .independent
  ) {
    var subnets: [(loss: Double, latency: Double, weight: Double)] = []
    var resolutions = 0.0
    for resolution in tables.resolutions {
      var drawn: [(loss: Double, latency: Double, weight: Double, width: Int)] = [
        (0, fixedLatency[resolution] ?? 0, 1, 0)
      ]
      for (stage, table) in tables.tables(of: space).enumerated() {
        let rows = table.rows.filter { $0.resolution == resolution }
        drawn = drawn.flatMap { subnet in
          let followers = rows.filter {
            rule == .independent || stage == 0 || $0.input.channels == subnet.width
          }
          return followers.map { row in
            (
              subnet.loss + row.loss, subnet.latency + row.latencyMilliseconds,
              subnet.weight / Double(followers.count), row.blocks.last!.width
            )
          }
        }
      }
      let completed = drawn.reduce(0) { $0 + $1.weight }
      guard completed > 0 else { continue }
      resolutions += 1
      subnets += drawn.map { ($0.loss, $0.latency, $0.weight / completed) }
    }
    let feasible = subnets.filter { $0.latency <= milliseconds + 1e-9 }.sorted { $0.loss < $1.loss }
    share = resolutions > 0 ? feasible.reduce(0) { $0 + $1.weight } / resolutions : 0
    var left = min(parameters.tailFraction, share)
    var sum = 0.0
    for subnet in feasible where left > 0 {
      let part = min(left, subnet.weight / resolutions)
      sum += part * subnet.loss
      left -= part
    }
    tailLoss = share > 0 ? sum / min(parameters.tailFraction, share) : 0
    score =
      share < 1e-5
      ? 0 : 1 / (max(1, pow(parameters.fraction / (share + 1e-5), parameters.exponent)) * tailLoss)
  }
}

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#elseif canImport(Musl)
  import Musl
#endif
