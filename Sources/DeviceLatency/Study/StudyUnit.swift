public import NetworkGraphs
public import SearchSpaces

/// An operation or a block that keeps the shape of its map, so that it can be timed in a chain with itself: the
/// difference of a long and a short chain is free of what a model pays at its two ends.
public struct StudyUnit: Hashable, Sendable {
  public enum Kind: Hashable, Sendable {
    case convolution(kernel: Int)
    case depthwise(kernel: Int)
    /// Squeeze and excitation to a quarter of the width.
    case squeezeExcitation
    /// A 1x1 convolution and then the activation, which is a node of its own.
    case activated(Activation)
    /// A 1x1 convolution and the addition of its input.
    case residual
    /// A block of a hyperspace with one of its kernels and expansions.
    case block(BlockType, kernel: Int, expansion: Double?)
  }

  public var kind: Kind
  public var width: Int
  /// The side of the square map, in pixels.
  public var size: Int

  public init(_ kind: Kind, width: Int, size: Int) {
    self.kind = kind
    self.width = width
    self.size = size
  }

  /// Such as `depthwise 3x3`.
  public var name: String {
    switch kind {
    case .convolution(let kernel): "convolution \(kernel)x\(kernel)"
    case .depthwise(let kernel): "depthwise \(kernel)x\(kernel)"
    case .squeezeExcitation: "squeeze and excitation"
    case .activated(let activation): "1x1 and \(activation.rawValue)"
    case .residual: "1x1 and residual add"
    case .block(let type, let kernel, let expansion):
      "\(type.name) k\(kernel)\(expansion.map { " e\($0)" } ?? "")"
    }
  }

  var shape: TensorShape { TensorShape(channels: width, height: size, width: size) }

  /// The unit `count` times in a row.
  public func chain(_ count: Int) -> NetworkGraph {
    NetworkGraph(chain: count, input: shape) { append(to: &$0, $1) }
  }

  /// The chain between a source and a sink, which give its maps the order that the runtime keeps inside networks.
  public func chainInContext(_ count: Int) -> NetworkGraph {
    NetworkGraph(input: NetworkGraph.sourceInput(of: shape)) { builder, x in
      var x = builder.source(x, shape)
      for index in 0..<count { x = builder.scoped("\(index)") { append(to: &$0, x) } }
      builder.sink(x)
    }
  }

  private func append(to builder: inout GraphBuilder, _ x: GraphBuilder.Value) -> GraphBuilder.Value {
    switch kind {
    case .convolution(let kernel):
      return builder.convolution("conv", x, width: width, kernel: kernel, activation: .relu)
    case .depthwise(let kernel):
      return builder.convolution("conv", x, width: width, kernel: kernel, isDepthwise: true, activation: .relu)
    case .squeezeExcitation:
      return builder.squeezeExcitation("se", x, hidden: roundedToMultipleOf8(Double(width) / 4))
    case .activated(let activation):
      return builder.convolution("conv", x, width: width, activation: activation)
    case .residual:
      return builder.add("add", builder.convolution("conv", x, width: width), x)
    case .block(let type, let kernel, let expansion):
      return builder.block(
        type, x, BlockChoice(kernel: kernel, width: width, expansion: expansion), stride: 1)
    }
  }
}

/// What a unit costs on a device, in one precision each.
public struct StudyTimes: Hashable, Sendable, Codable {
  /// Microseconds; `nil` where it was not measured, or the difference of the chains is lost in their noise.
  public var int8: Double?
  public var float32: Double?

  /// How many times faster INT8 is.
  public var speedUp: Double? {
    guard let int8, let float32 else { return nil }
    return float32 / int8
  }
}
