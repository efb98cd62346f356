public import SearchSpaces

/// Aging evolution over search spaces (Real et al., 1802.01548, as the paper uses it): a population of which the oldest
/// dies; in every step the best of a random tournament has two children, one by a mutation of a block type and one by a
/// mutation of a width window.
///
/// A pure function of the seed and the scores: a run that was interrupted is repeated with the scores that were kept, and
/// goes on where it stopped.
public struct AgingEvolution: Sendable {
  public struct Settings: Hashable, Sendable {
    public var population: Int
    public var tournament: Int
    /// How many different spaces are scored in all.
    public var evaluations: Int

    public init(population: Int = 500, tournament: Int = 125, evaluations: Int = 5_000) {
      self.population = population
      self.tournament = tournament
      self.evaluations = evaluations
    }
  }

  public var hyperspace: Hyperspace
  public var settings: Settings
  public var seed: UInt64

  /// - Precondition: population, tournament and evaluations are at least 1, and the tournament is no larger than the
  ///   population.
  public init(hyperspace: Hyperspace, settings: Settings = Settings(), seed: UInt64) {
    precondition(settings.population >= 1 && settings.evaluations >= 1, "an evolution needs a population")
    precondition((1...settings.population).contains(settings.tournament), "a tournament is part of the population")
    self.hyperspace = hyperspace
    self.settings = settings
    self.seed = seed
  }

  /// How many mutations a child gets to be a space that was never scored, before the step goes on without it: a
  /// hyperspace may have fewer spaces than were asked for.
  static let attemptsPerChild = 100

  /// Runs the evolution.
  ///
  /// - Parameter score: Scores of spaces that were never asked for before, in their order: the first population by the
  ///   hundred, later the two children of a step.
  /// - Returns: How many spaces were scored: fewer than asked for where the hyperspace has no more, or where chance
  ///   finds no more.
  /// - Throws: What `score` throws.
  @discardableResult
  public func run(score: ([SearchSpace]) throws -> [Double]) rethrows -> Int {
    var generator = SeededGenerator(seed: seed, stream: "aging-evolution")
    let wanted = min(settings.evaluations, hyperspace.spaceCount)
    var seen = Set<SearchSpace>()
    // Oldest first.
    var population: [(space: SearchSpace, score: Double)] = []

    func fresh(_ make: (inout SeededGenerator) -> SearchSpace) -> SearchSpace? {
      for _ in 0..<Self.attemptsPerChild {
        let space = make(&generator)
        if seen.insert(space).inserted { return space }
      }
      return nil
    }

    while population.count < min(settings.population, wanted) {
      var batch: [SearchSpace] = []
      while batch.count < 100, population.count + batch.count < min(settings.population, wanted) {
        // A small hyperspace may be almost used up: then what is left is hard to hit, and enough.
        guard let space = fresh({ hyperspace.randomSpace(using: &$0) }) else { break }
        batch.append(space)
      }
      if batch.isEmpty { break }
      population += zip(batch, try score(batch)).map { ($0, $1) }
    }

    var idleSteps = 0
    while seen.count < wanted, idleSteps < Self.attemptsPerChild {
      var parent = population[generator.next(below: population.count)]
      for _ in 1..<settings.tournament {
        let rival = population[generator.next(below: population.count)]
        if rival.score > parent.score { parent = rival }
      }
      var children: [SearchSpace] = []
      if let child = fresh({ mutateBlock(parent.space, using: &$0) }) { children.append(child) }
      if seen.count < wanted, let child = fresh({ mutateWindow(parent.space, using: &$0) }) { children.append(child) }
      idleSteps = children.isEmpty ? idleSteps + 1 : 0
      guard !children.isEmpty else { continue }
      population += zip(children, try score(children)).map { ($0, $1) }
      if population.count > settings.population { population.removeFirst(population.count - settings.population) }
    }
    return seen.count
  }

  /// The space with another block type in one random stage; the space itself where there is no other type.
  public func mutateBlock(_ space: SearchSpace, using generator: inout SeededGenerator) -> SearchSpace {
    var child = space
    let stage = generator.next(below: child.blockTypes.count)
    guard hyperspace.blockTypes.count > 1 else { return child }
    let other = generator.next(below: hyperspace.blockTypes.count - 1)
    child.blockTypes[stage] = other >= child.blockTypes[stage] ? other + 1 : other
    return child
  }

  /// The space with another width window in one random stage that has several; the space itself where none has.
  public func mutateWindow(_ space: SearchSpace, using generator: inout SeededGenerator) -> SearchSpace {
    var child = space
    let stages = hyperspace.searchedStages
    let choices = stages.indices.filter { stages[$0].windowCount > 1 }
    guard !choices.isEmpty else { return child }
    let stage = generator.choose(choices)
    let other = generator.next(below: stages[stage].windowCount - 1)
    child.windows[stage] = other >= child.windows[stage] ? other + 1 : other
    return child
  }
}
