public import NetworkGraphs
import SearchSpaces

/// What stands around a kernel where it cannot be timed alone: a runtime that shows no graph of its own may change the
/// order of a map at the ends of a model, which costs more than many a kernel.
///
/// A source (a 1x1 convolution of a few channels) makes the kernel's input, a sink (a convolution of a single position)
/// takes its output; the kernel costs what the model takes longer than its context does without it.
public enum KernelContext: Hashable, Sendable {
  /// Nothing but the call: of a kernel that reads the pixels.
  case call
  /// Source and sink of a map.
  case map(TensorShape)
  /// With a second branch, a 1x1 convolution, for an addition.
  case branch(TensorShape)
  /// With the pooled map, for a multiplication.
  case gate(TensorShape)
}

extension KernelSignature {
  /// The context that is taken off the kernel's time.
  public var context: KernelContext {
    if place.readsPixels { return .call }
    return switch kind {
    case .add: .branch(input)
    case .multiply: .gate(input)
    default: .map(input)
    }
  }
}

extension NetworkGraph {
  /// What a source makes a map of.
  static func sourceInput(of map: TensorShape) -> TensorShape {
    TensorShape(channels: 4, height: map.height, width: map.width)
  }

  /// The kernel between its source and its sink; without the source where it reads pixels, and without the sink where it
  /// writes logits.
  public init(inContext kernel: KernelSignature) {
    let shape = kernel.input
    let activation: Activation? =
      switch kernel.range {
      case .unbounded: nil
      case .relu: .relu
      case .relu6: .relu6
      }
    let input = kernel.place.readsPixels ? shape : NetworkGraph.sourceInput(of: shape)
    self.init(input: input) { builder, x in
      let map = kernel.place.readsPixels ? x : builder.source(x, shape)
      let output =
        switch kernel.kind {
        case .convolution(let size, let stride, let channels):
          builder.convolution(
            "kernel", map, width: channels, kernel: size, stride: stride, hasBias: true, hasBatchNorm: false,
            activation: activation)
        case .depthwise(let size, let stride):
          builder.convolution(
            "kernel", map, width: shape.channels, kernel: size, stride: stride, isDepthwise: true, hasBias: true,
            hasBatchNorm: false, activation: activation)
        case .activation(let function): builder.activation("kernel", map, function)
        case .add: builder.add("kernel", builder.branch(map), map, activation: activation)
        case .multiply: builder.multiply("kernel", map, gate: builder.globalAveragePool("gate", map))
        case .globalAveragePool: builder.globalAveragePool("kernel", map)
        }
      if !kernel.place.writesLogits { builder.sink(output) }
    }
  }

  /// - Returns: `nil` for a call, which has no graph.
  public init?(_ context: KernelContext) {
    let shape: TensorShape
    switch context {
    case .call: return nil
    case .map(let map), .branch(let map), .gate(let map): shape = map
    }
    self.init(input: NetworkGraph.sourceInput(of: shape)) { builder, x in
      let map = builder.source(x, shape)
      switch context {
      case .call, .map: builder.sink(map)
      case .branch: builder.sink(builder.branch(map))
      case .gate: builder.sink(builder.globalAveragePool("gate", map))
      }
    }
  }
}

extension GraphBuilder {
  mutating func source(_ input: Value, _ shape: TensorShape) -> Value {
    convolution("source", input, width: shape.channels)
  }

  fileprivate mutating func branch(_ map: Value) -> Value { convolution("branch", map, width: map.shape.channels) }

  /// One output position. Of 3x3 where the map has more than one, since a runtime may move the stride of a 1x1 through
  /// the operations before it and then compute less of them.
  mutating func sink(_ map: Value) {
    let side = max(map.shape.height, map.shape.width)
    _ = convolution("sink", map, width: 8, kernel: side > 1 ? 3 : 1, stride: side)
  }
}

extension KernelContext: CustomStringConvertible, LosslessStringConvertible, Codable {
  public var description: String {
    switch self {
    case .call: "call"
    case .map(let shape): "map \(shape)"
    case .branch(let shape): "branch \(shape)"
    case .gate(let shape): "gate \(shape)"
    }
  }

  public init?(_ description: String) {
    let words = description.split(separator: " ")
    if words == ["call"] {
      self = .call
      return
    }
    guard words.count == 2 else { return nil }
    let sizes = words[1].split(separator: "x").compactMap { Int($0) }
    guard sizes.count == 3, sizes.allSatisfy({ (1...1 << 20).contains($0) }) else { return nil }
    // The branch of a context is a 1x1 convolution of as many channels.
    guard Double(sizes[0]) * Double(sizes[0]) * Double(sizes[1]) * Double(sizes[2]) <= KernelSignature.mostMACs else {
      return nil
    }
    let shape = TensorShape(channels: sizes[0], height: sizes[1], width: sizes[2])
    switch words[0] {
    case "map": self = .map(shape)
    case "branch": self = .branch(shape)
    case "gate": self = .gate(shape)
    default: return nil
    }
  }

  public init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    let text = try container.decode(String.self)
    guard let context = KernelContext(text) else {
      throw DecodingError.dataCorruptedError(in: container, debugDescription: "\"\(text)\" is no context")
    }
    self = context
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(description)
  }
}
