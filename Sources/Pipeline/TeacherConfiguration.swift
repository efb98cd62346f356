import StrictYAML

extension RunConfiguration {
  /// The network whose maps the stages learn.
  public struct Teacher: Hashable, Sendable {
    public enum Network: Hashable, Sendable {
      /// One of the hyperspace's own form, trained from nothing: one block type throughout.
      case own(block: String, widths: [Int], depths: [Int])
      /// EfficientNet-Lite0, 1 or 2 with its ImageNet weights.
      case efficientNetLite(Int)
    }

    public var network: Network
    /// Training on the run's images; 0 takes ImageNet weights as they are.
    public var steps: Int
    public var batch: Int
    public var learningRate: Double

    /// - Throws: `YAMLError` with the line of what is wrong.
    init(_ value: YAMLValue) throws(YAMLError) {
      let published = (0...2).map { "efficientnet-lite\($0)" }
      let teacher = try value.mapping(
        keys: ["network", "block", "widths", "depths", "steps", "batch", "learning-rate"])
      let name = try teacher.optional("network")?.choice(["own"] + published) ?? "own"
      if let variant = published.firstIndex(of: name) {
        for key in ["block", "widths", "depths"] {
          if let extra = teacher.optional(key) {
            throw extra.error("\(key) describes a teacher of our own; \(name) has its shape already, so leave it out")
          }
        }
        network = .efficientNetLite(variant)
      } else {
        network = .own(
          block: try teacher.required("block").string(),
          widths: try RunConfiguration.ints(teacher.required("widths"), in: 1...16_384),
          depths: try RunConfiguration.ints(teacher.required("depths"), in: 1...64))
      }
      steps = try teacher.required("steps").int(in: (name == "own" ? 1 : 0)...100_000_000)
      batch = try teacher.required("batch").int(in: 2...65_536)
      learningRate = try teacher.required("learning-rate").double(in: 1e-9...100)
    }

    /// For records and reports.
    var description: String {
      switch network {
      case .own(let block, _, _): "\(block), trained in this run"
      case .efficientNetLite(let variant):
        "EfficientNet-Lite\(variant), ImageNet" + (steps > 0 ? ", fine-tuned in this run" : "")
      }
    }
  }
}
