/// What a network, or a part of one, costs whatever device it runs on.
public struct Cost: Hashable, Sendable, Codable {
  /// Multiply-accumulates of the convolutions and linear layers, for one image.
  public var macs: Int
  /// Parameters by the published rule: weights, bias, two a channel of a batch norm, and three quantiser parameters a
  /// convolution.
  public var parameters: Int

  public init(macs: Int, parameters: Int) {
    self.macs = macs
    self.parameters = parameters
  }

  public static let zero = Cost(macs: 0, parameters: 0)
  public static func + (a: Cost, b: Cost) -> Cost {
    Cost(macs: a.macs + b.macs, parameters: a.parameters + b.parameters)
  }
}

extension Node {
  /// The cost of the node alone.
  public var cost: Cost {
    guard let convolution else { return .zero }
    let weights = convolution.weightCount
    let parameters =
      weights + (convolution.hasBias ? convolution.outputChannels : 0)
      + (convolution.hasBatchNorm ? 2 * convolution.outputChannels : 0) + 3
    return Cost(macs: weights * shape.height * shape.width, parameters: parameters)
  }
}

extension NetworkGraph {
  public var cost: Cost { nodes.reduce(.zero) { $0 + $1.cost } }

  /// The cost of each stage, in the order of `stageNames`.
  public var stageCosts: [Cost] {
    nodes.reduce(into: [Cost](repeating: .zero, count: stageNames.count)) { $0[$1.stage] = $0[$1.stage] + $1.cost }
  }

  /// Weights as int8, in bytes.
  public var weightBytes: Int { nodes.reduce(0) { $0 + ($1.convolution?.weightCount ?? 0) } }
}
