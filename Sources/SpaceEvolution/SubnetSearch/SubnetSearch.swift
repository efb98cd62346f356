public import SearchSpaces

/// Evolutionary search of a search space's subnets for the whole accuracy-latency front (NSGA-II, Deb et al., 2002, with
/// the paper's mutations and crossovers in place of its single constraint), or for the most accurate subnet under one
/// latency, as in the paper.
///
/// The search is a pure function of its seed and of what `evaluate` returns: a run that was interrupted is repeated with
/// the evaluations that were kept, and goes on where it stopped.
public struct SubnetSearch: Sendable {
  /// Which subnets survive a generation.
  public enum Selection: String, Hashable, Sendable, CaseIterable {
    /// Those that no other dominates in latency and accuracy, spread over the front.
    case front
    /// The most accurate, whatever their latency below the constraint.
    case accuracy
  }

  public struct Settings: Hashable, Sendable {
    public var selection: Selection
    /// Subnets of the first generation, drawn at random, and survivors of each later one.
    public var population: Int
    /// Generations after the first.
    public var generations: Int
    /// New subnets of a generation made by changing choices of a parent at random.
    public var mutations: Int
    /// New subnets of a generation made by taking each stage from one of two parents.
    public var crossovers: Int
    /// The probability with which a mutation redraws each choice.
    public var mutationProbability: Double
    /// Subnets slower than this are not evaluated; `nil` for the whole front.
    public var maximumLatencyMilliseconds: Double?

    public init(
      selection: Selection = .front, population: Int, generations: Int, mutations: Int, crossovers: Int,
      mutationProbability: Double = 0.1, maximumLatencyMilliseconds: Double? = nil
    ) {
      self.selection = selection
      self.population = population
      self.generations = generations
      self.mutations = mutations
      self.crossovers = crossovers
      self.mutationProbability = mutationProbability
      self.maximumLatencyMilliseconds = maximumLatencyMilliseconds
    }
  }

  /// A subnet with what is known of it.
  public struct Candidate: Hashable, Sendable, Codable {
    public var subnet: Subnet
    public var objectives: Objectives

    public init(subnet: Subnet, objectives: Objectives) {
      self.subnet = subnet
      self.objectives = objectives
    }
  }

  /// The constraint is below every subnet that was found.
  public struct Unreachable: Error, Hashable, Sendable, CustomStringConvertible {
    public var maximumLatencyMilliseconds: Double
    public var fastestMilliseconds: Double

    public var description: String {
      "no subnet is as fast as \(maximumLatencyMilliseconds) ms: the fastest of this search space is predicted to take "
        + "\(fastestMilliseconds) ms; ask for at least that, or search another space"
    }
  }

  public var hyperspace: Hyperspace
  public var space: SearchSpace
  public var settings: Settings
  public var seed: UInt64

  public init(hyperspace: Hyperspace, space: SearchSpace, settings: Settings, seed: UInt64) {
    self.hyperspace = hyperspace
    self.space = space
    self.settings = settings
    self.seed = seed
  }

  /// How many attempts a new subnet gets before the generation goes on without it: spaces may be small, and constraints
  /// tight.
  static let attemptsPerSubnet = 100

  /// Runs the search.
  ///
  /// - Parameters:
  ///   - latency: Predicted milliseconds of a subnet.
  ///   - evaluate: Accuracies of subnets that were never evaluated before, in their order.
  /// - Returns: Every candidate evaluated, in order of evaluation; `ParetoFront` picks the front.
  /// - Throws: `Unreachable`, and what `evaluate` throws.
  public func run(
    latency: (Subnet) throws -> Double, evaluate: (_ generation: Int, [Subnet]) throws -> [Double]
  ) throws -> [Candidate] {
    var seen = Set<Subnet>()
    var all: [Candidate] = []
    var population: [Candidate] = []
    for generation in 0...settings.generations {
      var generator = SeededGenerator(seed: seed, stream: "subnet-search", generation)
      var fresh: [(subnet: Subnet, latency: Double)] = []
      func propose(_ count: Int, _ make: (inout SeededGenerator) -> Subnet) throws {
        var attempts = count * Self.attemptsPerSubnet
        var missing = count
        while missing > 0, attempts > 0 {
          attempts -= 1
          let subnet = make(&generator)
          guard !seen.contains(subnet) else { continue }
          let milliseconds = try latency(subnet)
          if let limit = settings.maximumLatencyMilliseconds, milliseconds > limit { continue }
          seen.insert(subnet)
          fresh.append((subnet, milliseconds))
          missing -= 1
        }
      }
      if generation == 0 {
        // The ends of the front are wanted whatever the draw.
        let ends = [hyperspace.smallestSubnet(of: space), hyperspace.largestSubnet(of: space)]
        for end in ends { try propose(1) { _ in end } }
        try propose(max(0, settings.population - fresh.count)) { hyperspace.randomSubnet(of: space, using: &$0) }
        if fresh.isEmpty {
          throw Unreachable(
            maximumLatencyMilliseconds: settings.maximumLatencyMilliseconds ?? 0,
            fastestMilliseconds: try latency(ends[0]))
        }
      } else {
        let parents = Parents(population, settings.selection)
        try propose(settings.mutations) { mutate(parents.tournament(&$0), using: &$0) }
        try propose(settings.crossovers) { cross(parents.tournament(&$0), parents.tournament(&$0), using: &$0) }
      }
      guard !fresh.isEmpty else { break }
      let accuracies = try evaluate(generation, fresh.map(\.subnet))
      let candidates = zip(fresh, accuracies).map {
        Candidate(
          subnet: $0.subnet, objectives: Objectives(latencyMilliseconds: $0.latency, accuracy: $1))
      }
      all += candidates
      population = survivors(population + candidates)
    }
    return all
  }

