public import NetworkGraphs
public import SearchSpaces

/// Block-wise quantised distillation of one stage with one block type: every sub-stage learns the teacher's map at the
/// stage's end from its map at the stage's beginning, through 1x1 projections that are no part of the network.
///
/// The stage is trained once with all its widths; the tables of its width windows are drawn from the same weights.
public struct BlockDistillation {
  public struct Settings: Hashable, Sendable {
    /// Sub-stages drawn at random in every step, besides the largest.
    public var randomSubstages: Int
    /// As in the paper's sandwich rule. It makes the smallest look better than it is (the default leaves it out).
    public var smallestInEveryStep: Bool

    public init(randomSubstages: Int, smallestInEveryStep: Bool) {
      self.randomSubstages = randomSubstages
      self.smallestInEveryStep = smallestInEveryStep
    }
  }

  /// A sub-stage: the width that the stage before hands over, and the blocks.
  public struct Substage: Hashable, Sendable {
    public var inputWidth: Int
    public var blocks: [BlockChoice]

    public init(inputWidth: Int, blocks: [BlockChoice]) {
      self.inputWidth = inputWidth
      self.blocks = blocks
    }
  }

  /// The stage with all widths of the hyperspace.
  public let stage: StageChoices
  public let inputWidths: [Int]
  /// The teacher's map where the stage begins.
  public let teacherInput: TensorShape
  public let teacherOutputChannels: Int
  public let settings: Settings
  public let seed: UInt64

  public init(
    stage: StageChoices, inputWidths: [Int], teacherInput: TensorShape, teacherOutputChannels: Int,
    settings: Settings, seed: UInt64
  ) {
    self.stage = stage
    self.inputWidths = inputWidths
    self.teacherInput = teacherInput
    self.teacherOutputChannels = teacherOutputChannels
    self.settings = settings
    self.seed = seed
  }

  /// The parameters that the sub-stages share, projections included.
  public var layout: ParameterLayout {
    var layout = ParameterLayout()
    layout.formUnion(graph(Substage(inputWidth: inputWidths.last!, blocks: stage.largestBlocks)))
    layout.formUnion(stage, inputWidths: inputWidths)
    return layout
  }

  /// The student's graph of a sub-stage, projections included.
  public func graph(_ substage: Substage) -> NetworkGraph {
    NetworkGraph(
      distilling: stage.name, stage.blockType, teacherInput: teacherInput, inputWidth: substage.inputWidth,
      blocks: substage.blocks, stride: stage.stride, teacherOutputChannels: teacherOutputChannels)
  }

  /// The sub-stages of a step, the largest first.
  public func substages(step: Int) -> [Substage] {
    var generator = SeededGenerator(seed: seed, stream: "distillation-\(stage.name)", step)
    var substages = [Substage(inputWidth: inputWidths.last!, blocks: stage.largestBlocks)]
    if settings.smallestInEveryStep {
      substages.append(Substage(inputWidth: inputWidths.first!, blocks: stage.smallestBlocks))
    }
    for _ in 0..<settings.randomSubstages {
      substages.append(
        Substage(inputWidth: generator.choose(inputWidths), blocks: stage.randomBlocks(using: &generator)))
    }
    return substages
  }

  /// Gradients of one step.
  ///
  /// - Parameters:
  ///   - substages: Those that are trained; the loss of the first is reported.
  ///   - input: The teacher's maps where the stage begins, `[N, C, H, W]`.
  ///   - target: Where it ends.
  ///   - variance: Of the teacher's channels where it ends, over data and space, `[C]`.
  public func contribution(
    of substages: [Substage], store: ParameterStore, parameters: [Tensor], input: Tensor, target: Tensor,
    variance: Tensor, precision: Precision
  ) throws -> TrainingLoop.Contribution {
    var sum = GradientSum(count: parameters.count)
    var firstLoss = 0.0
    for (index, substage) in substages.enumerated() {
      let output = try store.forward(input, through: graph(substage), precision: precision)
      let loss = try output.noiseToSignalRatio(teacher: target, variance: variance)
      if index == 0 { firstLoss = try loss.item() }
      try sum.add(loss.gradients(of: parameters))
    }
    return .init(gradients: sum, loss: firstLoss)
  }
}
