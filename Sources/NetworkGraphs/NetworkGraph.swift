public import SearchSpaces

/// The shape of one image's tensor: channels x height x width, in that order.
public struct TensorShape: Hashable, Sendable, CustomStringConvertible {
  public var channels: Int
  public var height: Int
  public var width: Int

  public init(channels: Int, height: Int, width: Int) {
    self.channels = channels
    self.height = height
    self.width = width
  }

  public var count: Int { channels * height * width }
  public var description: String { "\(channels)x\(height)x\(width)" }
}

/// A convolution with what integer runtimes fuse into it: bias and batch norm. Linear layers are 1x1 convolutions of a
/// 1x1 map, which runtimes compute with the same kernel.
public struct Convolution: Hashable, Sendable {
  public var inputChannels: Int
  public var outputChannels: Int
  /// Odd; padding is `kernel / 2` on each side.
  public var kernel: Int
  public var stride: Int
  /// One filter a channel: `inputChannels == outputChannels == groups`.
  public var isDepthwise: Bool
  public var hasBias: Bool
  public var hasBatchNorm: Bool

  public init(
    inputChannels: Int, outputChannels: Int, kernel: Int, stride: Int = 1, isDepthwise: Bool = false,
    hasBias: Bool = false, hasBatchNorm: Bool = true
  ) {
    precondition(!isDepthwise || inputChannels == outputChannels, "a depthwise convolution keeps its channels")
    self.inputChannels = inputChannels
    self.outputChannels = outputChannels
    self.kernel = kernel
    self.stride = stride
    self.isDepthwise = isDepthwise
    self.hasBias = hasBias
    self.hasBatchNorm = hasBatchNorm
  }

  public var groups: Int { isDepthwise ? inputChannels : 1 }
  public var padding: Int { kernel / 2 }
  /// Output channels x input channels of a group x kernel x kernel.
  public var weightShape: [Int] { [outputChannels, inputChannels / groups, kernel, kernel] }
  public var weightCount: Int { weightShape.reduce(1, *) }
}

/// What a node computes from its inputs.
public enum Operation: Hashable, Sendable {
  /// The graph's input: normalised pixels, or a stage's input map.
  case input
  /// One input.
  case convolution(Convolution)
  /// One input: hard-swish, swish or hard-sigmoid. ReLU and ReLU6 are no operations (`OutputRange`).
  case activation(Activation)
  /// Two inputs of the same shape.
  case add
  /// Two inputs: a tensor `C x H x W`, and a gate `C x 1 x 1`.
  case multiply
  /// One input; the output is `C x 1 x 1`.
  case globalAveragePool
}

/// The range that clamps a node's output: in float networks ReLU or ReLU6, in integer networks the quantised range
/// itself.
public enum OutputRange: String, Hashable, Sendable, Codable {
  case unbounded
  /// `[0, ∞)`; the integer zero point is 0.
  case relu
  /// `[0, 6]`; the integer zero point is 0 and the scale at most 6/255.
  case relu6
}

/// One operation of a network and the quantisers at it.
public struct Node: Hashable, Sendable {
  /// Unique in its graph, and the same in every subnet that shares the node's parameters, such as
  /// `stage1.0.depthwise`.
  public var name: String
  public var operation: Operation
  /// Indices of the nodes whose outputs this node reads; all smaller than its own.
  public var inputs: [Int]
  public var shape: TensorShape
  public var range: OutputRange
  /// Whether a convolution's weights are int8. `false` only for the projections of distillation, which are no part of
  /// the network that runs.
  public var quantizesWeights: Bool
  /// Whether the output is uint8.
  public var quantizesOutput: Bool
  /// Index of the stage: 0 the input and the stem, 1… the stages, then one for the head.
  public var stage: Int

  public init(
    name: String, operation: Operation, inputs: [Int], shape: TensorShape, range: OutputRange, quantizesWeights: Bool,
    quantizesOutput: Bool, stage: Int
  ) {
    self.name = name
    self.operation = operation
    self.inputs = inputs
    self.shape = shape
    self.range = range
    self.quantizesWeights = quantizesWeights
    self.quantizesOutput = quantizesOutput
    self.stage = stage
  }

  /// The convolution, where the node is one.
  public var convolution: Convolution? {
    if case .convolution(let convolution) = operation { convolution } else { nil }
  }
}

/// A network as a list of operations in an order in which they can run: the one description from which the trainer, the
/// cost model, the exporter and the latency predictor all read.
public struct NetworkGraph: Hashable, Sendable {
  public var nodes: [Node]
  /// One name a value of `Node.stage`.
  public var stageNames: [String]
  /// For each value of `Node.stage`, the index of the node whose output leaves the stage.
  public var stageOutputs: [Int]
  /// How the device that the network is for computes it.
  public var arithmetic: IntegerArithmetic

  public init(
    nodes: [Node], stageNames: [String], stageOutputs: [Int], arithmetic: IntegerArithmetic = .onnxRuntime
  ) {
    self.arithmetic = arithmetic
    self.nodes = nodes
    self.stageNames = stageNames
    self.stageOutputs = stageOutputs
  }

  /// The shape of one image.
  public var inputShape: TensorShape { nodes[0].shape }
  /// The index of the node whose output is the graph's output.
  public var output: Int { nodes.count - 1 }
  public var outputShape: TensorShape { nodes[output].shape }
  /// By node, how many inputs of nodes read its output.
  public var readerCounts: [Int] {
    nodes.reduce(into: [Int](repeating: 0, count: nodes.count)) { counts, node in
      for input in node.inputs { counts[input] += 1 }
    }
  }

  /// The shortcuts, by node, that a runtime which does not round addends adds within the convolution that makes the first
  /// addend: those that nothing else reads. One that an activation has made is added in one kernel with that.
  public var shortcutsAddedInConvolutions: Set<Int> {
    let counts = readerCounts
    return Set(
      nodes.lazy.filter { $0.operation == .add }.map { $0.inputs[1] }.filter { shortcut in
        if case .activation = nodes[shortcut].operation { return false }
        return counts[shortcut] == 1
      })
  }
}

/// Why a network cannot be lowered.
public struct LoweringError: Error, Hashable, Sendable, CustomStringConvertible {
  public var message: String
  public init(_ message: String) { self.message = message }
  public var description: String { message }
}
