import COnnxRuntime
import Foundation

/// ONNX Runtime's library, loaded when it is first needed.
public enum OnnxRuntime {
  /// Where the library is: the environment variable `ONNXRUNTIME_LIBRARY`, else where `make setup` puts it, below
  /// `SPACEEVO_ROOT` or the working directory.
  public static var libraryPath: String {
    LibraryPath.of(variable: "ONNXRUNTIME_LIBRARY", folder: "onnxruntime", name: "libonnxruntime")
  }

  /// Loads the library, once a process.
  ///
  /// - Parameter path: `libraryPath` where `nil`.
  /// - Returns: The version, such as `1.32.0`.
  /// - Throws: `InferenceError` with code `libraryMissing` or `libraryTooOld`.
  @discardableResult
  public static func load(_ path: String? = nil) throws(InferenceError) -> String {
    let path = path ?? libraryPath
    let status = seo_load(path)
    guard status == 0 else {
      var error = failure(status)
      error.message =
        error.code == .libraryMissing
        ? "ONNX Runtime cannot be loaded: \(error.message). `make setup` fetches it; ONNXRUNTIME_LIBRARY names another."
        : "\(error.message). `make setup` fetches one that fits."
      throw error
    }
    return String(cString: seo_version())
  }

  /// The error of a status that is not 0.
  static func failure(_ status: Int32) -> InferenceError {
    let message = String(cString: seo_message())
    let code: InferenceError.Code =
      switch Int(status) {
      case SEO_NO_LIBRARY: .libraryMissing
      case SEO_WRONG_VERSION: .libraryTooOld
      case SEO_UNSUPPORTED: .modelUnsupported
      default: .modelRefused
      }
    return InferenceError(code, message)
  }
}
