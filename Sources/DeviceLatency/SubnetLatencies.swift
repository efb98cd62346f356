import NetworkGraphs
public import SearchSpaces

/// Predicts subnets of one search space without making their graphs: a block that was met before is a look-up.
///
/// A network's prediction is a sum over its stem, its blocks and its head, so that is all there is to remember. One value
/// serves one task at a time; copies are independent.
public struct SubnetLatencies {
  private struct Block: Hashable {
    var stage: Int
    var isFirst: Bool
    var inputWidth: Int
    /// The side of the input, in pixels.
    var side: Int
    var choice: BlockChoice
  }

  private struct Ends: Hashable {
    var resolution: Int
    var stemWidth: Int
    var stemKernel: Int
    var lastWidth: Int
  }

  private let predictor: LatencyPredictor
  private let hyperspace: Hyperspace
  private let space: SearchSpace
  private let choices: [StageChoices]
  private var blocks: [Block: Double] = [:]
  private var ends: [Ends: Double] = [:]

  /// - Precondition: `space` is one of the hyperspace.
  public init(_ predictor: LatencyPredictor, space: SearchSpace, in hyperspace: Hyperspace) {
    self.predictor = predictor
    self.hyperspace = hyperspace
    self.space = space
    choices = hyperspace.choices(of: space)
  }

  /// Milliseconds of a whole network, from pixels to logits: what `LatencyPredictor.milliseconds(of:)` says of its graph,
  /// to rounding.
  ///
  /// - Precondition: the subnet is one of the space.
  public mutating func milliseconds(_ subnet: Subnet) -> Double {
    var side = reduced(subnet.resolution, hyperspace.stem.stride)
    var width = subnet.stemWidth
    let last = subnet.stages.last?.last?.width ?? width
    var sum = milliseconds(
      Ends(
        resolution: subnet.resolution, stemWidth: width, stemKernel: subnet.stemKernel, lastWidth: last), of: subnet)
    for stage in subnet.stages.indices {
      for position in subnet.stages[stage].indices {
        let choice = subnet.stages[stage][position]
        sum += milliseconds(
          Block(stage: stage, isFirst: position == 0, inputWidth: width, side: side, choice: choice))
        if position == 0 { side = reduced(side, choices[stage].stride) }
        width = choice.width
      }
    }
    return sum
  }

  private func reduced(_ side: Int, _ stride: Int) -> Int { (side + stride - 1) / stride }

  private mutating func milliseconds(_ block: Block) -> Double {
    if let known = blocks[block] { return known }
    let stage = choices[block.stage]
    let graph = NetworkGraph(
      stage: stage.name, stage.blockType,
      input: TensorShape(channels: block.inputWidth, height: block.side, width: block.side), blocks: [block.choice],
      stride: block.isFirst ? stage.stride : 1)
    let milliseconds = predictor.stageMilliseconds(of: graph)
    blocks[block] = milliseconds
    return milliseconds
  }

  private mutating func milliseconds(_ ends: Ends, of subnet: Subnet) -> Double {
    if let known = self.ends[ends] { return known }
    let graph = NetworkGraph(
      subnet, choices: choices.map(\.blockType), strides: hyperspace.stages.map(\.stride), hyperspace: hyperspace)
    let milliseconds = predictor.prediction(of: graph).fixedMilliseconds
    self.ends[ends] = milliseconds
    return milliseconds
  }
}
