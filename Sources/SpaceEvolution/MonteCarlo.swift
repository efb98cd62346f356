public import SearchSpaces

/// The estimate of a Q-T score from random subnets, as the paper computes it.
public struct MonteCarloScore: Hashable, Sendable, Codable {
  /// How far the figures of one constraint may be off by chance: one standard deviation.
  public struct Errors: Hashable, Sendable, Codable {
    public var feasibleFraction: Double
    public var tailLoss: Double
    public var score: Double
  }

  public var estimate: QTScore
  /// One entry a constraint.
  public var standardErrors: [Errors]
  public var samples: Int
}

extension QTScorer {
  /// The paper's estimate: the share of some random subnets under each constraint, and the mean loss of the best of
  /// those (50 of 100,000).
  ///
  /// Each subnet has a resolution, and then one row of each stage's table at that resolution, all drawn uniformly; under
  /// the width-consistent rule a later stage's row among those that may follow, and a draw that cannot be completed is
  /// begun anew.
  ///
  /// Standard errors: of the share, that of a binomial; of the tail loss, that of the mean of `max(0, x - loss)` over
  /// feasible subnets, divided by the tail's mass, `x` being the smallest loss beyond the tail; of the score, from both to
  /// first order, as if they were independent.
  ///
  /// - Parameter samples: At least 1; the paper's 100,000 by default.
  public func monteCarloScore(_ space: SearchSpace, samples: Int = 100_000, seed: UInt64) -> MonteCarloScore {
    precondition(samples >= 1, "an estimate needs at least one sample")
    var feasible = [[Double]](repeating: [], count: constraints.count)
    for subnet in sampledSubnets(of: space, count: samples, seed: seed) {
      for (index, constraint) in constraints.enumerated()
      where subnet.latencyMilliseconds <= latencyLimit(constraint.milliseconds) {
        feasible[index].append(subnet.loss)
      }
    }
    let parts = zip(constraints, feasible).map { estimate($0, losses: $1, samples: samples) }
    return MonteCarloScore(
      estimate: QTScore(
        space: space, score: parts.reduce(0) { $0 + $1.figures.score }, constraints: parts.map(\.figures)),
      standardErrors: parts.map(\.errors), samples: samples)
  }

  private func estimate(
    _ constraint: LatencyConstraint, losses: [Double], samples: Int
  ) -> (figures: QTScore.Constraint, errors: MonteCarloScore.Errors) {
    let count = Double(samples)
    let share = Double(losses.count) / count
    let size = min(losses.count, max(1, Int((parameters.tailFraction * count).rounded())))
    let sorted = losses.sorted()
    let tail = sorted.prefix(size)
    let tailLoss = tail.isEmpty ? 0 : tail.reduce(0, +) / Double(tail.count)
    let score = parameters.score(feasibleFraction: share, tailLoss: tailLoss)
    let shareError = (share * (1 - share) / count).squareRoot()
    let edge = sorted.dropFirst(size).first ?? tail.last ?? 0
    // With all feasible subnets in the tail, its mass is as random as its mean; then it is the error of that mean.
    let isWhole = losses.count <= size
    let hinges = tail.map { isWhole ? $0 - tailLoss : edge - $0 }
    let mean = isWhole ? 0 : hinges.reduce(0, +) / count
    let square = hinges.reduce(0) { $0 + $1 * $1 } / count
    let tailError = tail.isEmpty ? 0 : max(0, square - mean * mean).squareRoot() * count.squareRoot() / Double(size)
    // The score is 1 / (penalty L): relative errors add up, that of the share times the exponent where it is penalised.
    let isPenalised = share + QTParameters.minimumFraction < parameters.fraction
    let ofShare = isPenalised && share > 0 ? parameters.exponent * shareError / share : 0
    let ofTail = tailLoss > 0 ? tailError / tailLoss : 0
    return (
      QTScore.Constraint(
        latencyMilliseconds: constraint.milliseconds, feasibleFraction: share, tailLoss: tailLoss, score: score),
      MonteCarloScore.Errors(
        feasibleFraction: shareError, tailLoss: tailError,
        score: score * (ofShare * ofShare + ofTail * ofTail).squareRoot())
    )
  }
}
