internal import CTorch

/// How one parameter is trained.
public struct ParameterSettings: Hashable, Sendable {
  /// Multiplies the step's learning rate.
  public var learningRateFactor: Double
  /// Share of the parameter that is taken off per unit of learning rate; 0 for biases, batch normalisation and scales.
  public var weightDecay: Double

  public init(learningRateFactor: Double = 1, weightDecay: Double = 0) {
    self.learningRateFactor = learningRateFactor
    self.weightDecay = weightDecay
  }
}

/// What one step of an optimiser did.
public struct StepReport: Hashable, Sendable {
  /// Joint Euclidean norm of all gradients before clipping.
  public let gradientNorm: Double
  /// False if the norm was not finite: then nothing was changed.
  public let isApplied: Bool
}

/// Stochastic gradient descent with momentum.
///
/// With gradient `g`, already clipped, and `d = g + decay * p`: `v = momentum * v + d`; `p -= rate * v`, or in Nesterov's
/// form `p -= rate * (d + momentum * v)`. A parameter without a gradient is left alone altogether.
public final class SGD {
  public let parameters: [Tensor]
  public let settings: [ParameterSettings]
  /// `v` of each parameter; part of a checkpoint.
  public let velocities: [Tensor]
  public let momentum: Double
  public let isNesterov: Bool

  public init(
    _ parameters: [Tensor], settings: [ParameterSettings], momentum: Double = 0.9, nesterov: Bool = true
  ) throws(TorchError) {
    try requireOneSettingEach(parameters, settings)
    self.parameters = parameters
    self.settings = settings
    self.momentum = momentum
    self.isNesterov = nesterov
    self.velocities = try zeros(like: parameters)
  }

  /// One step. `gradients` in the order of ``parameters``; with `maximumNorm` they are scaled down to that joint norm.
  @discardableResult
  public func step(
    gradients: [Tensor?], learningRate: Double, maximumNorm: Double? = nil
  ) throws(TorchError) -> StepReport {
    try requireOneGradientEach(parameters, gradients)
    var norm = 0.0
    var applied: Int32 = 0
    let status = ct_sgd_step(
      parameters.map { $0.handle }, gradients.map { $0?.handle }, velocities.map { $0.handle },
      settings.map { $0.learningRateFactor * learningRate }, settings.map(\.weightDecay), Int32(parameters.count),
      momentum, isNesterov ? 1 : 0, maximumNorm ?? 0, &norm, &applied)
    withExtendedLifetime(gradients) {}
    try check(status)
    return StepReport(gradientNorm: norm, isApplied: applied != 0)
  }
}

/// Adam with decoupled weight decay (Kingma and Ba, arXiv 1412.6980; Loshchilov and Hutter, arXiv 1711.05101).
///
/// With gradient `g`: `m = b1 m + (1 - b1) g`; `v = b2 v + (1 - b2) g^2`;
/// `p -= rate * (decay p + m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + epsilon))`, `t` counting the steps of this parameter.
/// A parameter without a gradient is left alone altogether.
public final class AdamW {
  public let parameters: [Tensor]
  public let settings: [ParameterSettings]
  /// `m` and `v` of each parameter, and `t`; part of a checkpoint.
  public let firstMoments: [Tensor]
  public let secondMoments: [Tensor]
  public var stepCounts: [Int] {
    get { steps.map { Int($0) } }
    set { steps = newValue.map { Int64($0) } }
  }
  public let beta1: Double
  public let beta2: Double
  public let epsilon: Double
  private var steps: [Int64]

  public init(
    _ parameters: [Tensor], settings: [ParameterSettings], beta1: Double = 0.9, beta2: Double = 0.999,
    epsilon: Double = 1e-8
  ) throws(TorchError) {
    try requireOneSettingEach(parameters, settings)
    self.parameters = parameters
    self.settings = settings
    self.beta1 = beta1
    self.beta2 = beta2
    self.epsilon = epsilon
    self.firstMoments = try zeros(like: parameters)
    self.secondMoments = try zeros(like: parameters)
    self.steps = [Int64](repeating: 0, count: parameters.count)
  }

  /// One step. `gradients` in the order of ``parameters``; with `maximumNorm` they are scaled down to that joint norm.
  @discardableResult
  public func step(
    gradients: [Tensor?], learningRate: Double, maximumNorm: Double? = nil
  ) throws(TorchError) -> StepReport {
    try requireOneGradientEach(parameters, gradients)
    guard steps.count == parameters.count else {
      throw TorchError("\(parameters.count) parameters need as many step counts, not \(steps.count)")
    }
    var norm = 0.0
    var applied: Int32 = 0
    let status = ct_adam_step(
      parameters.map { $0.handle }, gradients.map { $0?.handle }, firstMoments.map { $0.handle },
      secondMoments.map { $0.handle }, &steps, settings.map { $0.learningRateFactor * learningRate },
      settings.map(\.weightDecay), Int32(parameters.count), beta1, beta2, epsilon, maximumNorm ?? 0, &norm, &applied)
    withExtendedLifetime(gradients) {}
    try check(status)
    return StepReport(gradientNorm: norm, isApplied: applied != 0)
  }
}

private func zeros(like parameters: [Tensor]) throws(TorchError) -> [Tensor] {
  var result: [Tensor] = []
  for parameter in parameters { result.append(try parameter.zerosOfSameShape()) }
  return result
}

private func requireOneSettingEach(
  _ parameters: [Tensor], _ settings: [ParameterSettings]
) throws(TorchError) {
  guard parameters.count == settings.count else {
    throw TorchError("\(parameters.count) parameters need as many settings, not \(settings.count)")
  }
}

private func requireOneGradientEach(_ parameters: [Tensor], _ gradients: [Tensor?]) throws(TorchError) {
  guard parameters.count == gradients.count else {
    throw TorchError("\(parameters.count) parameters need as many gradients (nil for none), not \(gradients.count)")
  }
}
