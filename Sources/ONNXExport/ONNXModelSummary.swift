/// What a model consists of: to look at what a runtime's optimiser made of a model.
public struct ONNXModelSummary: Hashable, Sendable {
  public struct Operation: Hashable, Sendable {
    public var type = ""
    /// Empty for ONNX's own operations.
    public var domain = ""
    public var inputs: [String] = []
    public var outputs: [String] = []
  }

  public private(set) var operations: [Operation] = []
  /// Inputs for which the model tells no shape at all.
  public private(set) var inputsWithoutShape: [String] = []
  /// The total size of the constants that are stored as bytes.
  public private(set) var constantBytes = 0

  /// - Throws: `ONNXExportError` where the bytes are no ONNX model.
  public init(_ bytes: [UInt8]) throws(ONNXExportError) {
    var hasGraph = false
    do {
      try ONNXModelSummary.read(bytes[...]) { number, value throws(ONNXExportError) in
        guard number == 7 else { return }
        hasGraph = true
        try readGraph(value)
      }
    } catch {
      throw ONNXExportError("these \(bytes.count) bytes are no ONNX model: \(error)")
    }
    guard hasGraph else { throw ONNXExportError("these \(bytes.count) bytes are no ONNX model: there is no graph") }
  }

  private mutating func readGraph(_ bytes: ArraySlice<UInt8>) throws(ONNXExportError) {
    try ONNXModelSummary.read(bytes) { number, value throws(ONNXExportError) in
      switch number {
      case 1: operations.append(try Operation(value))
      case 5:
        try ONNXModelSummary.read(value) { number, value throws(ONNXExportError) in
          if number == 9 { constantBytes += value.count }
        }
      case 11: try readInput(value)
      default: break
      }
    }
  }

  /// A value's name and, within its type, whether a tensor has a shape.
  private mutating func readInput(_ bytes: ArraySlice<UInt8>) throws(ONNXExportError) {
    var name = ""
    var hasShape = false
    try ONNXModelSummary.read(bytes) { number, value throws(ONNXExportError) in
      if number == 1 { name = String(decoding: value, as: UTF8.self) }
      guard number == 2 else { return }
      try ONNXModelSummary.read(value) { number, value throws(ONNXExportError) in
        guard number == 1 else { return }
        try ONNXModelSummary.read(value) { number, _ throws(ONNXExportError) in
          if number == 2 { hasShape = true }
        }
      }
    }
    if !hasShape { inputsWithoutShape.append(name) }
  }

  /// Calls `body` for each string, list of bytes or message in a message.
  fileprivate static func read(
    _ bytes: ArraySlice<UInt8>, _ body: (Int, ArraySlice<UInt8>) throws(ONNXExportError) -> Void
  ) throws(ONNXExportError) {
    var reader = ProtobufReader(bytes)
    while let (number, value) = try reader.next() {
      if case .bytes(let bytes) = value { try body(number, bytes) }
    }
  }

  /// How often each type of operation occurs.
  public var counts: [String: Int] { operations.reduce(into: [:]) { $0[$1.type, default: 0] += 1 } }

  /// Convolutions and matrix products in real numbers: none are left in an integer network.
  public var floatProducts: [Operation] {
    operations.filter { ["Conv", "FusedConv", "Gemm", "FusedGemm", "MatMul", "FusedMatMul"].contains($0.type) }
  }
}

extension ONNXModelSummary.Operation {
  fileprivate init(_ bytes: ArraySlice<UInt8>) throws(ONNXExportError) {
    self.init()
    try ONNXModelSummary.read(bytes) { number, value throws(ONNXExportError) in
      let text = { String(decoding: value, as: UTF8.self) }
      switch number {
      case 1: inputs.append(text())
      case 2: outputs.append(text())
      case 4: type = text()
      case 7: domain = text() == "ai.onnx" ? "" : text()
      default: break
      }
    }
  }
}
