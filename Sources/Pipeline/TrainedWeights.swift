import Datasets
public import Foundation
import NetworkGraphs
public import Quantization
import RunFolders
public import SearchSpaces
import TorchTraining

/// The weights of a run's checkpoint, for export: of its supernet, or of a model that was trained on its own.
///
/// Batch norm statistics belong to one subnet and are in no checkpoint: they are measured on the run's training images.
public struct TrainedWeights {
  private let checkpoint: URL
  private let file: Safetensors
  private let data: RunData
  private let configuration: RunConfiguration
  public let hyperspace: Hyperspace
  /// What each logit stands for.
  public var classNames: [String] { data.training.classNames }

  /// - Parameter checkpoint: A file in the `checkpoints` folder of a run, which tells data and hyperspace.
  /// - Throws: `RunFolderError` where the file is in no run folder; `SafetensorsError` where it is damaged.
  public init(checkpoint: URL) throws {
    try Torch.setThreads(1)
    self.checkpoint = checkpoint
    file = try Safetensors(contentsOf: checkpoint)
    let folder = checkpoint.deletingLastPathComponent().deletingLastPathComponent()
    let manifest: Manifest
    do { manifest = try RunFolder.manifest(of: folder) } catch {
      throw TrainingError(
        "\(checkpoint.relativePath): a checkpoint must lie in the checkpoints folder of its run, which knows data and "
          + "hyperspace: \(error)")
    }
    configuration = try RunConfiguration(
      yaml: manifest.configuration, file: RunFolderPaths(root: folder).configuration.path(percentEncoded: false))
    hyperspace = try configuration.loadHyperspace(manifest)
    data = try RunData(configuration, hyperspace: hyperspace)
  }

  /// The integers of a subnet.
  ///
  /// - Throws: `TrainingError` where the checkpoint is not of this space, or has no quantisers yet.
  public func integerNetwork(_ subnet: Subnet, of space: SearchSpace) throws -> IntegerNetwork {
    let (graph, store) = try store(subnet, of: space)
    guard try !store.quantizerScales().isEmpty else {
      throw TrainingError(
        "\(checkpoint.relativePath): its quantisers were never set, so it is a checkpoint of the float phase: take the "
          + "-integer one, or --precision float32")
    }
    return try store.integerNetwork(
      graph, statistics: statistics(of: graph, store, .quantized), pixels: data.pixelQuantizer)
  }

  /// The same weights in float.
  public func floatNetwork(_ subnet: Subnet, of space: SearchSpace) throws -> FloatNetwork {
    let (graph, store) = try store(subnet, of: space)
    return try store.floatNetwork(graph, statistics: statistics(of: graph, store, .float), pixels: data.pixelQuantizer)
  }

  private func statistics(
    of graph: NetworkGraph, _ store: ParameterStore, _ precision: Precision
  ) throws -> BatchNormStatistics {
    try SubnetEvaluator(data, images: 10, recalibrationImages: configuration.search.recalibrationImages)
      .statistics(of: graph, store, precision: precision)
  }

  private func store(_ subnet: Subnet, of space: SearchSpace) throws -> (NetworkGraph, ParameterStore) {
    let graph = try NetworkGraph(subnet, of: space, in: hyperspace)
    // A model that was trained on its own has its own shapes; a supernet has the largest of its space.
    for layout in [ParameterLayout([graph]), ParameterLayout(space, in: hyperspace)] {
      guard layout.names.allSatisfy({ file.tensors[$0]?.shape == layout.entries[$0]?.shape }) else { continue }
      let store = try ParameterStore(layout, seed: configuration.seed)
      try restore(layout.names, try store.tensors(layout.names), from: file, prefix: "")
      return (graph, store)
    }
    throw TrainingError(
      "\(checkpoint.path(percentEncoded: false)): its parameters are neither those of a supernet over \(space.encoding) nor "
        + "of this subnet alone; take the checkpoint's own space, which the run's records/design.jsonl names")
  }
}
