import SearchSpaces

/// Summaries of numbers, as latency reports need them.
public enum Statistics {
  /// - Precondition: not empty.
  public static func mean(_ values: [Double]) -> Double { values.reduce(0, +) / Double(values.count) }

  /// The value below which a share of the values lies, between neighbours in proportion.
  ///
  /// - Precondition: not empty, and `share` in `0...1`.
  public static func quantile(_ values: [Double], _ share: Double) -> Double {
    let sorted = values.sorted()
    let position = share * Double(sorted.count - 1)
    let below = Int(position)
    let above = min(below + 1, sorted.count - 1)
    return sorted[below] + (position - Double(below)) * (sorted[above] - sorted[below])
  }

  public static func median(_ values: [Double]) -> Double { quantile(values, 0.5) }

  /// Kendall's rank correlation with ties in either list accounted for (tau-b); 0 where one list is constant.
  ///
  /// - Precondition: as many values in each.
  public static func kendallTau(_ a: [Double], _ b: [Double]) -> Double {
    precondition(a.count == b.count, "one value of each a pair")
    var balance = 0
    var untiedA = 0
    var untiedB = 0
    for i in a.indices {
      for j in 0..<i {
        let x = a[i] == a[j] ? 0 : (a[i] > a[j] ? 1 : -1)
        let y = b[i] == b[j] ? 0 : (b[i] > b[j] ? 1 : -1)
        balance += x * y
        untiedA += x * x
        untiedB += y * y
      }
    }
    guard untiedA > 0, untiedB > 0 else { return 0 }
    return Double(balance) / (Double(untiedA) * Double(untiedB)).squareRoot()
  }

  /// Kendall's partial tau: what `a` and `b` agree on beyond what both share with `c`; 0 where `c` explains one of them
  /// wholly.
  ///
  /// - Precondition: as many values in each.
  public static func partialKendallTau(_ a: [Double], _ b: [Double], given c: [Double]) -> Double {
    let (ab, ac, bc) = (kendallTau(a, b), kendallTau(a, c), kendallTau(b, c))
    let rest = (1 - ac * ac) * (1 - bc * bc)
    return rest > 1e-12 ? (ab - ac * bc) / rest.squareRoot() : 0
  }

  /// Where 90 % of Kendall's taus lie when the pairs are drawn again with replacement: a bootstrap of 1,000 draws, always
  /// the same ones.
  ///
  /// - Returns: The lower and the upper end.
  /// - Precondition: as many values in each, and at least one.
  public static func kendallTauInterval(_ a: [Double], _ b: [Double]) -> [Double] {
    precondition(a.count == b.count && !a.isEmpty, "one value of each a pair")
    var generator = SeededGenerator(seed: 0, stream: "kendall-tau-interval")
    let taus = (0..<1_000).map { _ in
      let draw = a.map { _ in generator.next(below: a.count) }
      return kendallTau(draw.map { a[$0] }, draw.map { b[$0] })
    }.sorted()
    return [taus[50], taus[949]]
  }

  /// Spearman's rank correlation, equal values sharing the mean of their ranks; 0 where one list is constant.
  ///
  /// - Precondition: as many values in each.
  public static func spearmanRho(_ a: [Double], _ b: [Double]) -> Double {
    precondition(a.count == b.count, "one value of each a pair")
    func ranks(_ values: [Double]) -> [Double] {
      values.map { value in
        Double(values.count { $0 < value }) + Double(values.count { $0 == value } - 1) / 2
          - Double(values.count - 1) / 2
      }
    }
    let (x, y) = (ranks(a), ranks(b))
    func sum(_ p: [Double], _ q: [Double]) -> Double { zip(p, q).reduce(0) { $0 + $1.0 * $1.1 } }
    let size = (sum(x, x) * sum(y, y)).squareRoot()
    return size > 0 ? sum(x, y) / size : 0
  }
}

/// How predictions meet measurements that the predictor has not seen.
public struct PredictionAccuracy: Hashable, Sendable, Codable {
  public struct Pair: Hashable, Sendable, Codable {
    public var predictedMilliseconds: Double
    public var measuredMilliseconds: Double
    /// The network's space and subnet.
    public var network: String?

    public init(predictedMilliseconds: Double, measuredMilliseconds: Double, network: String? = nil) {
      self.predictedMilliseconds = predictedMilliseconds
      self.measuredMilliseconds = measuredMilliseconds
      self.network = network
    }

    /// `100 |predicted - measured| / measured`.
    public var absolutePercent: Double {
      100 * abs(predictedMilliseconds / measuredMilliseconds - 1)
    }
  }

  public var pairs: [Pair]
  /// Mean, and largest, absolute error in percent of the measured value.
  public var meanPercent: Double
  public var largestPercent: Double
  /// Share of the pairs, from 0 to 1, that are within 5 and within 10 %.
  public var within5Percent: Double
  public var within10Percent: Double
  public var kendallTau: Double

  private enum CodingKeys: CodingKey {
    case pairs, meanPercent, largestPercent, within5Percent, within10Percent, kendallTau
  }

  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    pairs = try container.decode([Pair].self, forKey: .pairs)
    meanPercent = try container.decode(Double.self, forKey: .meanPercent)
    largestPercent = try container.decode(Double.self, forKey: .largestPercent)
    within5Percent = try container.decode(Double.self, forKey: .within5Percent)
    within10Percent = try container.decode(Double.self, forKey: .within10Percent)
    kendallTau = try container.decode(Double.self, forKey: .kendallTau)
    guard !pairs.isEmpty, pairs.allSatisfy({ $0.measuredMilliseconds > 0 }) else {
      throw DecodingError.dataCorruptedError(
        forKey: .pairs, in: container, debugDescription: "accuracy needs a pair, and measured values above 0")
    }
  }

  /// - Precondition: at least one pair, and measured values above 0.
  public init(_ pairs: [Pair]) {
    precondition(!pairs.isEmpty, "accuracy needs a pair")
    let errors = pairs.map(\.absolutePercent)
    let count = Double(pairs.count)
    self.pairs = pairs
    meanPercent = Statistics.mean(errors)
    largestPercent = errors.max()!
    within5Percent = Double(errors.count { $0 <= 5 }) / count
    within10Percent = Double(errors.count { $0 <= 10 }) / count
    kendallTau = Statistics.kendallTau(pairs.map(\.predictedMilliseconds), pairs.map(\.measuredMilliseconds))
  }
}
