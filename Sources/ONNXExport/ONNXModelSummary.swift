private import SwiftProtobuf

#if canImport(FoundationEssentials)
  private import FoundationEssentials
#else
  private import Foundation
#endif

/// What a model consists of: to look at what a runtime's optimiser made of a model.
public struct ONNXModelSummary: Hashable, Sendable {
  public struct Operation: Hashable, Sendable {
    public var type: String
    /// Empty for ONNX's own operations.
    public var domain: String
    public var inputs: [String]
    public var outputs: [String]
  }

  public var operations: [Operation]
  /// The total size of the constants, in bytes.
  public var constantBytes: Int

  /// - Throws: `ONNXExportError` where the bytes are no ONNX model.
  public init(_ bytes: [UInt8]) throws(ONNXExportError) {
    let model: ONNXModelProto
    do {
      model = try ONNXModelProto(serializedBytes: bytes)
    } catch {
      throw ONNXExportError("these \(bytes.count) bytes are no ONNX model: \(error)")
    }
    operations = model.graph.node.map {
      Operation(type: $0.opType, domain: $0.domain == "ai.onnx" ? "" : $0.domain, inputs: $0.input, outputs: $0.output)
    }
    constantBytes = model.graph.initializer.reduce(0) { $0 + $1.rawData.count }
  }

  /// How often each type of operation occurs.
  public var counts: [String: Int] { operations.reduce(into: [:]) { $0[$1.type, default: 0] += 1 } }

  /// Convolutions and matrix products in real numbers: none are left in an integer network.
  public var floatProducts: [Operation] {
    operations.filter { ["Conv", "FusedConv", "Gemm", "FusedGemm", "MatMul", "FusedMatMul"].contains($0.type) }
  }
}
