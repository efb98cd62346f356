import DeviceLatency
import Foundation
import NetworkGraphs
import RunFolders
import SearchSpaces
import SpaceEvolution

extension RunContext {
  /// The graph of a subnet that is known to be one of the space.
  func graph(_ subnet: Subnet, of space: SearchSpace) -> NetworkGraph {
    do {
      return try NetworkGraph(subnet, of: space, in: hyperspace)
    } catch {
      preconditionFailure("a subnet of the space cannot be lowered: \(error)")
    }
  }

  /// Random subnets of random spaces.
  func randomSubnets(_ count: Int, stream: String) -> [(space: SearchSpace, subnet: Subnet)] {
    var generator = SeededGenerator(seed: configuration.seed, stream: stream)
    return (0..<count).map { _ in
      let space = hyperspace.randomSpace(using: &generator)
      return (space, hyperspace.randomSubnet(of: space, using: &generator))
    }
  }

  /// The fastest predicted subnet of the hyperspace: each block type's smallest sub-stages in their narrowest windows,
  /// all combinations of block types tried one stage at a time.
  func fastestMilliseconds(_ predictor: LatencyPredictor) -> Double {
    let stages = hyperspace.searchedStages
    var space = SearchSpace(
      hyperspace: hyperspace.name, blockTypes: stages.map { _ in 0 }, windows: stages.map { _ in 0 })
    func milliseconds(_ space: SearchSpace) -> Double {
      predictor.milliseconds(of: graph(hyperspace.smallestSubnet(of: space), of: space))
    }
    for stage in stages.indices {
      space.blockTypes[stage] =
        hyperspace.blockTypes.indices.min { a, b in
          var (first, second) = (space, space)
          first.blockTypes[stage] = a
          second.blockTypes[stage] = b
          return milliseconds(first) < milliseconds(second)
        } ?? 0
    }
    return milliseconds(space)
  }

  /// Writes a stage table of this run.
  ///
  /// - Parameter stage: Index into `Hyperspace.stages`.
  func writeTable(_ rows: [StageRow], stage: Int, block: Int, window: Int, device: String) throws {
    let searched = hyperspace.stages[..<stage].count { $0.isSearched }
    let key = StageTableKey(stage: searched, block: block, window: window)
    let table = StageTable(
      key: key,
      provenance: StageTableProvenance(
        data: configuration.data.name, teacher: "\(configuration.teacher.block), trained in this run", device: device,
        seed: configuration.seed, isQuantized: true, versions: folder.manifest.libraries), rows: rows)
    try AtomicFile.write(
      Data(table.text(in: hyperspace).utf8),
      to: folder.paths.tables.appending(path: hyperspace.stageTableFileName(key)))
  }
}
