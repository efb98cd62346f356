public import NetworkGraphs

/// Training of one fixed network: a teacher, or a subnet of its own after the search.
public struct ClassifierTraining {
  public let graph: NetworkGraph
  public let labelSmoothing: Double
  /// Whether every quantiser is in place.
  public let quantized: Bool

  public init(graph: NetworkGraph, labelSmoothing: Double, quantized: Bool) {
    self.graph = graph
    self.labelSmoothing = labelSmoothing
    self.quantized = quantized
  }

  /// Gradients of one worker's part of a step.
  ///
  /// - Parameters:
  ///   - parameters: In the optimiser's order.
  ///   - teacher: Probabilities `[N, K]` to learn from besides the labels, in equal parts, or `nil`.
  public func contribution(
    store: ParameterStore, parameters: [Tensor], batch: TrainingBatch, teacher: Tensor? = nil
  ) throws -> TrainingLoop.Contribution {
    let logits = try GraphExecutor.logits(graph, store, batch.images, quantized: quantized, batchNorm: .batch)
    var loss = try logits.crossEntropy(labels: batch.labels, smoothing: labelSmoothing)
    if let teacher { loss = try (loss + logits.divergence(fromProbabilities: teacher)) * 0.5 }
    var sum = GradientSum(count: parameters.count)
    try sum.add(loss.gradients(of: parameters))
    return .init(gradients: sum, loss: try loss.item())
  }
}
