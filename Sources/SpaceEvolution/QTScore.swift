public import SearchSpaces

/// A latency that the subnets of a space should keep.
public struct LatencyConstraint: Hashable, Sendable, Codable {
  public var milliseconds: Double
  public init(milliseconds: Double) { self.milliseconds = milliseconds }
}

/// Which rows of the stages' tables make a subnet together.
public enum SubnetRule: String, Hashable, Sendable, Codable, CaseIterable {
  /// One row a stage, each drawn uniformly, whatever width it was sampled with: the authors' rule.
  case independent
  /// A row follows only where its input width is the width that the last row ended in.
  ///
  /// The first stage's row is drawn uniformly; each later one uniformly among the rows of its table that have the right
  /// input width. So a stage's sub-stages have the distribution with which the table was sampled, whatever width they
  /// follow; that one width has more rows than another by chance does not make it more frequent. Where no row follows,
  /// the draw is not completed and counts for nothing: shares are those of the completed draws of a resolution.
  /// Resolutions weigh alike, but for those at which no draw can be completed, which take no part. Behind a stage that is
  /// not searched any row follows, since tables do not say what it hands over.
  case widthConsistent = "width-consistent"
}

/// The constants of the Q-T score.
public struct QTParameters: Hashable, Sendable, Codable {
  /// The share of subnets under the constraint that a good space should have (`t`); less is penalised.
  public var fraction: Double
  /// How strongly it is penalised (`a`).
  public var exponent: Double
  /// The share of all subnets that stands for the best ones (`q`); the paper's 50 of 100,000.
  public var tailFraction: Double

  public init(fraction: Double = 0.08, exponent: Double = 0.01, tailFraction: Double = 50.0 / 100_000) {
    self.fraction = fraction
    self.exponent = exponent
    self.tailFraction = tailFraction
  }

  /// Shares below this are taken for none.
  public static let minimumFraction = 1e-5

  /// Tail losses below this are taken for it, so that every score is finite; real ones are some 10^10 times as large.
  public static let minimumTailLoss = 1e-10

  /// `1 / (max(1, (t / p)^a) L)`, with `p + 1e-5` in place of `p`, and 0 where `p` is under `minimumFraction`.
  public func score(feasibleFraction p: Double, tailLoss: Double) -> Double {
    guard p >= QTParameters.minimumFraction else { return 0 }
    return 1 / (penalty(feasibleFraction: p) * max(tailLoss, QTParameters.minimumTailLoss))
  }

  /// `max(1, (t / p)^a)` with `p + 1e-5` in place of `p`.
  func penalty(feasibleFraction p: Double) -> Double {
    let ratio = fraction / (p + QTParameters.minimumFraction)
    return ratio > 1 ? power(ratio, exponent) : 1
  }
}

/// The Q-T score of a search space: how good its best subnets are, quantised, under latency constraints.
///
/// Larger is better. Equality compares all figures.
public struct QTScore: Hashable, Sendable, Codable {
  /// The figures of one constraint.
  public struct Constraint: Hashable, Sendable, Codable {
    public var latencyMilliseconds: Double
    /// The share of subnets that keep the constraint (`p`).
    public var feasibleFraction: Double
    /// The mean loss of the best subnets that keep the constraint (`L`); 0 where none does.
    public var tailLoss: Double
    public var score: Double

    public init(latencyMilliseconds: Double, feasibleFraction: Double, tailLoss: Double, score: Double) {
      self.latencyMilliseconds = latencyMilliseconds
      self.feasibleFraction = feasibleFraction
      self.tailLoss = tailLoss
      self.score = score
    }
  }

  public var space: SearchSpace
  /// The sum over the constraints.
  public var score: Double
  /// One entry a constraint, in the order in which they were asked for.
  public var constraints: [Constraint]

  public init(space: SearchSpace, score: Double, constraints: [Constraint]) {
    self.space = space
    self.score = score
    self.constraints = constraints
  }
}

/// Why spaces cannot be scored.
public struct ScoreError: Error, Hashable, Sendable, CustomStringConvertible {
  /// What is wrong and what would be right.
  public var message: String
  public init(_ message: String) { self.message = message }
  public var description: String { message }
}

#if canImport(Glibc)
  private import Glibc
#elseif canImport(Darwin)
  private import Darwin
#elseif canImport(Musl)
  private import Musl
#endif

/// Powers, exponentials and so on come from the platform's library; wrapped once, so that no other file imports it.
func power(_ base: Double, _ exponent: Double) -> Double { pow(base, exponent) }
func exponential(_ x: Double) -> Double { exp(x) }
func naturalLogarithm(_ x: Double) -> Double { log(x) }
func cosine(_ x: Double) -> Double { cos(x) }
func sine(_ x: Double) -> Double { sin(x) }
