internal import Foundation
internal import NetworkGraphs
public import SearchSpaces

/// The first word of our own format's first line; the rest of that line is the provenance as JSON.
private let header = "#spaceevo-stage-table 1 "

extension StageTable {
  /// Files larger than this are no stage tables: it would be some million rows.
  static let mostBytes = 256 << 20

  /// Reads a stage table, in the published grammar or in our own.
  ///
  /// The published grammar has one row a line and no header, with everything in plain decimals:
  ///
  ///     k#w#e[_k#w#e…],1xCINxHxW,loss,MFLOPs,MParams,latency
  ///
  /// One `k#w#e` (kernel, width, expansion or `None`) a block. The image's resolution is the input's height times the
  /// strides before the stage. Our own format begins with `#spaceevo-stage-table 1` and the provenance as JSON on the
  /// same line, and has the resolution as a seventh item, since several resolutions can lead to the same height.
  ///
  /// - Throws: `TableError` with line and column: on a malformed item, on a choice that the stage does not have, on a
  ///   number that is not finite, on an empty table.
  public init(text: [UInt8], file: String, key: StageTableKey, hyperspace: Hyperspace) throws(TableError) {
    let rules = TableRules(key: key, hyperspace: hyperspace)
    var scanner = TableScanner(bytes: text, file: file)
    var provenance: StageTableProvenance?
    if scanner.peek == UInt8(ascii: "#") {
      provenance = try readProvenance(&scanner)
    }
    var rows: [StageRow] = []
    rows.reserveCapacity(1_024)
    while !scanner.isAtEnd {
      rows.append(try rules.row(&scanner, hasResolution: provenance != nil))
    }
    guard !rows.isEmpty else {
      throw TableError(file: file, message: "has no rows; a stage table needs at least one a resolution")
    }
    self.init(key: key, provenance: provenance, rows: rows)
  }

  /// The table in the published grammar, four decimals a number.
  public func publishedText(in hyperspace: Hyperspace) -> String {
    let isWhole = hyperspace.expansionsAreWhole(block: key.block)
    return rows.map { row in
      let numbers = [row.loss, row.megaMACs, row.megaParameters, row.latencyMilliseconds]
      return row.leadingText(isWhole) + numbers.map { "," + String(format: "%.4f", $0) }.joined() + "\n"
    }.joined()
  }

  /// The table in our own format, every number with all its digits.
  ///
  /// - Precondition: the table has a provenance.
  public func text(in hyperspace: Hyperspace) -> String {
    guard let provenance else { preconditionFailure("our own format records where a table comes from") }
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    let json = String(decoding: try! encoder.encode(provenance), as: UTF8.self)
    let isWhole = hyperspace.expansionsAreWhole(block: key.block)
    return header + json + "\n"
      + rows.map { row in
        row.leadingText(isWhole)
          + ",\(row.loss),\(row.megaMACs),\(row.megaParameters),\(row.latencyMilliseconds),\(row.resolution)\n"
      }.joined()
  }
}

extension Hyperspace {
  /// Published tables write `4` where all expansions of a block type are whole, and `1.0` where some are not.
  fileprivate func expansionsAreWhole(block: Int) -> Bool {
    blockTypes[block].expansions.allSatisfy { $0.rounded() == $0 }
  }
}

extension StageRow {
  /// Blocks and input shape as both formats write them.
  fileprivate func leadingText(_ isWhole: Bool) -> String {
    let items = blocks.map { block in
      let expansion = block.expansion.map { isWhole ? "\(Int($0))" : "\($0)" } ?? "None"
      return "\(block.kernel)#\(block.width)#\(expansion)"
    }
    return items.joined(separator: "_") + ",1x\(input)"
  }
}

private func readProvenance(_ scanner: inout TableScanner) throws(TableError) -> StageTableProvenance {
  let line = scanner.restOfLine()
  guard line.hasPrefix(header) else {
    throw scanner.error(
      line: 1, column: 1, "begins with \"#\" but not with \"\(header)\" and its provenance, so its format is unknown")
  }
  do {
    return try JSONDecoder().decode(StageTableProvenance.self, from: Data(line.dropFirst(header.count).utf8))
  } catch {
    throw scanner.error(
      line: 1, column: header.count + 1,
      "the provenance is no JSON object with data, teacher, device, seed, isQuantized and versions")
  }
}

