/// Why a runtime could not do what was asked.
///
///     do {
///       let session = try OnnxRuntimeSession(model)
///     } catch {
///       switch error.code {
///       case .libraryMissing, .libraryTooOld: …  // `make setup`
///       case .modelRefused: …  // the message is in the runtime's words
///       case .modelUnsupported, .wrongInput, .unknownDevice, .noTemporaryFolder: …
///       }
///     }
public struct InferenceError: Error, Hashable, Sendable, CustomStringConvertible {
  public enum Code: Hashable, Sendable {
    /// The runtime's library is not there or cannot be loaded.
    case libraryMissing
    /// The library is there, and older than this program needs.
    case libraryTooOld
    /// The runtime refused the model, or failed while running it.
    case modelRefused
    /// The runtime takes the model, but its inputs or outputs are none that this program can fill or read.
    case modelUnsupported
    /// The data do not fit the model.
    case wrongInput
    /// No such device.
    case unknownDevice
    /// A temporary folder could not be made.
    case noTemporaryFolder
  }

  public var code: Code
  public var message: String

  public init(_ code: Code, _ message: String) {
    self.code = code
    self.message = message
  }

  public var description: String { message }

  /// The same of a file: a model's own faults are told with its name.
  public func naming(_ file: String) -> InferenceError {
    switch code {
    case .modelRefused: InferenceError(code, "\(file): the runtime refuses this file, in its own words: \(message)")
    case .modelUnsupported, .wrongInput: InferenceError(code, "\(file): \(message)")
    default: self
    }
  }
}
