import NetworkGraphs

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// Appends operations and constants to an ONNX graph.
struct GraphWriter {
  private(set) var graph = ONNXGraphProto()
  private let options: ONNXModel.Options

  init(name: String, _ options: ONNXModel.Options) {
    graph.name = name
    self.options = options
  }

  // MARK: Operations

  /// Appends an operation with one output, which gets the operation's name.
  @discardableResult
  mutating func append(
    _ type: String, _ name: String, _ inputs: [String], _ attributes: [ONNXAttributeProto] = [], domain: String? = nil
  ) -> String {
    var node = ONNXNodeProto()
    if let domain { node.domain = domain }
    node.opType = type
    node.name = name
    node.input = inputs
    node.output = [name]
    node.attribute = attributes
    graph.node.append(node)
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
    _ name: String, _ type: ONNXTensorProto.DataType, _ shape: [Int], _ bytes: [UInt8]
  ) -> String {
    var tensor = ONNXTensorProto()
    tensor.name = name
    tensor.dataType = Int32(type.rawValue)
    tensor.dims = shape.map(Int64.init)
    tensor.rawData = Data(bytes)
    graph.initializer.append(tensor)
    return name
  }

  // MARK: Interface

  /// Declares an input map and returns the name under which the graph reads it, channels first.
  mutating func input(_ name: String, _ type: ONNXTensorProto.DataType, _ shape: TensorShape) -> String {
    guard options.input == .maps(.channelsLast) else {
      graph.input.append(value(name, type, [shape.channels, shape.height, shape.width]))
      return name
    }
    graph.input.append(value(name, type, [shape.height, shape.width, shape.channels]))
    return append("Transpose", "\(name).channels_first", [name], [.integers("perm", [0, 3, 1, 2])])
  }

  /// Declares the output of the last operation, a map with channels first, as the output `output`.
  mutating func outputLastMap(_ type: ONNXTensorProto.DataType, _ shape: TensorShape) {
    let last = graph.node.count - 1
    guard options.output == .map(.channelsLast) else {
      graph.node[last].output = ["output"]
      graph.output.append(value("output", type, [shape.channels, shape.height, shape.width]))
      return
    }
    append("Transpose", "output", graph.node[last].output, [.integers("perm", [0, 2, 3, 1])])
    graph.output.append(value("output", type, [shape.height, shape.width, shape.channels]))
  }

  /// Declares a float map, flattened, as the output `logits`.
  mutating func logits(_ map: String, count: Int) {
    append("Flatten", "logits", [map], [.integer("axis", 1)])
    graph.output.append(value("logits", .float, [count]))
  }

  private func value(_ name: String, _ type: ONNXTensorProto.DataType, _ shape: [Int]) -> ONNXValueInfoProto {
    var batch = ONNXTensorShapeProto.Dimension()
    switch options.batch {
    case .dynamic: batch.dimParam = "N"
    case .fixed(let count): batch.dimValue = Int64(count)
    }
    var value = ONNXValueInfoProto()
    value.name = name
    value.type.tensorType.elemType = Int32(type.rawValue)
    value.type.tensorType.shape.dim =
      [batch]
      + shape.map { size in
        var dimension = ONNXTensorShapeProto.Dimension()
        dimension.dimValue = Int64(size)
        return dimension
      }
    return value
  }
}

extension ONNXAttributeProto {
  static func integer(_ name: String, _ value: Int) -> ONNXAttributeProto {
    var attribute = ONNXAttributeProto()
    attribute.name = name
    attribute.i = Int64(value)
    attribute.type = .int
    return attribute
  }

  static func integers(_ name: String, _ values: [Int]) -> ONNXAttributeProto {
    var attribute = ONNXAttributeProto()
    attribute.name = name
    attribute.ints = values.map(Int64.init)
    attribute.type = .ints
    return attribute
  }

  static func float(_ name: String, _ value: Float) -> ONNXAttributeProto {
    var attribute = ONNXAttributeProto()
    attribute.name = name
    attribute.f = value
    attribute.type = .float
    return attribute
  }
}
