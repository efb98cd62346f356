public import Foundation
public import SearchSpaces
import StrictYAML
import TorchTraining

/// What the program knows of itself and its surroundings.
public enum Program {
  public static let version = "0.1.0"
  public static let name = "spaceevo \(version)"

  /// Where set-up put the project's dependencies; the launcher says so.
  public static var root: URL {
    URL(filePath: ProcessInfo.processInfo.environment["SPACEEVO_ROOT"] ?? FileManager.default.currentDirectoryPath)
  }

  /// Where set-up put the data sets.
  public static var dataFolder: URL {
    ProcessInfo.processInfo.environment["SPACEEVO_DATA"].map { URL(filePath: $0) } ?? root.appending(path: ".deps/data")
  }

  /// A built-in hyperspace, or that of a file.
  ///
  /// - Throws: `YAMLError` with the file and line, or a list of the built-in names.
  public static func hyperspace(_ nameOrFile: String) throws -> Hyperspace {
    if let builtIn = Hyperspace.builtIn(nameOrFile) { return builtIn }
    return try Hyperspace(yaml: text(ofFile: nameOrFile, kind: "hyperspace"), file: nameOrFile)
  }

  static func text(ofFile path: String, kind: String) throws -> String {
    let builtIn = kind == "hyperspace" ? "; built-in ones are \(Hyperspace.builtInNames.joined(separator: ", "))" : ""
    guard let data = FileManager.default.contents(atPath: path) else {
      throw YAMLError(file: path, message: "there is no such \(kind) file that can be read\(builtIn)")
    }
    guard let text = String(data: data, encoding: .utf8) else {
      throw YAMLError(file: path, message: "is no UTF-8 text")
    }
    return text
  }
}

extension Program {
  /// The bytes of a file that the user named.
  public static func bytes(ofFile path: String) throws -> [UInt8] {
    guard let data = FileManager.default.contents(atPath: path) else {
      throw TrainingError("\(path): there is no such file that can be read")
    }
    return [UInt8](data)
  }
}
