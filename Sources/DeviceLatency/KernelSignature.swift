public import NetworkGraphs
public import SearchSpaces

/// What decides how long one operation of an integer network takes on a device: the operation, its shapes, and where it
/// stands. Two nodes with one signature cost the same, whatever networks they are in.
///
/// Its text form, such as `conv-k3-s2-o32 16x16x16 relu`, stands for the value and back; shapes are channels x height x
/// width of the (first) input.
public struct KernelSignature: Hashable, Sendable {
  public enum Kind: Hashable, Sendable {
    case convolution(kernel: Int, stride: Int, outputChannels: Int)
    /// Keeps its channels.
    case depthwise(kernel: Int, stride: Int)
    case activation(Activation)
    case add
    case multiply
    case globalAveragePool
  }

  /// Where the operation stands, as far as that costs something.
  public enum Place: String, Hashable, Sendable, CaseIterable {
    /// Between operations, uint8 maps in the runtime's own order.
    case inside
    /// Reads the network's input: pixels, channels first.
    case first
    /// Writes the network's output: float logits.
    case last
    /// Both.
    case only

    public var readsPixels: Bool { self == .first || self == .only }
    public var writesLogits: Bool { self == .last || self == .only }
  }

  /// Kernels that runtimes treat alike when they fuse and schedule them.
  public enum Group: Int, Hashable, Sendable, CaseIterable {
    case dense, pointwise, depthwise, activation, add, multiply, pool
  }

  public var group: Group {
    switch kind {
    case .convolution(let kernel, _, _): kernel == 1 ? .pointwise : .dense
    case .depthwise: .depthwise
    case .activation: .activation
    case .add: .add
    case .multiply: .multiply
    case .globalAveragePool: .pool
    }
  }

  public var kind: Kind
  /// Of the first input, for one image.
  public var input: TensorShape
  public var range: OutputRange
  public var place: Place

  public init(kind: Kind, input: TensorShape, range: OutputRange, place: Place = .inside) {
    self.kind = kind
    self.input = input
    self.range = range
    self.place = place
  }
}

extension NetworkGraph {
  /// The signature of each node that computes, in order; `nil` for input nodes.
  ///
  /// - Parameter isWhole: Whether the graph is a whole network, from pixels to logits, and not a stage of one.
  public func kernelSignatures(isWhole: Bool) -> [KernelSignature?] {
    nodes.indices.map { index in
      let node = nodes[index]
      guard let first = node.inputs.first else { return nil }
      let kind: KernelSignature.Kind? =
        switch node.operation {
        case .input: nil
        case .convolution(let convolution):
          convolution.isDepthwise
            ? .depthwise(kernel: convolution.kernel, stride: convolution.stride)
            : .convolution(
              kernel: convolution.kernel, stride: convolution.stride, outputChannels: convolution.outputChannels)
        case .activation(let activation): .activation(activation)
        case .add: .add
        case .multiply: .multiply
        case .globalAveragePool: .globalAveragePool
        }
      guard let kind else { return nil }
      let readsInput = isWhole && nodes[first].operation == .input
      let writesOutput = isWhole && index == output
      let place: KernelSignature.Place =
        readsInput ? (writesOutput ? .only : .first) : (writesOutput ? .last : .inside)
      return KernelSignature(kind: kind, input: nodes[first].shape, range: node.range, place: place)
    }
  }

  /// The network of one operation and nothing else, from which its model is written.
  public init(_ kernel: KernelSignature) {
    let input = kernel.input
    var output = input
    var inputs = [input]
    let operation: Operation
    switch kernel.kind {
    case .convolution(let size, let stride, let channels):
      operation = .convolution(
        Convolution(
          inputChannels: input.channels, outputChannels: channels, kernel: size, stride: stride, hasBatchNorm: false))
      output = input.strided(stride, channels: channels)
    case .depthwise(let size, let stride):
      operation = .convolution(
        Convolution(
          inputChannels: input.channels, outputChannels: input.channels, kernel: size, stride: stride,
          isDepthwise: true, hasBatchNorm: false))
      output = input.strided(stride, channels: input.channels)
    case .activation(let activation): operation = .activation(activation)
    case .add:
      operation = .add
      inputs.append(input)
    case .multiply:
      operation = .multiply
      inputs.append(TensorShape(channels: input.channels, height: 1, width: 1))
    case .globalAveragePool:
      operation = .globalAveragePool
      output = TensorShape(channels: input.channels, height: 1, width: 1)
    }
    var nodes = inputs.enumerated().map { index, shape in
      Node(
        name: "input\(index)", operation: .input, inputs: [], shape: shape, range: .unbounded, quantizesWeights: true,
        quantizesOutput: true, stage: 0)
    }
    nodes.append(
      Node(
        name: "kernel", operation: operation, inputs: Array(nodes.indices), shape: output, range: kernel.range,
        quantizesWeights: true, quantizesOutput: true, stage: 0))
    self.init(nodes: nodes, stageNames: ["kernel"], stageOutputs: [nodes.count - 1])
  }
}

