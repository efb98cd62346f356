import DeviceLatency
import Foundation
import InferenceRuntimes
import NetworkGraphs
import ONNXExport
import Quantization

extension Parser {
  /// ONNX files: our own reader of their wire format, and a session of each runtime, which is the runtime's own reader
  /// behind our interface.
  static var modelParsers: [Parser] {
    [
      Parser(name: "onnx", seeds: { try models() }) { bytes in
        let summary = try ONNXModelSummary(bytes)
        _ = (summary.counts, summary.floatProducts, summary.inputsWithoutShape)
        guard summary.constantBytes <= bytes.count else {
          throw UnfaithfulParser(description: "\(summary.constantBytes) bytes of constants")
        }
      },
      Parser(name: "onnxruntime", seeds: { try models() }) { try run($0, in: .onnxRuntime) },
      Parser(name: "openvino", seeds: { try models() }) { try run($0, in: .openVINO) },
    ]
  }

  private static func run(_ model: [UInt8], in runtime: LocalRuntime) throws {
    let session = try runtime.session(model)
    let images = (session.inputs.first?.shape.first ?? nil) ?? 1
    guard images <= 64 else { return }
    _ = try session.time(calls: 1, images: images)
    guard session.inputs.count == 1, session.inputs[0].elementsPerImage * images <= 1 << 16,
      session.inputs[0].element == .uint8, session.outputs.first?.element == .float
    else { return }
    _ = try session.evaluate(
      [UInt8](repeating: 9, count: session.inputs[0].elementsPerImage * images),
      labels: [Int32](repeating: 0, count: images))
  }

  private static func models() throws -> [[UInt8]] {
    let kernels = ["conv-k3-s1-o4 3x4x4 relu only", "add 4x2x2", "hard-swish 4x2x2"].map { KernelSignature($0)! }
    let whole = try ONNXModel.bytes(IntegerNetwork(randomWeights: 1, for: NetworkGraph(kernels[0])))
    let parts = try kernels.map { try LatencyRequest.Model.kernel($0).bytes() }
    return [whole, try ONNXModel.emptyModel()] + parts
  }
}
