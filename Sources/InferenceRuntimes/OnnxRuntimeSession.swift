import COnnxRuntime
import Foundation

/// A model in ONNX Runtime, ready to run on this CPU, with all of the runtime's optimisations.
///
/// Not Sendable: one session serves one task at a time.
public final class OnnxRuntimeSession {
  /// An input or output of a model.
  public struct Tensor: Hashable, Sendable {
    public enum Element: String, Hashable, Sendable {
      case float, uint8, int8, int32, int64
      /// Size of an element, in bytes.
      public var size: Int {
        switch self {
        case .uint8, .int8: 1
        case .float, .int32: 4
        case .int64: 8
        }
      }
    }
    public var name: String
    public var element: Element
    /// `nil` where the model leaves a dimension open.
    public var shape: [Int?]

    public init(name: String, element: Element, shape: [Int?]) {
      self.name = name
      self.element = element
      self.shape = shape
    }

    /// Elements of one image: the product of the dimensions after the first.
    public var elementsPerImage: Int { shape.dropFirst().reduce(1) { $0 * ($1 ?? 1) } }
  }

  public struct Options: Hashable, Sendable {
    /// Threads inside an operation.
    public var threads: Int
    /// Fixes the open number of images, so that the runtime knows every shape when it optimises.
    public var images: Int?
    /// Whether `optimizedModel` is kept.
    public var keepsOptimizedModel: Bool

    public init(threads: Int = 1, images: Int? = nil, keepsOptimizedModel: Bool = false) {
      self.threads = threads
      self.images = images
      self.keepsOptimizedModel = keepsOptimizedModel
    }
  }

  public let inputs: [Tensor]
  public let outputs: [Tensor]
  /// The model as the runtime's optimiser left it, in ONNX form (with operations of the runtime's own), where asked for.
  public let optimizedModel: [UInt8]?

  private let session: OpaquePointer
  private var binding: (images: Int, pointer: OpaquePointer)?

  /// Builds a session from a model in memory.
  ///
  /// - Throws: `InferenceError`: a missing library, a model that the runtime refuses (in its words), or one with element
  ///   types that are not served.
  public init(_ model: [UInt8], _ options: Options = Options()) throws(InferenceError) {
    try OnnxRuntime.load()
    let file =
      options.keepsOptimizedModel
      ? FileManager.default.temporaryDirectory.appendingPathComponent("spaceevo-\(UUID().uuidString).onnx") : nil
    defer { if let file { try? FileManager.default.removeItem(at: file) } }
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
    guard status == 0, let session else { throw OnnxRuntime.failure(status) }
    self.session = session
    inputs = (0..<seo_session_input_count(session)).map { Tensor(seo_session_input(session, $0)) }
    outputs = (0..<seo_session_output_count(session)).map { Tensor(seo_session_output(session, $0)) }
    optimizedModel = file.flatMap { try? Data(contentsOf: $0) }.map { [UInt8]($0) }
  }

  deinit {
    if let binding { seo_binding_free(binding.pointer) }
    seo_session_free(session)
  }

  /// Runs the model on images.
  ///
  /// - Parameters:
  ///   - pixels: Images x channels x height x width, in the model's order.
  ///   - images: How many.
  /// - Returns: Images x classes: the model's output, which must be float.
  /// - Throws: `InferenceError` with code `wrongInput` where the sizes do not fit.
  public func run(_ pixels: [UInt8], images: Int = 1) throws(InferenceError) -> [Float] {
    guard outputs.count == 1, outputs[0].element == .float else {
      throw InferenceError(.modelUnsupported, "the model's output is not one float tensor")
    }
    let binding = try fill([pixels], images: images)
    try check(seo_binding_run(binding))
    return outputBytes(of: binding).withUnsafeBytes { Array($0.bindMemory(to: Float.self)) }
  }

  /// Runs a model of uint8 maps; one array an input, in the order of `inputs`.
  ///
  /// - Throws: `InferenceError` with code `wrongInput` where the sizes do not fit.
  public func run(maps: [[UInt8]], images: Int = 1) throws(InferenceError) -> [UInt8] {
    guard outputs.count == 1, outputs[0].element == .uint8 else {
      throw InferenceError(.modelUnsupported, "the model's output is not one uint8 tensor")
    }
    let binding = try fill(maps, images: images)
    try check(seo_binding_run(binding))
    return outputBytes(of: binding)
  }

  /// Times single calls, one after the other, on whatever was last given to `run`, or on zeros.
  ///
  /// - Returns: The nanoseconds of each call.
  public func time(calls: Int, images: Int = 1) throws(InferenceError) -> [UInt64] {
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

  private func fill(_ data: [[UInt8]], images: Int) throws(InferenceError) -> OpaquePointer {
    guard data.count == inputs.count else {
      throw InferenceError(.wrongInput, "the model takes \(inputs.count) inputs, not \(data.count)")
    }
    for (bytes, input) in zip(data, inputs) {
      guard input.element == .uint8 else {
        throw InferenceError(.modelUnsupported, "the model's input \(input.name) is \(input.element), not uint8")
      }
      if let fixed = input.shape.first ?? nil, fixed != images {
        throw InferenceError(.wrongInput, "the model takes \(fixed) images a call, not \(images)")
      }
      guard images > 0, bytes.count == images * input.elementsPerImage else {
        throw InferenceError(
          .wrongInput,
          "\(input.name) takes \(input.elementsPerImage) bytes an image, \(images * input.elementsPerImage) for "
            + "\(images); \(bytes.count) were given")
      }
    }
    let binding = try bind(images)
    for (index, bytes) in data.enumerated() {
      var count = 0
      let memory = seo_binding_input(binding, Int32(index), &count)!
      bytes.withUnsafeBytes { memory.copyMemory(from: $0.baseAddress!, byteCount: count) }
    }
    return binding
  }

  private func outputBytes(of binding: OpaquePointer) -> [UInt8] {
    var count = 0
    let memory = seo_binding_output(binding, 0, &count)!
    return [UInt8](UnsafeRawBufferPointer(start: memory, count: count))
  }
}

extension OnnxRuntimeSession.Tensor {
  init(_ tensor: seo_tensor) {
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
