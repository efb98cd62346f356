public import SearchSpaces

/// An input or output of a model.
public struct ModelTensor: Hashable, Sendable {
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

  /// Elements of one image: the product of the dimensions after the first; 2^40 where a model states more than that, which
  /// no data has.
  public var elementsPerImage: Int {
    let most = 1 << 40
    return shape.dropFirst().reduce(1) { product, size in
      let (next, overflow) = product.multipliedReportingOverflow(by: max(0, size ?? 1))
      return overflow ? most : min(next, most)
    }
  }
}

/// How a session is made.
public struct SessionOptions: Hashable, Sendable {
  /// Threads inside an operation.
  public var threads: Int
  /// Fixes the open number of images, so that the runtime knows every shape when it optimises.
  public var images: Int?
  /// Whether the model is kept as the runtime's optimiser left it, where the runtime hands it out (ONNX Runtime).
  public var keepsOptimizedModel: Bool

  public init(threads: Int = 1, images: Int? = nil, keepsOptimizedModel: Bool = false) {
    self.threads = threads
    self.images = images
    self.keepsOptimizedModel = keepsOptimizedModel
  }
}

/// A model in one of the runtimes, ready to run on this CPU, with all of the runtime's optimisations.
///
/// One session serves one task at a time.
public protocol InferenceSession: AnyObject {
  var inputs: [ModelTensor] { get }
  var outputs: [ModelTensor] { get }

  /// Runs the model on the bytes of its inputs, in their order, and returns those of its first output.
  ///
  /// - Throws: `InferenceError` with code `wrongInput` where the sizes do not fit.
  func run(bytes: [[UInt8]], images: Int) throws(InferenceError) -> [UInt8]

  /// Times single calls, one after the other, on whatever was last given to `run`, or on zeros.
  ///
  /// - Returns: The nanoseconds of each call.
  func time(calls: Int, images: Int) throws(InferenceError) -> [UInt64]
}

extension InferenceSession {
  public func time(calls: Int) throws(InferenceError) -> [UInt64] { try time(calls: calls, images: 1) }

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
    try checkIntegers([pixels], images: images)
    return try run(bytes: [pixels], images: images).withUnsafeBytes { Array($0.bindMemory(to: Float.self)) }
  }

  /// Runs a model of uint8 maps; one array an input, in the order of `inputs`.
  ///
  /// - Throws: `InferenceError` with code `wrongInput` where the sizes do not fit.
  public func run(maps: [[UInt8]], images: Int = 1) throws(InferenceError) -> [UInt8] {
    guard outputs.count == 1, outputs[0].element == .uint8 else {
      throw InferenceError(.modelUnsupported, "the model's output is not one uint8 tensor")
    }
    try checkIntegers(maps, images: images)
    return try run(bytes: maps, images: images)
  }

  private func checkIntegers(_ data: [[UInt8]], images: Int) throws(InferenceError) {
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
  }
}

/// A runtime that times and runs models in this process.
public enum LocalRuntime: String, CaseIterable, Hashable, Sendable {
  case onnxRuntime = "onnxruntime"
  case openVINO = "openvino"

  /// How it computes integer networks. OpenVINO fuses a convolution with the addition behind it, and leaves a quantiser
  /// in between out; files for it have none there.
  public var arithmetic: IntegerArithmetic {
    switch self {
    case .onnxRuntime: .onnxRuntime
    case .openVINO: .openVINO
    }
  }

  /// Loads its library, once a process.
  ///
  /// - Returns: The version, such as `1.32.0`.
  /// - Throws: `InferenceError` with code `libraryMissing` or `libraryTooOld`.
  @discardableResult
  public func load() throws(InferenceError) -> String {
    switch self {
    case .onnxRuntime: try OnnxRuntime.load()
    case .openVINO: try OpenVINO.load()
    }
  }

  /// A session of a model in memory.
  ///
  /// - Throws: `InferenceError`: a missing library, a model that the runtime refuses (in its words), or one with element
  ///   types that are not served.
  public func session(_ model: [UInt8], _ options: SessionOptions = .init()) throws(InferenceError)
    -> any InferenceSession
  {
    switch self {
    case .onnxRuntime: try OnnxRuntimeSession(model, options)
    case .openVINO: try OpenVINOSession(model, options)
    }
  }
}
