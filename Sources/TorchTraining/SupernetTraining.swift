public import NetworkGraphs
public import SearchSpaces

/// One quantised-for-all supernet: sandwich rule and in-place distillation.
///
/// In every step the largest subnet learns from the labels, and the others from the largest's softened answer and, by a
/// share, from the labels too. The gradients of all are added up. Float first, then with every quantiser in place, so
/// that each subnet is an INT8 model as it stands.
public struct SupernetTraining {
  /// How far a subnet's answer is from the largest's.
  public enum Divergence: String, Hashable, Sendable, CaseIterable {
    case kullbackLeibler = "kullback-leibler"
    /// Adaptive: the larger of two (Wang et al., AlphaNet, 2102.07954), for long trainings. Its gradients are larger than
    /// the other's while the largest subnet is still poor, and hold a short training back.
    case alpha
  }

  public struct Settings: Hashable, Sendable {
    /// Subnets drawn at random in every step.
    public var randomSubnets: Int
    /// The sandwich rule has the smallest subnet in every step. On small budgets that favours it above all others, so it
    /// may be left to the draw.
    public var smallestInEveryStep: Bool
    /// For the largest subnet's labels.
    public var labelSmoothing: Double
    /// For the largest subnet: the probability with which each feature that the classifier reads is left out of a step.
    public var dropout: Double
    public var divergence: Divergence
    /// Weight of the labels in the loss of all but the largest subnet; the divergence has the rest. The paper's is 0. A
    /// largest subnet that is itself at its beginning teaches little, which is what some labels make up for.
    public var labelShare: Double

    public init(
      randomSubnets: Int, smallestInEveryStep: Bool, labelSmoothing: Double, dropout: Double = 0,
      divergence: Divergence = .alpha, labelShare: Double = 0
    ) {
      self.randomSubnets = randomSubnets
      self.smallestInEveryStep = smallestInEveryStep
      self.labelSmoothing = labelSmoothing
      self.dropout = dropout
      self.divergence = divergence
      self.labelShare = labelShare
    }
  }

  public let hyperspace: Hyperspace
  public let space: SearchSpace
  public let settings: Settings
  public let seed: UInt64

  public init(hyperspace: Hyperspace, space: SearchSpace, settings: Settings, seed: UInt64) {
    self.hyperspace = hyperspace
    self.space = space
    self.settings = settings
    self.seed = seed
  }

  /// The subnets of a step, largest first: a pure function of seed and step, so that a resumed training draws the same.
  public func subnets(step: Int) -> [Subnet] {
    var generator = SeededGenerator(seed: seed, stream: "supernet-sandwich", step)
    var subnets = [hyperspace.largestSubnet(of: space)]
    if settings.smallestInEveryStep { subnets.append(hyperspace.smallestSubnet(of: space)) }
    for _ in 0..<settings.randomSubnets { subnets.append(hyperspace.randomSubnet(of: space, using: &generator)) }
    return subnets
  }

  /// The graphs of `subnets(step:)`.
  public func graphs(step: Int) throws -> [NetworkGraph] {
    try subnets(step: step).map { try NetworkGraph($0, of: space, in: hyperspace) }
  }

  /// Gradients of one worker's part of a step.
  ///
  /// - Parameters:
  ///   - graphs: Of the step's subnets, largest first.
  ///   - step: With the worker, tells which features are dropped.
  ///   - parameters: In the optimiser's order.
  public func contribution(
    graphs: [NetworkGraph], step: Int, worker: Int, store: ParameterStore, parameters: [Tensor], batch: TrainingBatch,
    precision: Precision
  ) throws -> TrainingLoop.Contribution {
    var sum = GradientSum(count: parameters.count)
    var teacher: Tensor?
    var largestLoss = 0.0
    for graph in graphs {
      let dropout = try teacher == nil ? dropoutMask(graph, images: batch.images.shape[0], step, worker) : nil
      let logits = try store.forward(batch.images, through: graph, precision: precision, dropout: dropout).flattened()
      let loss: Tensor
      if let teacher {
        loss = try distillationLoss(logits, teacher: teacher, labels: batch.labels)
      } else {
        loss = try logits.crossEntropy(labels: batch.labels, smoothing: settings.labelSmoothing)
        largestLoss = try loss.item()
        teacher = try withoutGradients { () throws(TorchError) in try logits.detached().softmax() }
      }
      try sum.add(loss.gradients(of: parameters))
    }
    return .init(gradients: sum, loss: largestLoss)
  }

  /// `[N, C, 1, 1]` of 0 and `1 / (1 - p)`, so that the mean stays; `nil` without dropout.
  public func dropoutMask(_ graph: NetworkGraph, images: Int, _ step: Int, _ worker: Int) throws(TorchError) -> Tensor?
  {
    guard settings.dropout > 0, let features = graph.nodes.last?.inputs.first else { return nil }
    let channels = graph.nodes[features].shape.channels
    var generator = SeededGenerator(seed: seed, stream: "dropout-\(worker)", step)
    let kept = Float(1 / (1 - settings.dropout))
    return try Tensor.floats(
      (0..<images * channels).map { _ in generator.uniform() < settings.dropout ? 0 : kept },
      shape: [images, channels, 1, 1])
  }

  private func distillationLoss(_ logits: Tensor, teacher: Tensor, labels: Tensor) throws(TorchError) -> Tensor {
    let divergence =
      switch settings.divergence {
      case .kullbackLeibler: try logits.divergence(fromProbabilities: teacher)
      case .alpha: try logits.adaptiveAlphaDivergence(fromProbabilities: teacher)
      }
    guard settings.labelShare > 0 else { return divergence }
    return try divergence * (1 - settings.labelShare) + logits.crossEntropy(labels: labels) * settings.labelShare
  }
}
