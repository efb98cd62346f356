internal import CTorch

/// An operation that libtorch refused.
///
/// ```swift
/// do throws(TorchError) {
///   try features.convolved(with: weight, stride: 2, padding: 1)
/// } catch {
///   print(error.message)
/// }
/// ```
///
/// Typical causes are shapes that do not fit, and memory that has run out. The tensors of the failed operation are as
/// they were, and the process goes on.
public struct TorchError: Error, Hashable, CustomStringConvertible {
  /// What is wrong, in libtorch's words or ours.
  public let message: String

  /// Whether the operation needed more memory than there is.
  public let isOutOfMemory: Bool

  public init(_ message: String, isOutOfMemory: Bool = false) {
    self.message = message
    self.isOutOfMemory = isOutOfMemory
  }

  public var description: String { message }

  /// The same, told of a node or a file.
  func naming(_ place: String) -> TorchError { TorchError("\(place): \(message)", isOutOfMemory: isOutOfMemory) }
}

/// Turns a status of the C surface into an error with this thread's last message.
func check(_ status: Int32) throws(TorchError) {
  guard status == CT_OK else {
    throw TorchError(String(cString: ct_last_error()), isOutOfMemory: status == CT_OUT_OF_MEMORY)
  }
}

/// The tensor that `make` hands over, whose elements are multiples of `step` if there is one.
func tensor(
  step: Float? = nil, _ make: (UnsafeMutablePointer<OpaquePointer?>) -> Int32
) throws(TorchError) -> Tensor {
  var handle: OpaquePointer?
  try check(make(&handle))
  guard let handle else { throw TorchError("libtorch handed over no tensor") }
  return Tensor(owning: handle, step: step)
}
