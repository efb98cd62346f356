import COnnxRuntime
import Foundation

/// A model in ONNX Runtime, ready to run on this CPU, with all of the runtime's optimisations.
///
/// Not Sendable: one session serves one task at a time.
public final class OnnxRuntimeSession: InferenceSession {
  public let inputs: [ModelTensor]
  public let outputs: [ModelTensor]
  /// The model as the runtime's optimiser left it, in ONNX form (with operations of the runtime's own), where asked for.
  public let optimizedModel: [UInt8]?

  private let session: OpaquePointer
  private var binding: (images: Int, pointer: OpaquePointer)?

  /// Builds a session from a model in memory.
  ///
  /// - Throws: `InferenceError`: a missing library, a model that the runtime refuses (in its words), or one with element
  ///   types that are not served.
  public init(_ model: [UInt8], _ options: SessionOptions = SessionOptions()) throws(InferenceError) {
    try OnnxRuntime.load()
    let folder = try options.keepsOptimizedModel ? Self.scratchFolder() : nil
    let file = folder?.url.appending(path: "optimized.onnx")
    var session: OpaquePointer?
    let status = model.withUnsafeBytes { bytes in
      func create(_ path: UnsafePointer<CChar>?) -> Int32 {
        var configuration = seo_options(
          threads: Int32(options.threads), images: Int32(options.images ?? 0), optimized_path: path)
        return seo_session_create(bytes.baseAddress, bytes.count, &configuration, &session)
      }
      guard let file else { return create(nil) }
      return file.path.withCString { create($0) }
    }
    let optimized = withExtendedLifetime(folder) { file.flatMap { try? Data(contentsOf: $0) } }
    guard status == 0, let session else { throw OnnxRuntime.failure(status) }
    self.session = session
    inputs = (0..<seo_session_input_count(session)).map { ModelTensor(seo_session_input(session, $0)) }
    outputs = (0..<seo_session_output_count(session)).map { ModelTensor(seo_session_output(session, $0)) }
    optimizedModel = optimized.map { [UInt8]($0) }
  }

  private static func scratchFolder() throws(InferenceError) -> ScratchFolder {
    do {
      return try ScratchFolder()
    } catch {
      throw InferenceError(.noTemporaryFolder, "no folder for the runtime's optimised model: \(error)")
    }
  }

  deinit {
    if let binding { seo_binding_free(binding.pointer) }
    seo_session_free(session)
  }

  public func run(bytes: [[UInt8]], images: Int) throws(InferenceError) -> [UInt8] {
    let binding = try bind(images)
    for (index, bytes) in bytes.enumerated() {
      var count = 0
      let memory = seo_binding_input(binding, Int32(index), &count)!
      guard bytes.count == count else {
        throw InferenceError(.wrongInput, "\(inputs[index].name) takes \(count) bytes; \(bytes.count) were given")
      }
      bytes.withUnsafeBytes { memory.copyMemory(from: $0.baseAddress!, byteCount: count) }
    }
    try check(seo_binding_run(binding))
    var count = 0
    let memory = seo_binding_output(binding, 0, &count)!
    return [UInt8](UnsafeRawBufferPointer(start: memory, count: count))
  }

  public func time(calls: Int, images: Int) throws(InferenceError) -> [UInt64] {
    let binding = try bind(images)
    var samples = [UInt64](repeating: 0, count: calls)
    try check(seo_binding_time(binding, Int64(calls), &samples))
    return samples
  }

  // MARK: Bindings

  private func check(_ status: Int32) throws(InferenceError) {
    guard status == 0 else { throw OnnxRuntime.failure(status) }
  }

  /// Memory for that many images, kept for the next call.
  private func bind(_ images: Int) throws(InferenceError) -> OpaquePointer {
    if let binding, binding.images == images { return binding.pointer }
    var created: OpaquePointer?
    try check(seo_binding_create(session, Int64(images), &created))
    if let binding { seo_binding_free(binding.pointer) }
    binding = (images, created!)
    return created!
  }
}

extension ModelTensor {
  fileprivate init(_ tensor: seo_tensor) {
    let element: Element =
      switch tensor.type {
      case SEO_FLOAT: .float
      case SEO_UINT8: .uint8
      case SEO_INT8: .int8
      case SEO_INT32: .int32
      default: .int64
      }
    let dimensions = withUnsafeBytes(of: tensor.shape) { Array($0.bindMemory(to: Int64.self)) }
    self.init(
      name: String(cString: tensor.name), element: element,
      shape: dimensions.prefix(Int(tensor.rank)).map { $0 < 0 ? nil : Int($0) })
  }
}
