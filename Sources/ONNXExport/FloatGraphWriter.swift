import NetworkGraphs
import Quantization
import SearchSpaces

/// Writes a float network: the integer network's counterpart for comparison on a device.
struct FloatGraphWriter {
  private let network: FloatNetwork
  private let options: ONNXModel.Options
  private var writer: GraphWriter
  /// By node: the name of its output.
  private var values: [String] = []

  init(_ network: FloatNetwork, _ options: ONNXModel.Options) {
    self.network = network
    self.options = options
    writer = GraphWriter(name: "float32", options)
  }

  mutating func write() -> ONNXGraphProto {
    for (index, node) in network.graph.nodes.enumerated() {
      let inputs = node.inputs.map { values[$0] }
      let value =
        switch node.operation {
        case .input: input(node)
        case .convolution(let convolution): self.convolution(convolution, node, at: index, inputs)
        case .activation(let activation): writer.activation(activation, "\(node.name).real", inputs[0])
        case .add: writer.append("Add", "\(node.name).real", inputs)
        case .multiply: writer.append("Mul", "\(node.name).real", inputs)
        case .globalAveragePool: writer.append("GlobalAveragePool", "\(node.name).real", inputs)
        }
      switch node.range {
      case .unbounded: values.append(value)
      case .relu: values.append(writer.activation(.relu, "\(node.name).range", value))
      case .relu6: values.append(writer.activation(.relu6, "\(node.name).range", value))
      }
    }
    let shape = network.graph.outputShape
    switch options.output {
    case .logits: writer.logits(values.last!, count: shape.count)
    case .map: writer.outputLastMap(.float, shape)
    }
    return writer.graph
  }

  private mutating func input(_ node: Node) -> String {
    guard options.input == .pixels else { return writer.input(node.name, .float, node.shape) }
    let pixels = writer.input("pixels", .uint8, node.shape)
    return writer.append(
      "DequantizeLinear", "\(node.name).real",
      [
        pixels, writer.constant(node.parameterName(.outputScale), network.input.scale),
        writer.constant("\(node.name).output_zero_point", network.input.zeroPoint),
      ])
  }

  private mutating func convolution(
    _ convolution: Convolution, _ node: Node, at index: Int, _ inputs: [String]
  ) -> String {
    let numbers = network.convolutions[index]!
    return writer.append(
      "Conv", "\(node.name).real",
      inputs + [
        writer.constant(node.parameterName(.weight), numbers.weights, shape: convolution.weightShape),
        writer.constant(node.parameterName(.bias), numbers.biases, shape: [convolution.outputChannels]),
      ], GraphWriter.attributes(convolution))
  }
}
