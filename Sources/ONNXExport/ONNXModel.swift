import NetworkGraphs
public import Quantization

/// Writes networks as ONNX models.
///
/// An integer network becomes a model of quantise-dequantise (QDQ) form: each operation stands between
/// `DequantizeLinear` and `QuantizeLinear`, and an integer runtime fuses the three. ReLU and ReLU6 are the range of the
/// quantiser and no nodes. Initialisers have the parameters' names (`stage1.0.expand.weight`).
///
/// Opset 17 and IR version 8: the newest that need nothing newer than per-channel `DequantizeLinear` (13) and
/// `HardSwish` (14), so older runtimes read the files too.
public enum ONNXModel {
  public static let opset = 17
  public static let irVersion = 8

  /// How a model meets its caller.
  public struct Options: Hashable, Sendable {
    public enum Batch: Hashable, Sendable {
      /// Any number of images; the dimension is called `N`.
      case dynamic
      case fixed(Int)
    }

    public enum Input: Hashable, Sendable {
      /// One input, `pixels`, uint8 `N x C x H x W`.
      case pixels
      /// Every input node is an input of the model, in the network's own type: uint8 of integer networks, float of float
      /// networks. For parts of networks.
      case maps(Layout)
    }

    public enum Output: Hashable, Sendable {
      /// Float `N x classes`, called `logits`.
      case logits
      /// The last node's map in the network's own type, called `output`.
      case map(Layout)
    }

    /// The order of a map's dimensions in the caller's memory.
    public enum Layout: Hashable, Sendable {
      /// `N x C x H x W`, images, channels, rows, columns: ONNX's order.
      case channelsFirst
      /// `N x H x W x C`: the order in which integer runtimes compute on CPUs. A part that is measured in it is not
      /// charged for changing the order at its two ends.
      case channelsLast
    }

    public var batch: Batch
    public var input: Input
    public var output: Output
    /// Key-value pairs that the file carries.
    public var metadata: [String: String]

    public init(
      batch: Batch = .dynamic, input: Input = .pixels, output: Output = .logits, metadata: [String: String] = [:]
    ) {
      self.batch = batch
      self.input = input
      self.output = output
      self.metadata = metadata
    }
  }

  /// A model that hands one byte through: what a call costs when nothing is computed.
  public static func emptyModel() throws(ONNXExportError) -> [UInt8] {
    let options = Options(batch: .fixed(1), input: .maps(.channelsFirst), output: .map(.channelsFirst))
    let shape = TensorShape(channels: 1, height: 1, width: 1)
    var writer = GraphWriter(name: "empty", options)
    writer.append("Identity", "identity", [writer.input("input", .uint8, shape)])
    writer.outputLastMap(.uint8, shape)
    return try serialize(writer.graph, options)
  }

  /// A global average pool alone, with uint8 maps whose channels are last at both ends, in the form that ONNX Runtime's
  /// optimiser gives it inside a network. Alone, in QDQ form, the optimiser would leave a change of order before it.
  public static func channelsLastPool(_ network: IntegerNetwork) throws(ONNXExportError) -> [UInt8] {
    let options = Options(batch: .fixed(1), input: .maps(.channelsFirst), output: .map(.channelsFirst))
    func channelsLast(_ shape: TensorShape) -> TensorShape {
      TensorShape(channels: shape.height, height: shape.width, width: shape.channels)
    }
    let graph = network.graph
    var writer = GraphWriter(name: "pool", options)
    var inputs = [writer.input("input", .uint8, channelsLast(graph.inputShape))]
    for index in [0, graph.output] {
      let name = graph.nodes[index].name
      inputs.append(writer.constant("\(name).output_scale", network.quantizers[index].scale))
      inputs.append(writer.constant("\(name).output_zero_point", network.quantizers[index].zeroPoint))
    }
    writer.append(
      "QLinearGlobalAveragePool", "pool", inputs, [.integer("channels_last", 1)], domain: microsoftDomain)
    writer.outputLastMap(.uint8, channelsLast(graph.outputShape))
    return try serialize(writer.graph, options)
  }

  private static let microsoftDomain = "com.microsoft"

  /// The INT8 model of an integer network.
  ///
  /// - Throws: `ONNXExportError` where the model would be larger than 2 GB.
  public static func bytes(_ network: IntegerNetwork, _ options: Options = Options()) throws(ONNXExportError) -> [UInt8]
  {
    var writer = QuantizedGraphWriter(network, options)
    return try serialize(writer.write(), options)
  }

  /// The float model of a float network: the same interface, in real numbers from the pixels on.
  ///
  /// - Throws: `ONNXExportError` where the model would be larger than 2 GB.
  public static func bytes(_ network: FloatNetwork, _ options: Options = Options()) throws(ONNXExportError) -> [UInt8] {
    var writer = FloatGraphWriter(network, options)
    return try serialize(writer.write(), options)
  }

  private static func serialize(_ graph: ONNXGraphProto, _ options: Options) throws(ONNXExportError) -> [UInt8] {
    var opsets = [(domain: "", version: opset)]
    if graph.nodes.contains(where: { $0.domain == microsoftDomain }) { opsets.append((microsoftDomain, 1)) }
    let model = ONNXModelProto(
      irVersion: irVersion, producerName: "spaceevo", graph: graph, opsets: opsets,
      metadata: options.metadata.sorted { $0.key < $1.key }.map { ($0.key, $0.value) })
    var writer = ProtobufWriter()
    model.write(to: &writer)
    guard writer.bytes.count <= Int(Int32.max) else {
      throw ONNXExportError("the model has \(writer.bytes.count) bytes; an ONNX file has at most 2 GB")
    }
    return writer.bytes
  }
}

/// Why a model could not be written or read.
public struct ONNXExportError: Error, Hashable, Sendable, CustomStringConvertible {
  public var message: String
  public init(_ message: String) { self.message = message }
  public var description: String { message }
}