extension TensorShape {
  fileprivate func strided(_ stride: Int, channels: Int) -> TensorShape {
    TensorShape(channels: channels, height: (height + stride - 1) / stride, width: (width + stride - 1) / stride)
  }
}

extension KernelSignature: CustomStringConvertible, LosslessStringConvertible, Codable, Comparable {
  public var description: String {
    let operation =
      switch kind {
      case .convolution(let kernel, let stride, let channels): "conv-k\(kernel)-s\(stride)-o\(channels)"
      case .depthwise(let kernel, let stride): "depthwise-k\(kernel)-s\(stride)"
      case .activation(let activation): activation.rawValue
      case .add: "add"
      case .multiply: "multiply"
      case .globalAveragePool: "global-average-pool"
      }
    let range = range == .unbounded ? "" : " \(range.rawValue)"
    return "\(operation) \(input)\(range)\(place == .inside ? "" : " \(place.rawValue)")"
  }

  public init?(_ description: String) {
    let words = description.split(separator: " ")
    guard words.count >= 2, let kind = Kind(words[0]) else { return nil }
    let sizes = words[1].split(separator: "x").compactMap { Int($0) }
    guard sizes.count == 3, sizes.allSatisfy({ (1...1 << 20).contains($0) }) else { return nil }
    var range = OutputRange.unbounded
    var place = Place.inside
    for word in words.dropFirst(2) {
      if let value = OutputRange(rawValue: String(word)) {
        range = value
      } else if let value = Place(rawValue: String(word)) {
        place = value
      } else {
        return nil
      }
    }
    let input = TensorShape(channels: sizes[0], height: sizes[1], width: sizes[2])
    guard kind.macs(input) <= KernelSignature.mostMACs else { return nil }
    self.init(kind: kind, input: input, range: range, place: place)
  }

  /// Far above any kernel that was ever timed; a text that asks for more would overflow whoever counts.
  static let mostMACs = 1e15

  public init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    let text = try container.decode(String.self)
    guard let value = KernelSignature(text) else {
      throw DecodingError.dataCorruptedError(
        in: container, debugDescription: "\"\(text)\" is no kernel; one looks like \"conv-k3-s2-o32 16x16x16 relu\"")
    }
    self = value
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(description)
  }

  public static func < (a: KernelSignature, b: KernelSignature) -> Bool { a.description < b.description }
}

extension KernelSignature.Kind {
  /// Multiply-accumulates, or elements where there are none, bounded from above without an overflow.
  fileprivate func macs(_ input: TensorShape) -> Double {
    let elements = Double(input.channels) * Double(input.height) * Double(input.width)
    return switch self {
    case .convolution(let kernel, _, let channels):
      elements * Double(kernel) * Double(kernel) * Double(channels)
    case .depthwise(let kernel, _): elements * Double(kernel) * Double(kernel)
    case .activation, .add, .multiply, .globalAveragePool: elements
    }
  }

  /// The first word of the text form.
  fileprivate init?(_ text: Substring) {
    switch text {
    case "add": self = .add
    case "multiply": self = .multiply
    case "global-average-pool": self = .globalAveragePool
    default:
      // ReLU and ReLU6 are ranges of another operation.
      if let activation = Activation(rawValue: String(text)), !activation.isRange {
        self = .activation(activation)
        return
      }
      var parts = text.split(separator: "-")[...]
      let name = parts.popFirst()
      func number(_ letter: Character) -> Int? {
        guard let part = parts.popFirst(), part.first == letter else { return nil }
        return Int(part.dropFirst()).flatMap { (1...1 << 20).contains($0) ? $0 : nil }
      }
      guard let kernel = number("k"), let stride = number("s"), !kernel.isMultiple(of: 2) else { return nil }
      if name == "depthwise", parts.isEmpty {
        self = .depthwise(kernel: kernel, stride: stride)
      } else if name == "conv", let channels = number("o"), parts.isEmpty {
        self = .convolution(kernel: kernel, stride: stride, outputChannels: channels)
      } else {
        return nil
      }
    }
  }
}
