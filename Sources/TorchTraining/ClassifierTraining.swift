public import NetworkGraphs

/// Training of one fixed network: a teacher, or a subnet of its own after the search.
public struct ClassifierTraining {
  public let graph: NetworkGraph
  public let labelSmoothing: Double
  public let precision: Precision

  public init(graph: NetworkGraph, labelSmoothing: Double, precision: Precision) {
    self.graph = graph
    self.labelSmoothing = labelSmoothing
    self.precision = precision
  }

  /// Gradients of one worker's part of a step.
  ///
  /// - Parameters:
  ///   - parameters: In the optimiser's order.
  ///   - teacher: Probabilities `[N, K]` to learn from besides the labels, in equal parts, or `nil`.
  public func contribution(
    store: ParameterStore, parameters: [Tensor], batch: TrainingBatch, teacher: Tensor? = nil
  ) throws -> TrainingLoop.Contribution {
    let logits = try store.forward(batch.images, through: graph, precision: precision).flattened()
    var loss = try logits.crossEntropy(labels: batch.labels, smoothing: labelSmoothing)
    if let teacher { loss = try (loss + logits.divergence(fromProbabilities: teacher)) * 0.5 }
    var sum = GradientSum(count: parameters.count)
    try sum.add(loss.gradients(of: parameters))
    return .init(gradients: sum, loss: try loss.item())
  }
}
