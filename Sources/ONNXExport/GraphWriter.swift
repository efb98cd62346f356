import NetworkGraphs

/// Appends operations and constants to an ONNX graph.
struct GraphWriter {
  private(set) var graph: ONNXGraphProto
  private let options: ONNXModel.Options

  init(name: String, _ options: ONNXModel.Options) {
    graph = ONNXGraphProto(name: name)
    self.options = options
  }

  // MARK: Operations

  /// Appends an operation with one output, which gets the operation's name.
  @discardableResult
  mutating func append(
    _ type: String, _ name: String, _ inputs: [String], _ attributes: [ONNXAttributeProto] = [], domain: String = ""
  ) -> String {
    graph.nodes.append(
      ONNXNodeProto(type: type, name: name, inputs: inputs, outputs: [name], attributes: attributes, domain: domain))
    return name
  }

  /// A convolution's attributes: square kernel, padding k/2 on each side.
  static func attributes(_ convolution: Convolution) -> [ONNXAttributeProto] {
    let (k, s, p) = (convolution.kernel, convolution.stride, convolution.padding)
    return [
      .integers("kernel_shape", [k, k]), .integers("strides", [s, s]), .integers("pads", [p, p, p, p]),
      .integer("group", convolution.groups),
    ]
  }

  // MARK: Constants

  mutating func constant(_ name: String, _ values: [Float], shape: [Int]) -> String {
    tensor(name, .float, shape, values.flatMap { bytes($0.bitPattern) })
  }

  mutating func constant(_ name: String, _ value: Float) -> String { constant(name, [value], shape: []) }

  mutating func constant(_ name: String, _ value: UInt8) -> String { tensor(name, .uint8, [], [value]) }

  mutating func constant(_ name: String, _ values: [Int8], shape: [Int]) -> String {
    tensor(name, .int8, shape, values.map { UInt8(bitPattern: $0) })
  }

  mutating func constant(_ name: String, _ values: [Int32], shape: [Int]) -> String {
    tensor(name, .int32, shape, values.flatMap { bytes(UInt32(bitPattern: $0)) })
  }

  private func bytes(_ word: UInt32) -> [UInt8] {
    [
      UInt8(truncatingIfNeeded: word), UInt8(truncatingIfNeeded: word >> 8), UInt8(truncatingIfNeeded: word >> 16),
      UInt8(truncatingIfNeeded: word >> 24),
    ]
  }

  private mutating func tensor(
    _ name: String, _ type: ONNXElementType, _ shape: [Int], _ bytes: [UInt8]
  ) -> String {
    graph.initializers.append(ONNXTensorProto(name: name, type: type, shape: shape, bytes: bytes))
    return name
  }

  // MARK: Interface

  /// Declares an input map and returns the name under which the graph reads it, channels first.
  mutating func input(_ name: String, _ type: ONNXElementType, _ shape: TensorShape) -> String {
    guard options.input == .maps(.channelsLast) else {
      graph.inputs.append(value(name, type, [shape.channels, shape.height, shape.width]))
      return name
    }
    graph.inputs.append(value(name, type, [shape.height, shape.width, shape.channels]))
    return append("Transpose", "\(name).channels_first", [name], [.integers("perm", [0, 3, 1, 2])])
  }

  /// Declares the output of the last operation, a map with channels first, as the output `output`.
  mutating func outputLastMap(_ type: ONNXElementType, _ shape: TensorShape) {
    let last = graph.nodes.count - 1
    guard options.output == .map(.channelsLast) else {
      graph.nodes[last].outputs = ["output"]
      graph.outputs.append(value("output", type, [shape.channels, shape.height, shape.width]))
      return
    }
    append("Transpose", "output", graph.nodes[last].outputs, [.integers("perm", [0, 2, 3, 1])])
    graph.outputs.append(value("output", type, [shape.height, shape.width, shape.channels]))
  }

  /// Declares a float map, flattened, as the output `logits`.
  mutating func logits(_ map: String, count: Int) {
    append("Flatten", "logits", [map], [.integer("axis", 1)])
    graph.outputs.append(value("logits", .float, [count]))
  }

  private func value(_ name: String, _ type: ONNXElementType, _ shape: [Int]) -> ONNXValueInfoProto {
    let batch: ONNXValueInfoProto.Dimension =
      switch options.batch {
      case .dynamic: .open("N")
      case .fixed(let count): .fixed(count)
      }
    return ONNXValueInfoProto(name: name, type: type, shape: [batch] + shape.map { .fixed($0) })
  }
}
