import COpenVINO

/// A model in OpenVINO's CPU plug-in. It is compiled for a fixed number of images when that number is first used, since
/// shapes that stay open compile to slower code.
///
/// Not Sendable: one session serves one task at a time.
public final class OpenVINOSession: InferenceSession {
  public let inputs: [ModelTensor]
  public let outputs: [ModelTensor]

  private let model: OpaquePointer
  private let threads: Int
  private var request: (images: Int, pointer: OpaquePointer)?

  /// Reads a model in memory, and compiles it where the number of images is known.
  ///
  /// - Throws: `InferenceError`: a missing library, a model that the runtime refuses (in its words), or one with element
  ///   types that are not served.
  public init(_ model: [UInt8], _ options: SessionOptions = SessionOptions()) throws(InferenceError) {
    try OpenVINO.load()
    var created: OpaquePointer?
    let status = model.withUnsafeBytes { sov_model_create($0.baseAddress, $0.count, &created) }
    guard status == 0, let created else { throw OpenVINO.failure(status) }
    self.model = created
    threads = options.threads
    inputs = (0..<sov_model_input_count(created)).map { ModelTensor(sov_model_input(created, $0), options) }
    outputs = (0..<sov_model_output_count(created)).map { ModelTensor(sov_model_output(created, $0), options) }
    if let images = options.images { _ = try compile(images) }
  }

  deinit {
    if let request { sov_request_free(request.pointer) }
    sov_model_free(model)
  }

  public func run(bytes: [[UInt8]], images: Int) throws(InferenceError) -> [UInt8] {
    let request = try compile(images)
    for (index, bytes) in bytes.enumerated() {
      var count = 0
      let memory = sov_request_input(request, Int32(index), &count)!
      guard bytes.count == count else {
        throw InferenceError(.wrongInput, "\(inputs[index].name) takes \(count) bytes; \(bytes.count) were given")
      }
      bytes.withUnsafeBytes { memory.copyMemory(from: $0.baseAddress!, byteCount: count) }
    }
    try check(sov_request_run(request))
    var count = 0
    let memory = sov_request_output(request, 0, &count)!
    return [UInt8](UnsafeRawBufferPointer(start: memory, count: count))
  }

  public func time(calls: Int, images: Int) throws(InferenceError) -> [UInt64] {
    let request = try compile(images)
    var samples = [UInt64](repeating: 0, count: calls)
    try check(sov_request_time(request, Int64(calls), &samples))
    return samples
  }

  private func check(_ status: Int32) throws(InferenceError) {
    guard status == 0 else { throw OpenVINO.failure(status) }
  }

  /// The model compiled for that many images, kept for the next call.
  private func compile(_ images: Int) throws(InferenceError) -> OpaquePointer {
    if let request, request.images == images { return request.pointer }
    var created: OpaquePointer?
    try check(sov_request_create(model, Int64(images), Int32(threads), &created))
    if let request { sov_request_free(request.pointer) }
    request = (images, created!)
    return created!
  }
}

extension ModelTensor {
  fileprivate init(_ tensor: sov_tensor, _ options: SessionOptions) {
    let element: Element =
      switch tensor.type {
      case SOV_FLOAT: .float
      case SOV_UINT8: .uint8
      case SOV_INT8: .int8
      case SOV_INT32: .int32
      default: .int64
      }
    let dimensions = withUnsafeBytes(of: tensor.shape) { Array($0.bindMemory(to: Int64.self)) }
    var shape: [Int?] = dimensions.prefix(Int(tensor.rank)).map { $0 < 0 ? nil : Int($0) }
    if let first = shape.first, first == nil, let images = options.images { shape[0] = images }
    self.init(name: String(cString: tensor.name), element: element, shape: shape)
  }
}
