import DeviceLatency
import NetworkGraphs
import SearchSpaces

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
}
