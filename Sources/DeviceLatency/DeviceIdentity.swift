/// What a latency belongs to: a runtime on a processor with a number of threads. Results of another identity are never
/// mixed in.
public struct DeviceIdentity: Hashable, Sendable, Codable {
  /// The device's name on the command line, such as `onnxruntime`.
  public var name: String
  /// The runtime's version, such as `1.32.0`.
  public var version: String
  /// The processor's own name.
  public var processor: String
  /// The instruction sets that integer kernels choose by, sorted.
  public var instructionSets: [String]
  public var threads: Int

  public init(name: String, version: String, processor: String, instructionSets: [String], threads: Int) {
    self.name = name
    self.version = version
    self.processor = processor
    self.instructionSets = instructionSets
    self.threads = threads
  }
}

extension DeviceIdentity: CustomStringConvertible {
  public var description: String {
    let sets = instructionSets.isEmpty ? "" : " (\(instructionSets.joined(separator: " ")))"
    return "\(name) \(version), \(processor)\(sets), \(threads) thread\(threads == 1 ? "" : "s")"
  }
}
