/// How far two ways to score put spaces in the same order.
public struct RankingAgreement: Hashable, Sendable, Codable {
  /// How many spaces were compared.
  public var spaces: Int
  /// Kendall's tau-b: 1 for the same order, -1 for the opposite one, about 0 for none in common. `nil` where one of the ways
  /// gives all spaces the same score.
  public var kendallTau: Double?
  /// How many of the first tenth of one way (at least one) are in that of the other.
  public var sharedInFirstTenth: Int
  /// How many spaces a tenth is.
  public var firstTenth: Int

  /// Compares scores of the same spaces, one way and the other.
  ///
  /// - Precondition: as many in both, at least two.
  public init(_ a: [Double], _ b: [Double]) {
    precondition(a.count == b.count && a.count >= 2, "two scores each, of two spaces at least")
    spaces = a.count
    var (agreeing, tiedInA, tiedInB) = (0, 0, 0)
    for i in a.indices {
      for j in a.indices where j < i {
        let (signA, signB) = (sign(a[i] - a[j]), sign(b[i] - b[j]))
        agreeing += signA * signB
        if signA == 0 { tiedInA += 1 }
        if signB == 0 { tiedInB += 1 }
      }
    }
    let pairs = a.count * (a.count - 1) / 2
    let scale = (Double(pairs - tiedInA) * Double(pairs - tiedInB)).squareRoot()
    kendallTau = scale > 0 ? Double(agreeing) / scale : nil
    let tenth = max(1, a.count / 10)
    firstTenth = tenth
    func first(_ scores: [Double]) -> Set<Int> {
      Set(scores.indices.sorted { (scores[$1], $0) < (scores[$0], $1) }.prefix(tenth))
    }
    sharedInFirstTenth = first(a).intersection(first(b)).count
  }
}

private func sign(_ x: Double) -> Int { x > 0 ? 1 : x < 0 ? -1 : 0 }
