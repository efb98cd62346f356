public import NetworkGraphs
public import SearchSpaces

/// A figure of a table that the lowering does not agree with.
public struct TableMismatch: Hashable, Sendable, Codable {
  public var file: String
  /// One-based.
  public var line: Int
  /// `macs` or `parameters`.
  public var field: String
  /// What the table says, in millions.
  public var table: Double
  /// What the lowering says, in millions.
  public var computed: Double
}

/// The outcome of comparing tables with the lowering.
public struct TableCheck: Hashable, Sendable, Codable {
  /// How many rows were compared.
  public var rows: Int
  /// In the order of tables and lines.
  public var mismatches: [TableMismatch]
}

extension StageTables {
  /// Compares MACs and parameters of every row with those of the lowered sub-stage.
  ///
  /// MACs agree within 2e-7 of their value or 1e-4 million, whichever is more (the published ones went through
  /// float32 and four decimals); parameters within 1e-4 million.
  public func checkCosts(threads: Int = 2) -> TableCheck {
    let hyperspace = hyperspace
    let tables = tables
    let mismatches = hyperspace.stageTableKeys.concurrentMap(threads: threads) { key in
      tables[key]!.costMismatches(in: hyperspace)
    }
    return TableCheck(rows: rowCount, mismatches: mismatches.flatMap { $0 })
  }
}

extension StageTable {
  func costMismatches(in hyperspace: Hyperspace) -> [TableMismatch] {
    let file = hyperspace.stageTableFileName(key)
    let firstLine = provenance == nil ? 1 : 2
    var costs = StageCosts(key: key, hyperspace: hyperspace)
    var mismatches: [TableMismatch] = []
    for (index, row) in rows.enumerated() {
      let cost = costs.cost(of: row.blocks, input: row.input)
      let macs = Double(cost.macs) / 1e6
      let parameters = Double(cost.parameters) / 1e6
      if abs(macs - row.megaMACs) > max(2e-7 * macs, 1e-4) {
        mismatches.append(
          TableMismatch(
            file: file, line: index + firstLine, field: "macs", table: row.megaMACs, computed: macs))
      }
      if abs(parameters - row.megaParameters) > 1e-4 {
        mismatches.append(
          TableMismatch(
            file: file, line: index + firstLine, field: "parameters", table: row.megaParameters,
            computed: parameters))
      }
    }
    return mismatches
  }
}

/// Costs of the sub-stages of one table. A sub-stage costs what its blocks cost, and the same blocks return in many
/// rows, so each is lowered once.
public struct StageCosts {
  private struct Block: Hashable {
    var input: TensorShape
    var choice: BlockChoice
    var stride: Int
  }

  private let choices: StageChoices
  private var costs: [Block: Cost] = [:]

  public init(key: StageTableKey, hyperspace: Hyperspace) {
    choices = hyperspace.stageChoices(
      stage: hyperspace.searchedStages[key.stage], block: key.block, window: key.window)
  }

  /// MACs and parameters of the blocks in order, the first of which carries the stage's stride.
  public mutating func cost(of blocks: [BlockChoice], input: TensorShape) -> Cost {
    var total = Cost.zero
    var shape = input
    for (index, choice) in blocks.enumerated() {
      let stride = index == 0 ? choices.stride : 1
      let block = Block(input: shape, choice: choice, stride: stride)
      let cost: Cost
      if let known = costs[block] {
        cost = known
      } else {
        cost =
          NetworkGraph(stage: choices.name, choices.blockType, input: shape, blocks: [choice], stride: stride).cost
        costs[block] = cost
      }
      total = total + cost
      shape = TensorShape(
        channels: choice.width, height: (shape.height + stride - 1) / stride,
        width: (shape.width + stride - 1) / stride)
    }
    return total
  }
}
