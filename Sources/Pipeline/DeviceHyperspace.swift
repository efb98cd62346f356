import InferenceRuntimes
import SearchSpaces

extension Program {
  /// A hyperspace in the form in which a run's device computes its networks: trainer, search and exported files all
  /// follow from it.
  ///
  /// - Throws: What is wrong with the hyperspace's or the device's name or file.
  static func hyperspace(_ nameOrFile: String, for device: String) throws -> Hyperspace {
    try hyperspace(nameOrFile).computed(in: try Device(device).evaluationRuntime.arithmetic)
  }
}
