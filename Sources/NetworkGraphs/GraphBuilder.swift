public import SearchSpaces

/// Appends nodes to a graph; the blocks' lowerings are written with it.
public struct GraphBuilder {
  /// A value in the graph: the output of a node.
  public struct Value: Hashable, Sendable {
    var node: Int
    public var shape: TensorShape
  }

  private(set) var nodes: [Node] = []
  private(set) var stageNames: [String] = []
  private(set) var stageOutputs: [Int] = []
  private var prefix: [String] = []
  private let arithmetic: IntegerArithmetic

  public init(_ arithmetic: IntegerArithmetic = .onnxRuntime) { self.arithmetic = arithmetic }

  /// Names nodes `name.…` inside `body`.
  public mutating func scoped<Result>(_ name: String, _ body: (inout GraphBuilder) -> Result) -> Result {
    prefix.append(name)
    defer { prefix.removeLast() }
    return body(&self)
  }

  /// Begins the next stage; what is appended from here on belongs to it.
  mutating func beginStage(_ name: String) {
    endStage()
    stageNames.append(name)
  }

  private mutating func endStage() {
    if !stageNames.isEmpty { stageOutputs.append(nodes.count - 1) }
  }

  private mutating func append(
    _ name: String, _ operation: Operation, _ inputs: [Value], _ shape: TensorShape, range: OutputRange = .unbounded,
    quantizesWeights: Bool = true, quantizesOutput: Bool = true
  ) -> Value {
    nodes.append(
      Node(
        name: (prefix + [name]).joined(separator: "."), operation: operation, inputs: inputs.map(\.node), shape: shape,
        range: range, quantizesWeights: quantizesWeights, quantizesOutput: quantizesOutput,
        stage: max(0, stageNames.count - 1)))
    return Value(node: nodes.count - 1, shape: shape)
  }

  mutating func input(_ shape: TensorShape, quantizesOutput: Bool = true) -> Value {
    append("input", .input, [], shape, quantizesOutput: quantizesOutput)
  }

  /// A convolution, batch norm unless told otherwise, and an activation: as a range where it is ReLU or ReLU6, else as
  /// a node of its own on the quantised tensor.
  public mutating func convolution(
    _ name: String, _ input: Value, width: Int, kernel: Int = 1, stride: Int = 1, isDepthwise: Bool = false,
    hasBias: Bool = false, hasBatchNorm: Bool = true, activation: Activation? = nil, quantizesWeights: Bool = true,
    quantizesOutput: Bool = true
  ) -> Value {
    let convolution = Convolution(
      inputChannels: input.shape.channels, outputChannels: width, kernel: kernel, stride: stride,
      isDepthwise: isDepthwise, hasBias: hasBias, hasBatchNorm: hasBatchNorm)
    // With padding k/2 and an odd kernel, a stride s maps n positions to ceil(n / s).
    let shape = TensorShape(
      channels: width, height: (input.shape.height + stride - 1) / stride,
      width: (input.shape.width + stride - 1) / stride)
    let output = append(
      name, .convolution(convolution), [input], shape, range: range(of: activation),
      quantizesWeights: quantizesWeights, quantizesOutput: quantizesOutput)
    guard let activation, !activation.isRange else { return output }
    return self.activation("\(name).act", output, activation)
  }

  /// Hard-swish, swish or hard-sigmoid on a quantised tensor.
  public mutating func activation(_ name: String, _ input: Value, _ activation: Activation) -> Value {
    precondition(!activation.isRange, "ReLU and ReLU6 are ranges of the node before")
    return append(name, .activation(activation), [input], input.shape)
  }

  /// The sum, ReLU and ReLU6 as its range.
  ///
  /// Where the arithmetic does not round addends, one of them stays in real numbers, and is the node's first input.
  ///
  /// - Parameters:
  ///   - a: What a block has computed. Nothing but this addition may read it.
  ///   - b: The shortcut.
  public mutating func add(_ name: String, _ a: Value, _ b: Value, activation: Activation? = nil) -> Value {
    precondition(a.shape == b.shape, "an addition needs two tensors of one shape")
    var (a, b) = (a, b)
    if !arithmetic.roundsAddends {
      // The runtime leaves the convolution in front of an addition in real numbers: that of the shortcut, if it is the only
      // one.
      if case .activation = nodes[a.node].operation, case .convolution = nodes[b.node].operation,
        !nodes.contains(where: { $0.inputs.contains(b.node) })
      {
        swap(&a, &b)
      }
      switch nodes[a.node].operation {
      case .convolution, .activation: nodes[a.node].quantizesOutput = false
      default: break
      }
    }
    let output = append(name, .add, [a, b], a.shape, range: range(of: activation))
    guard let activation, !activation.isRange else { return output }
    return self.activation("\(name).act", output, activation)
  }

  /// Multiplies each channel by its gate.
  ///
  /// - Precondition: `gate` has as many channels as `input`, and 1 x 1 pixels.
  public mutating func multiply(_ name: String, _ input: Value, gate: Value) -> Value {
    precondition(
      gate.shape == TensorShape(channels: input.shape.channels, height: 1, width: 1), "a gate has one value a channel")
    return append(name, .multiply, [input, gate], input.shape)
  }

  public mutating func globalAveragePool(_ name: String, _ input: Value) -> Value {
    append(name, .globalAveragePool, [input], TensorShape(channels: input.shape.channels, height: 1, width: 1))
  }

  /// Squeeze and excitation: pool, 1x1 to `hidden` with ReLU, 1x1 back, hard-sigmoid, multiplication. Both 1x1
  /// convolutions have a bias and no batch norm.
  public mutating func squeezeExcitation(_ name: String, _ input: Value, hidden: Int) -> Value {
    scoped(name) { builder in
      let pooled = builder.globalAveragePool("pool", input)
      let reduced = builder.convolution(
        "reduce", pooled, width: hidden, hasBias: true, hasBatchNorm: false, activation: .relu)
      let expanded = builder.convolution(
        "expand", reduced, width: input.shape.channels, hasBias: true, hasBatchNorm: false)
      let gate = builder.activation("gate", expanded, .hardSigmoid)
      return builder.multiply("scale", input, gate: gate)
    }
  }

  /// The shortcut of a residual block: the input itself where shapes agree, else a 1x1 convolution with batch norm, or
  /// `nil` where the block type has none.
  public mutating func shortcut(_ input: Value, width: Int, stride: Int, projects: Bool) -> Value? {
    if stride == 1, input.shape.channels == width { return input }
    guard projects else { return nil }
    return convolution("shortcut", input, width: width, stride: stride)
  }

  private func range(of activation: Activation?) -> OutputRange {
    switch activation {
    case .relu: .relu
    case .relu6: .relu6
    default: .unbounded
    }
  }

  consuming func graph() -> NetworkGraph {
    if stageNames.isEmpty { stageNames = ["graph"] }
    endStage()
    return NetworkGraph(nodes: nodes, stageNames: stageNames, stageOutputs: stageOutputs, arithmetic: arithmetic)
  }
}

/// The reference's rule for hidden widths: the nearest multiple of 8 (half up, at least 8), plus 8 if that is below 0.9
/// of the value.
public func roundedToMultipleOf8(_ value: Double) -> Int {
  let rounded = max(8, Int(value + 4) / 8 * 8)
  return Double(rounded) < 0.9 * value ? rounded + 8 : rounded
}
