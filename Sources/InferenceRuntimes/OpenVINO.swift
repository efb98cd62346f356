import COpenVINO
import Foundation

/// OpenVINO's C library, loaded when it is first needed.
public enum OpenVINO {
  /// Where the library is: the environment variable `OPENVINO_LIBRARY`, else where `make setup` puts it, below
  /// `SPACEEVO_ROOT` or the working directory.
  public static var libraryPath: String {
    LibraryPath.of(variable: "OPENVINO_LIBRARY", folder: "openvino", name: "libopenvino_c")
  }

  /// Loads the library, once a process.
  ///
  /// - Parameter path: `libraryPath` where `nil`.
  /// - Returns: The version, such as `2026.4.1`.
  /// - Throws: `InferenceError` with code `libraryMissing` or `libraryTooOld`.
  @discardableResult
  public static func load(_ path: String? = nil) throws(InferenceError) -> String {
    let status = sov_load(path ?? libraryPath)
    guard status == 0 else {
      var error = failure(status)
      error.message =
        error.code == .libraryMissing
        ? "OpenVINO cannot be loaded: \(error.message). `make setup` fetches it; OPENVINO_LIBRARY names another."
        : "\(error.message). `make setup` fetches one that fits."
      throw error
    }
    return String(cString: sov_version())
  }

  /// The error of a status that is not 0.
  static func failure(_ status: Int32) -> InferenceError {
    let message = String(cString: sov_message()).trimmingCharacters(in: .whitespacesAndNewlines)
    let code: InferenceError.Code =
      switch Int(status) {
      case SOV_NO_LIBRARY: .libraryMissing
      case SOV_WRONG_VERSION: .libraryTooOld
      case SOV_UNSUPPORTED: .modelUnsupported
      default: .modelRefused
      }
    return InferenceError(code, message)
  }
}

/// Where a runtime's library is.
enum LibraryPath {
  static func of(variable: String, folder: String, name: String) -> String {
    let environment = ProcessInfo.processInfo.environment
    if let path = environment[variable], !path.isEmpty { return path }
    let root = environment["SPACEEVO_ROOT"] ?? FileManager.default.currentDirectoryPath
    #if os(macOS)
      let suffix = "dylib"
    #else
      let suffix = "so"
    #endif
    return "\(root)/.deps/\(folder)/lib/\(name).\(suffix)"
  }
}
