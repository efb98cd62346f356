public import DeviceLatency
import NetworkGraphs
import ONNXExport
import Quantization

extension LocalRuntime {
  /// The model of a request, with random weights: times do not depend on them.
  func model(_ model: LatencyRequest.Model) throws -> [UInt8] {
    // In ONNX Runtime a pool alone would be charged for changing the order of its map.
    if self == .onnxRuntime, case .kernel(let kernel) = model, kernel.kind == .globalAveragePool,
      kernel.place == .inside
    {
      return try ONNXModel.channelsLastPool(IntegerNetwork(randomWeights: 0, for: NetworkGraph(kernel)))
    }
    return try model.bytes()
  }
}

extension LatencyRequest.Model {
  /// The ONNX model, with random weights: times do not depend on them.
  public func bytes() throws -> [UInt8] {
    switch self {
    case .empty: try ONNXModel.emptyModel()
    case .kernel(let kernel):
      try ONNXModel.bytes(
        IntegerNetwork(randomWeights: 0, for: NetworkGraph(kernel)),
        .init(
          batch: .fixed(1), input: kernel.place.readsPixels ? .pixels : .maps(.channelsLast),
          output: kernel.place.writesLogits ? .logits : .map(.channelsLast)))
    case .kernelInContext(let kernel):
      try ONNXModel.bytes(
        IntegerNetwork(randomWeights: 0, for: NetworkGraph(inContext: kernel)),
        .init(
          batch: .fixed(1), input: kernel.place.readsPixels ? .pixels : .maps(.channelsFirst),
          output: kernel.place.writesLogits ? .logits : .map(.channelsFirst)))
    case .context(let context):
      if let graph = NetworkGraph(context) {
        try ONNXModel.bytes(
          IntegerNetwork(randomWeights: 0, for: graph),
          .init(batch: .fixed(1), input: .maps(.channelsFirst), output: .map(.channelsFirst)))
      } else {
        try ONNXModel.emptyModel()
      }
    case .part(let graph, .int8):
      try ONNXModel.bytes(
        IntegerNetwork(randomWeights: 0, for: graph),
        .init(batch: .fixed(1), input: .maps(.channelsLast), output: .map(.channelsLast)))
    case .part(let graph, .float32):
      try ONNXModel.bytes(
        FloatNetwork(dequantizing: IntegerNetwork(randomWeights: 0, for: graph)),
        .init(batch: .fixed(1), input: .maps(.channelsFirst), output: .map(.channelsFirst)))
    case .network(let graph, .int8):
      try ONNXModel.bytes(IntegerNetwork(randomWeights: 0, for: graph), .init(batch: .fixed(1)))
    case .network(let graph, .float32):
      try ONNXModel.bytes(
        FloatNetwork(dequantizing: IntegerNetwork(randomWeights: 0, for: graph)), .init(batch: .fixed(1)))
    case .bytes(let bytes): try checked(bytes)
    }
  }

  /// A model of the user's: a runtime would take an input without a shape for a single number. What is no model at all is
  /// for the runtime to say.
  private func checked(_ bytes: [UInt8]) throws -> [UInt8] {
    if let summary = try? ONNXModelSummary(bytes), let name = summary.inputsWithoutShape.first {
      throw InferenceError(
        .modelUnsupported,
        "the model's input \"\(name)\" has no shape: export the model with fixed shapes; only the number of images may be "
          + "open")
    }
    return bytes
  }
}
