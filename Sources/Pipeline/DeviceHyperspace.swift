import InferenceRuntimes
import SearchSpaces

extension Program {
  /// A hyperspace in the form in which a run's device computes its networks: trainer, search and exported files all
  /// follow from it.
  ///
  /// - Throws: What is wrong with the hyperspace's or the device's name or file.
  ///
  /// - Parameter text: That of the hyperspace's file, where it is known; else the file is read.
  static func hyperspace(_ nameOrFile: String, text: String? = nil, for device: String) throws -> Hyperspace {
    let hyperspace = try text.map { text in try Hyperspace(yaml: text, file: nameOrFile) } ?? hyperspace(nameOrFile)
    return hyperspace.computed(in: try Device(device).evaluationRuntime.arithmetic)
  }
}