/// What the rows of one table may hold.
private struct TableRules {
  let choices: StageChoices
  let inputWidths: [Int]
  let downsampling: Int
  let resolutions: [Int]
  /// Edge of the input map by resolution.
  let edges: [Int: Int]

  init(key: StageTableKey, hyperspace: Hyperspace) {
    choices = hyperspace.stageChoices(
      stage: hyperspace.searchedStages[key.stage], block: key.block, window: key.window)
    inputWidths = hyperspace.inputWidths(searched: key.stage)
    downsampling = hyperspace.downsampling(beforeSearched: key.stage)
    resolutions = hyperspace.resolutions
    edges = Dictionary(
      uniqueKeysWithValues: resolutions.map { ($0, hyperspace.inputEdge(searched: key.stage, resolution: $0)) })
  }

  func row(_ scanner: inout TableScanner, hasResolution: Bool) throws(TableError) -> StageRow {
    var blocks: [BlockChoice] = []
    blocks.reserveCapacity(choices.depths.upperBound)
    repeat {
      guard blocks.count < choices.depths.upperBound else {
        throw scanner.error("more than \(choices.depths.upperBound) blocks; \(depthText)")
      }
      blocks.append(try block(&scanner))
    } while scanner.skip("_")
    guard choices.depths.contains(blocks.count) else {
      throw scanner.error("\(blocks.count) blocks; \(depthText)")
    }
    try scanner.expect(",", after: "the blocks")

    let shapeColumn = scanner.column
    for character in "1x" { try scanner.expect(character, after: "the comma; an input shape is 1xCINxHxW") }
    let channels = try scanner.whole(named: "input width", among: inputWidths)
    try scanner.expect("x", after: "the input's channels")
    let height = try scanner.whole(named: "input height")
    try scanner.expect("x", after: "the input's height")
    let width = try scanner.whole(named: "input width in pixels")
    guard height == width else { throw scanner.error(column: shapeColumn, "\(height)x\(width) is not square") }

    var numbers: (Double, Double, Double, Double) = (0, 0, 0, 0)
    try scanner.expect(",", after: "the input shape")
    numbers.0 = try scanner.decimal(named: "loss", strict: !hasResolution)
    try scanner.expect(",", after: "the loss")
    numbers.1 = try scanner.decimal(named: "number of MACs in millions", strict: !hasResolution)
    try scanner.expect(",", after: "the MACs")
    numbers.2 = try scanner.decimal(named: "number of parameters in millions", strict: !hasResolution)
    try scanner.expect(",", after: "the parameters")
    numbers.3 = try scanner.decimal(named: "latency in milliseconds", strict: !hasResolution)

    let resolution: Int
    if hasResolution {
      try scanner.expect(",", after: "the latency")
      let column = scanner.column
      resolution = try scanner.whole(named: "resolution", among: resolutions)
      guard edges[resolution] == height else {
        throw scanner.error(
          column: column, "at resolution \(resolution) the input is \(edges[resolution]!) pixels high, not \(height)")
      }
    } else {
      resolution = height * downsampling
      guard resolutions.contains(resolution) else {
        let right = resolutions.filter { $0 % downsampling == 0 }.map { "\($0 / downsampling)" }
        throw scanner.error(
          column: shapeColumn,
          "height \(height) belongs to an image of \(resolution) pixels, which the hyperspace does not have; "
            + "right heights are \(right.joined(separator: " "))")
      }
    }
    try scanner.expectLineEnd()
    return StageRow(
      blocks: blocks, input: TensorShape(channels: channels, height: height, width: width), resolution: resolution,
      loss: numbers.0, megaMACs: numbers.1, megaParameters: numbers.2, latencyMilliseconds: numbers.3)
  }

  private var depthText: String {
    "\(choices.name) has \(choices.depths.lowerBound) to \(choices.depths.upperBound)"
  }

  private func block(_ scanner: inout TableScanner) throws(TableError) -> BlockChoice {
    let kernel = try scanner.whole(named: "kernel", among: choices.blockType.kernels)
    try scanner.expect("#", after: "the kernel")
    let width = try scanner.whole(named: "width", among: choices.widths)
    try scanner.expect("#", after: "the width")
    return BlockChoice(
      kernel: kernel, width: width, expansion: try scanner.expansion(among: choices.blockType.expansions))
  }
}
