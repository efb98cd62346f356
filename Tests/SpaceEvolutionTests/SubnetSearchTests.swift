import NetworkGraphs
import SearchSpaces
import SpaceEvolution
import Testing

@Suite struct SubnetSearchTests {
  private let hyperspace: Hyperspace
  private let space: SearchSpace

  init() throws {
    hyperspace = try #require(Hyperspace.builtIn("mini32"))
    space = try hyperspace.space("mini32-0123-0000")
  }

  private func search(_ selection: SubnetSearch.Selection, limit: Double?) -> SubnetSearch {
    SubnetSearch(
      hyperspace: hyperspace, space: space,
      settings: .init(
        selection: selection, population: 16, generations: 8, mutations: 8, crossovers: 8,
        maximumLatencyMilliseconds: limit),
      seed: 5)
  }

  /// Millions of MACs stand for milliseconds.
  private func latency(_ subnet: Subnet) throws -> Double {
    Double(try NetworkGraph(subnet, of: space, in: hyperspace).cost.macs) / 1e6
  }

  /// Kernels and late widths help, and cost; early widths only cost.
  private func accuracy(_ subnet: Subnet) -> Double {
    let blocks = subnet.stages.joined()
    let late = subnet.stages.last!.map(\.width).reduce(0, +)
    return Double(blocks.map(\.kernel).reduce(0, +)) / 100 + Double(late) / 1_000
  }

  private func run(_ search: SubnetSearch) throws -> (first: [Double], all: [SubnetSearch.Candidate]) {
    var first: [Double] = []
    let all = try search.run(latency: latency) { generation, subnets in
      let accuracies = subnets.map(accuracy)
      if generation == 0 { first = accuracies }
      return accuracies
    }
    return (first, all)
  }

  @Test(arguments: SubnetSearch.Selection.allCases)
  func `a search stays under its latency, evaluates nothing twice, and finds better than its first draw`(
    selection: SubnetSearch.Selection
  ) throws {
    let smallest = try latency(hyperspace.smallestSubnet(of: space))
    let limit = 2 * smallest
    let (first, all) = try run(search(selection, limit: limit))
    #expect(all.allSatisfy { $0.objectives.latencyMilliseconds <= limit })
    #expect(Set(all.map(\.subnet)).count == all.count)
    #expect(all.map(\.objectives.accuracy).max()! > first.max()!)
    #expect(try run(search(selection, limit: limit)).all == all, "the same seed, the same search")
  }

  @Test func `selected by accuracy alone, a search comes at least as far under one latency as the search of the front`()
    throws
  {
    let limit = try 2 * latency(hyperspace.smallestSubnet(of: space))
    func best(_ selection: SubnetSearch.Selection) throws -> Double {
      try run(search(selection, limit: limit)).all.map(\.objectives.accuracy).max()!
    }
    #expect(try best(.accuracy) >= best(.front))
  }

  @Test(arguments: SubnetSearch.Selection.allCases)
  func `a latency out of reach is refused with the nearest there is`(selection: SubnetSearch.Selection) throws {
    let fastest = try latency(hyperspace.smallestSubnet(of: space))
    let error = #expect(throws: SubnetSearch.Unreachable.self) { try run(search(selection, limit: fastest / 2)) }
    #expect(error?.fastestMilliseconds == fastest)
    #expect(error.map { "\($0)".contains("\(fastest) ms") } == true)
  }
}

@Suite struct ChoiceTests {
  private func objectives(_ points: [(Double, Double)]) -> [Objectives] {
    points.map { Objectives(latencyMilliseconds: $0.0, accuracy: $0.1) }
  }

  @Test func `a choice over the front has its ends and nothing that is dominated`() {
    let points = objectives([(1, 0.5), (2, 0.6), (3, 0.55), (4, 0.7), (8, 0.8), (16, 0.79)])
    #expect(ParetoFront.spread(points, count: 3) == [0, 1, 4])
    #expect(ParetoFront.spread(points, count: 9) == [0, 1, 3, 4])
    #expect(ParetoFront.spread(points, count: 1) == [4])
  }

  @Test func `a choice over latencies reaches the slowest, dominated or not`() {
    let points = objectives([(16, 0.7), (1, 0.5), (1.1, 0.55), (2, 0.6), (2.1, 0.65), (4, 0.8), (8, 0.6), (15, 0.75)])
    #expect(ParetoFront.overLatencies(points, count: 5) == [1, 4, 5, 6, 7])
    // A latency around which there is nothing has no model.
    #expect(ParetoFront.overLatencies(objectives([(1, 0.5), (100, 0.4)]), count: 4) == [0, 1])
    #expect(ParetoFront.overLatencies(points, count: 1) == [5])
    #expect(ParetoFront.overLatencies(objectives([(1, 0.5), (1, 0.6)]), count: 3) == [1])
    #expect(ParetoFront.overLatencies([], count: 3) == [])
  }

  @Test func `further choices fill the widest gaps, one after another`() {
    let points = objectives([
      (1, 0.5), (2, 0.6), (16, 0.8), (4, 0.7), (5.5, 0.65), (2.1, 0.9), (1.4, 0.55), (16, 0.1), (32, 0.4),
    ])
    // 2 to 16 is widest: of its middle half 4 is the most accurate, 2.1 is more so and close to an end. Then comes 4 to
    // 16, where 5.5 is all there is; the others are as wide as each other. A latency that is chosen is in no gap.
    let all = ParetoFront.inWidestGaps(points, chosen: [0, 1, 2], count: 9)
    #expect(Array(all.prefix(2)) == [3, 4] && Set(all) == [3, 4, 5, 6, 8])
    for count in 0..<all.count {
      #expect(ParetoFront.inWidestGaps(points, chosen: [0, 1, 2], count: count) == Array(all.prefix(count)))
    }
    #expect(ParetoFront.inWidestGaps(points, chosen: [0], count: 1) == [3])
    // Below the fastest chosen too: 1 to 32, then 4 to 32; in the end every latency once.
    let below = ParetoFront.inWidestGaps(points, chosen: [8], count: 9)
    #expect(Array(below.prefix(2)) == [3, 2] && Set(below) == [0, 1, 2, 3, 4, 5, 6])
    #expect(ParetoFront.inWidestGaps([], chosen: [], count: 3) == [])
    #expect(ParetoFront.inWidestGaps(points, chosen: [0, 1, 2], count: -1) == [])
  }
}