  private func survivors(_ candidates: [Candidate]) -> [Candidate] {
    let parents = Parents(candidates, settings.selection)
    return candidates.indices.sorted { parents.isBetter($0, $1) }.prefix(settings.population).map { candidates[$0] }
  }

  /// Redraws each choice with the mutation probability, and at least one.
  func mutate(_ parent: Subnet, using generator: inout SeededGenerator) -> Subnet {
    let choices = hyperspace.choices(of: space)
    var child = parent
    repeat {
      func changes() -> Bool { generator.uniform() < settings.mutationProbability }
      if changes() { child.stemWidth = generator.choose(hyperspace.stem.widths) }
      if changes() { child.resolution = generator.choose(hyperspace.resolutions) }
      for (index, stage) in choices.enumerated() {
        if changes() {
          let depth = stage.depths.lowerBound + generator.next(below: stage.depths.count)
          while child.stages[index].count > depth { child.stages[index].removeLast() }
          while child.stages[index].count < depth { child.stages[index].append(stage.randomBlock(using: &generator)) }
        }
        for block in child.stages[index].indices {
          let random = stage.randomBlock(using: &generator)
          if changes() { child.stages[index][block].kernel = random.kernel }
          if changes() { child.stages[index][block].width = random.width }
          if changes() { child.stages[index][block].expansion = random.expansion }
        }
      }
      // A space of one subnet has no other; the caller's bounded attempts end it.
    } while child == parent && generator.next(below: 64) != 0
    return child
  }

  /// Takes each stage, the stem and the resolution from one of two parents.
  func cross(_ a: Subnet, _ b: Subnet, using generator: inout SeededGenerator) -> Subnet {
    var child = a
    func takesSecond() -> Bool { generator.next(below: 2) == 1 }
    if takesSecond() { child.stemWidth = b.stemWidth }
    if takesSecond() { child.resolution = b.resolution }
    for index in child.stages.indices where takesSecond() { child.stages[index] = b.stages[index] }
    return child
  }
}

/// Candidates with their ranks, to choose among.
private struct Parents {
  let candidates: [SubnetSearch.Candidate]
  let ranks: [Int]
  let distances: [Double]

  init(_ candidates: [SubnetSearch.Candidate], _ selection: SubnetSearch.Selection) {
    self.candidates = candidates
    let objectives = candidates.map(\.objectives)
    guard selection == .front else {
      // One rank a place: the most accurate first, of equal ones the faster.
      var ranks = [Int](repeating: 0, count: candidates.count)
      let order = objectives.indices.sorted {
        let (a, b) = (objectives[$0], objectives[$1])
        return (-a.accuracy, a.latencyMilliseconds, $0) < (-b.accuracy, b.latencyMilliseconds, $1)
      }
      for (rank, index) in order.enumerated() { ranks[index] = rank }
      self.ranks = ranks
      distances = [Double](repeating: 0, count: candidates.count)
      return
    }
    ranks = ParetoFront.ranks(objectives)
    distances = ParetoFront.crowdingDistances(objectives, ranks: ranks)
  }

  func isBetter(_ a: Int, _ b: Int) -> Bool {
    if ranks[a] != ranks[b] { return ranks[a] < ranks[b] }
    return distances[a] != distances[b] ? distances[a] > distances[b] : a < b
  }

  func tournament(_ generator: inout SeededGenerator) -> Subnet {
    let (a, b) = (generator.next(below: candidates.count), generator.next(below: candidates.count))
    return candidates[isBetter(a, b) ? a : b].subnet
  }
}
