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

  /// Whether numbers are the reason that are none any more: the training has diverged.
  public let tellsDivergence: Bool

  public init(_ message: String, isOutOfMemory: Bool = false, tellsDivergence: Bool = false) {
    self.message = message
    self.isOutOfMemory = isOutOfMemory
    self.tellsDivergence = tellsDivergence
  }

  public var description: String { message }

  /// The same, told of a node or a file.
  func naming(_ place: String) -> TorchError {
    TorchError("\(place): \(message)", isOutOfMemory: isOutOfMemory, tellsDivergence: tellsDivergence)
  }
}
