import Foundation
import NetworkGraphs
import RunFolders
public import SearchSpaces
import SpaceEvolution
import TorchTraining

/// A subnet, which is one with its space only: another space may have one of the same encoding.
struct SubnetOfSpace: Hashable {
  let space: SearchSpace
  let subnet: Subnet
}

/// The losses of a subnet's stages, as the stage tables have them: each stage's blocks in place of the teacher's, as
/// integers, trained a little on their own like a row of the tables.
struct StageLosses {
  private struct Kind: Hashable {
    let stage: Int
    let block: Int
  }

  /// One searched stage with one block type, and what the distillation left of it.
  private struct Stage {
    let training: StageTraining
    let store: ParameterStore
  }

  /// Indices of the stages that have a loss.
  private let searched: [Int]
  private let stages: [Kind: Stage]

  /// Reads the distilled stages of some spaces.
  ///
  /// - Throws: What a teacher's maps or a checkpoint that can't be read throws.
  init(of spaces: Set<SearchSpace>, distillation: DistillationStep, context: RunContext) throws {
    let searched = context.hyperspace.stages.indices.filter { context.hyperspace.stages[$0].isSearched }
    let maps = try distillation.maps()
    let jobs = distillation.jobs()
    var stages: [Kind: Stage] = [:]
    for space in spaces {
      for (index, block) in zip(searched, space.blockTypes) where stages[.init(stage: index, block: block)] == nil {
        let job = jobs.first { $0.stage == index && $0.block == block }!
        let file = distillation.checkpoint(job, .quantized)
        stages[.init(stage: index, block: block)] = Stage(
          training: StageTraining(settings: context.configuration.distillation, maps: maps, job: job),
          store: try ParameterStore(job.distillation.layout, from: Safetensors(contentsOf: file)))
      }
    }
    self.searched = searched
    self.stages = stages
  }

  /// Noise-to-signal ratio of each searched stage's part of a subnet.
  ///
  /// - Parameter space: One of those that the stages were read for.
  func callAsFunction(of subnet: Subnet, in space: SearchSpace) throws -> [Double] {
    try zip(searched, space.blockTypes).map { index, block in
      let stage = stages[Kind(stage: index, block: block)]!
      let inputWidth = index == 0 ? subnet.stemWidth : subnet.stages[index - 1].last!.width
      return try stage.training.tableLoss(
        .init(inputWidth: inputWidth, blocks: subnet.stages[index]), stage.store, precision: .quantized)
    }
  }
}

/// A subnet, judged without training it alone.
public struct RankedSubnet: Codable, Hashable, Sendable {
  /// Records of earlier versions have none: the space found.
  public var space: SearchSpace?
  public var subnet: Subnet
  public var macs: Int
  public var parameters: Int
  public var predictedMilliseconds: Double
  /// Noise-to-signal ratio of each searched stage's part of the subnet, as the stage tables have them.
  public var stageLosses: [Double]
  /// Share of the validation images named right in the supernet, as integers; `nil` outside the space found.
  public var supernetAccuracy: Double?

  init(
    space: SearchSpace, subnet: Subnet, cost: Cost, predictedMilliseconds: Double, stageLosses: [Double],
    supernetAccuracy: Double?
  ) {
    self.space = space
    self.subnet = subnet
    macs = cost.macs
    parameters = cost.parameters
    self.predictedMilliseconds = predictedMilliseconds
    self.stageLosses = stageLosses
    self.supernetAccuracy = supernetAccuracy
  }
}
