/// The part of ONNX that is written here, message by message. Names and field numbers are those of the public schema
/// (onnx.proto), so that the files are ordinary ONNX models.
struct ONNXGraphProto {
  var name: String
  var nodes: [ONNXNodeProto] = []
  var initializers: [ONNXTensorProto] = []
  var inputs: [ONNXValueInfoProto] = []
  var outputs: [ONNXValueInfoProto] = []

  func write(to writer: inout ProtobufWriter) {
    for node in nodes { writer.field(1, node.write) }
    writer.field(2, name)
    for tensor in initializers { writer.field(5, tensor.write) }
    for input in inputs { writer.field(11, input.write) }
    for output in outputs { writer.field(12, output.write) }
  }
}

/// A model file.
struct ONNXModelProto {
  var irVersion: Int
  var producerName: String
  var graph: ONNXGraphProto
  /// Version of each set of operations by its domain; ONNX's own is the empty one.
  var opsets: [(domain: String, version: Int)]
  var metadata: [(key: String, value: String)]

  func write(to writer: inout ProtobufWriter) {
    writer.field(1, irVersion)
    writer.field(2, producerName)
    writer.field(7, graph.write)
    for opset in opsets {
      writer.field(8) { writer in
        writer.field(1, opset.domain)
        writer.field(2, opset.version)
      }
    }
    for entry in metadata {
      writer.field(14) { writer in
        writer.field(1, entry.key)
        writer.field(2, entry.value)
      }
    }
  }
}

/// An operation.
struct ONNXNodeProto {
  var type: String
  var name: String
  var inputs: [String]
  var outputs: [String]
  var attributes: [ONNXAttributeProto]
  /// Empty for ONNX's own operations.
  var domain: String

  func write(to writer: inout ProtobufWriter) {
    for input in inputs { writer.field(1, input) }
    for output in outputs { writer.field(2, output) }
    writer.field(3, name)
    writer.field(4, type)
    for attribute in attributes { writer.field(5, attribute.write) }
    if !domain.isEmpty { writer.field(7, domain) }
  }
}

/// A constant argument of an operation.
enum ONNXAttributeProto {
  case float(String, Float)
  case integer(String, Int)
  case integers(String, [Int])

  func write(to writer: inout ProtobufWriter) {
    // Field 20 is the type of the attribute: 1 float, 2 int, 7 ints.
    switch self {
    case .float(let name, let value):
      writer.field(1, name)
      writer.field(2, value)
      writer.field(20, 1)
    case .integer(let name, let value):
      writer.field(1, name)
      writer.field(3, value)
      writer.field(20, 2)
    case .integers(let name, let values):
      writer.field(1, name)
      for value in values { writer.field(8, value) }
      writer.field(20, 7)
    }
  }
}

/// The type of a tensor's elements, by ONNX's number.
enum ONNXElementType: Int {
  case float = 1
  case uint8 = 2
  case int8 = 3
  case int32 = 6
}

/// A constant tensor.
struct ONNXTensorProto {
  var name: String
  var type: ONNXElementType
  var shape: [Int]
  /// Little-endian, row-major.
  var bytes: [UInt8]

  func write(to writer: inout ProtobufWriter) {
    for size in shape { writer.field(1, size) }
    writer.field(2, type.rawValue)
    writer.field(8, name)
    writer.field(9, bytes)
  }
}

/// An input or output of the graph.
struct ONNXValueInfoProto {
  enum Dimension {
    case fixed(Int)
    case open(String)
  }

  var name: String
  var type: ONNXElementType
  var shape: [Dimension]

  func write(to writer: inout ProtobufWriter) {
    writer.field(1, name)
    writer.field(2) { writer in  // TypeProto
      writer.field(1) { writer in  // TypeProto.Tensor
        writer.field(1, type.rawValue)
        writer.field(2) { writer in  // TensorShapeProto
          for dimension in shape {
            writer.field(1) { writer in
              switch dimension {
              case .fixed(let size): writer.field(1, size)
              case .open(let name): writer.field(2, name)
              }
            }
          }
        }
      }
    }
  }
}
