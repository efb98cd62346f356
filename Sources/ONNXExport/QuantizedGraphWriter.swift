import NetworkGraphs
import Quantization
import SearchSpaces

/// Writes an integer network in QDQ form.
struct QuantizedGraphWriter {
  private let network: IntegerNetwork
  private let options: ONNXModel.Options
  private var writer: GraphWriter
  /// By node: the name of the output in real numbers, after `DequantizeLinear`.
  private var reals: [String] = []

  init(_ network: IntegerNetwork, _ options: ONNXModel.Options) {
    self.network = network
    self.options = options
    writer = GraphWriter(name: "int8", options)
  }

  mutating func write() -> ONNXGraphProto {
    for (index, node) in network.graph.nodes.enumerated() {
      let inputs = node.inputs.map { reals[$0] }
      switch node.operation {
      case .input:
        input(node, at: index)
        continue
      case .convolution(let convolution):
        quantize(self.convolution(convolution, node, at: index, inputs), node, at: index)
      case .activation(let activation):
        quantize(writer.activation(activation, "\(node.name).exact", inputs[0]), node, at: index)
      case .add:
        quantize(writer.append("Add", "\(node.name).exact", inputs), node, at: index)
      case .multiply:
        quantize(writer.append("Mul", "\(node.name).exact", inputs), node, at: index)
      case .globalAveragePool:
        quantize(writer.append("GlobalAveragePool", "\(node.name).exact", inputs), node, at: index)
      }
    }
    let shape = network.graph.outputShape
    switch options.output {
    case .logits: writer.logits(reals.last!, count: shape.count)
    case .map: writer.outputLastMap(.uint8, shape)
    }
    return writer.graph
  }

  private mutating func input(_ node: Node, at index: Int) {
    let name = options.input == .pixels ? "pixels" : node.name
    let integer = writer.input(name, .uint8, node.shape)
    let (scale, zeroPoint) = quantizer(of: node, at: index)
    reals.append(writer.append("DequantizeLinear", "\(node.name).real", [integer, scale, zeroPoint]))
  }

  /// Appends the quantiser of a node's output and the way back to real numbers.
  private mutating func quantize(_ exact: String, _ node: Node, at index: Int) {
    guard node.quantizesOutput else {
      // No quantiser that could be the range.
      switch node.range {
      case .unbounded: reals.append(exact)
      case .relu: reals.append(writer.activation(.relu, "\(node.name).range", exact))
      case .relu6: reals.append(writer.activation(.relu6, "\(node.name).range", exact))
      }
      return
    }
    let (scale, zeroPoint) = quantizer(of: node, at: index)
    let integer = writer.append("QuantizeLinear", "\(node.name).uint8", [exact, scale, zeroPoint])
    // A map that leaves the model stays uint8.
    if index == network.graph.output, options.output != .logits { return }
    reals.append(writer.append("DequantizeLinear", "\(node.name).real", [integer, scale, zeroPoint]))
  }

  private mutating func quantizer(of node: Node, at index: Int) -> (scale: String, zeroPoint: String) {
    (
      writer.constant(node.parameterName(.outputScale), network.quantizers[index].scale),
      writer.constant("\(node.name).output_zero_point", network.quantizers[index].zeroPoint)
    )
  }

  private mutating func convolution(
    _ convolution: Convolution, _ node: Node, at index: Int, _ inputs: [String]
  ) -> String {
    let numbers = network.convolutions[index]!
    let channels = [convolution.outputChannels]
    let perChannel = [ONNXAttributeProto.integer("axis", 0)]
    let weightScale = writer.constant(node.parameterName(.weightScale), numbers.weightScales, shape: channels)
    let weight = writer.append(
      "DequantizeLinear", "\(node.name).weight_real",
      [
        writer.constant(node.parameterName(.weight), numbers.weights, shape: convolution.weightShape), weightScale,
        writer.constant(
          "\(node.name).weight_zero_point", [Int8](repeating: 0, count: convolution.outputChannels), shape: channels),
      ], perChannel)
    let inputScale = network.quantizers[node.inputs[0]].scale
    let bias = writer.append(
      "DequantizeLinear", "\(node.name).bias_real",
      [
        writer.constant(node.parameterName(.bias), numbers.biases, shape: channels),
        writer.constant("\(node.name).bias_scale", numbers.weightScales.map { inputScale * $0 }, shape: channels),
      ], perChannel)
    return writer.append(
      "Conv", "\(node.name).exact", inputs + [weight, bias], GraphWriter.attributes(convolution))
  }
}

extension GraphWriter {
  /// An activation that is a node of its own.
  mutating func activation(_ activation: Activation, _ name: String, _ input: String) -> String {
    switch activation {
    case .relu: append("Relu", name, [input])
    case .relu6:
      append("Clip", name, [input, constant("\(name).low", 0 as Float), constant("\(name).high", 6 as Float)])
    case .hardSwish: append("HardSwish", name, [input])
    // ONNX's own slope is 0.2; torch's, and ours, is 1/6.
    case .hardSigmoid: append("HardSigmoid", name, [input], [.float("alpha", 1 / 6), .float("beta", 0.5)])
    case .swish: append("Mul", name, [input, append("Sigmoid", "\(name).sigmoid", [input])])
    }
  }
}
