/// Two things wanted at once: little latency, much accuracy.
public struct Objectives: Hashable, Sendable, Codable {
  public var latencyMilliseconds: Double
  /// A share, 0...1.
  public var accuracy: Double

  public init(latencyMilliseconds: Double, accuracy: Double) {
    self.latencyMilliseconds = latencyMilliseconds
    self.accuracy = accuracy
  }

  /// At least as good in both, and better in one.
  public func dominates(_ other: Objectives) -> Bool {
    latencyMilliseconds <= other.latencyMilliseconds && accuracy >= other.accuracy
      && (latencyMilliseconds < other.latencyMilliseconds || accuracy > other.accuracy)
  }
}

/// Non-dominated sorting and crowding (Deb et al., NSGA-II, 2002) for two objectives.
public enum ParetoFront {
  /// The indices that no other dominates, by ascending latency. Of equal objectives the first index stays.
  public static func indices(_ objectives: [Objectives]) -> [Int] {
    // By latency, then by falling accuracy: a point is on the front exactly if it is more accurate than all before.
    let order = objectives.indices.sorted {
      let (a, b) = (objectives[$0], objectives[$1])
      if a.latencyMilliseconds != b.latencyMilliseconds { return a.latencyMilliseconds < b.latencyMilliseconds }
      return a.accuracy != b.accuracy ? a.accuracy > b.accuracy : $0 < $1
    }
    var front: [Int] = []
    for index in order where front.isEmpty || objectives[index].accuracy > objectives[front.last!].accuracy {
      front.append(index)
    }
    return front
  }

  /// The rank of each point: 0 on the front, 1 on the front of what remains, and so on.
  public static func ranks(_ objectives: [Objectives]) -> [Int] {
    var ranks = [Int](repeating: -1, count: objectives.count)
    var remaining = Array(objectives.indices)
    var rank = 0
    while !remaining.isEmpty {
      let front = Set(indices(remaining.map { objectives[$0] }).map { remaining[$0] })
      for index in front { ranks[index] = rank }
      remaining.removeAll { front.contains($0) }
      rank += 1
    }
    return ranks
  }

  /// How alone each point stands among those of its rank; the ends of a front are infinitely so.
  public static func crowdingDistances(_ objectives: [Objectives], ranks: [Int]) -> [Double] {
    var distances = [Double](repeating: 0, count: objectives.count)
    for rank in Set(ranks) {
      let front = objectives.indices.filter { ranks[$0] == rank }
      for value in [\Objectives.latencyMilliseconds, \Objectives.accuracy] {
        let order = front.sorted { (objectives[$0][keyPath: value], $0) < (objectives[$1][keyPath: value], $1) }
        let span = objectives[order.last!][keyPath: value] - objectives[order.first!][keyPath: value]
        distances[order.first!] = .infinity
        distances[order.last!] = .infinity
        guard span > 0, order.count > 2 else { continue }
        for position in 1..<order.count - 1 {
          let gap =
            objectives[order[position + 1]][keyPath: value] - objectives[order[position - 1]][keyPath: value]
          distances[order[position]] += gap / span
        }
      }
    }
    return distances
  }

  /// Up to `count` indices of the front, its ends included, spread evenly over the logarithm of the latency.
  public static func spread(_ objectives: [Objectives], count: Int) -> [Int] {
    let front = indices(objectives)
    guard front.count > count, count > 1 else { return count == 1 ? Array(front.suffix(1)) : front }
    func position(_ index: Int) -> Double { objectives[index].latencyPosition }
    let (first, last) = (position(front.first!), position(front.last!))
    var chosen = [0]
    for slot in 1..<count {
      let target = first + (last - first) * Double(slot) / Double(count - 1)
      // Leave one candidate for every slot that is still to be filled.
      let candidates = chosen.last! + 1...front.count - (count - slot)
      chosen.append(candidates.min { abs(position(front[$0]) - target) < abs(position(front[$1]) - target) }!)
    }
    return chosen.map { front[$0] }
  }

  /// Up to `count` indices over all latencies, fastest first: the fastest point, and the most accurate around each of the
  /// latencies that divide the whole range evenly on a logarithmic scale.
  ///
  /// Such a point need not be on the front. In a supernet that was trained for a short time large subnets are behind small
  /// ones, and it is the large ones that gain most when each is trained on its own.
  public static func overLatencies(_ objectives: [Objectives], count: Int) -> [Int] {
    let front = indices(objectives)
    guard count > 1, let fastest = front.first else { return Array(front.suffix(count)) }
    let first = objectives[fastest].latencyPosition
    let width = (objectives.map(\.latencyPosition).max()! - first) / Double(count - 1)
    guard width > 0 else { return [fastest] }
    var chosen = [Int?](repeating: nil, count: count)
    for (index, point) in objectives.enumerated() {
      let slot = Int(((point.latencyPosition - first) / width).rounded())
      if let best = chosen[slot], objectives[best].accuracy >= point.accuracy { continue }
      chosen[slot] = index
    }
    chosen[0] = fastest
    return chosen.compactMap(\.self)
  }

  /// Up to `count` further indices, in the order in which they are chosen: each the most accurate point about the middle of
  /// the widest gap of latency, on a logarithmic scale, that those chosen before it leave. What is faster than all of them
  /// is a gap too, and what is slower.
  ///
  /// - Returns: The first of a larger number of them; fewer where no gap has a point left.
  public static func inWidestGaps(_ objectives: [Objectives], chosen: [Int], count: Int) -> [Int] {
    func best(from: Double, to: Double) -> Int? {
      objectives.indices.filter { from < objectives[$0].latencyPosition && objectives[$0].latencyPosition < to }
        .max { objectives[$0].accuracy < objectives[$1].accuracy }
    }
    // At its middle half first: a point close to one end leaves the gap nearly as wide as it was.
    func best(in gap: (from: Double, to: Double)) -> Int? {
      let quarter = (gap.to - gap.from) / 4
      return best(from: gap.from + quarter, to: gap.to - quarter) ?? best(from: gap.from, to: gap.to)
    }
    let all = objectives.map(\.latencyPosition)
    guard let fastest = all.min(), let slowest = all.max() else { return [] }
    var positions = chosen.map { objectives[$0].latencyPosition }.sorted()
    var further: [Int] = []
    while further.count < count, let first = positions.first, let last = positions.last {
      var gaps = zip(positions, positions.dropFirst()).map { (from: $0, to: $1) }
      // The fastest and the slowest point themselves are in them.
      if fastest < first { gaps.append((fastest.nextDown, first)) }
      if slowest > last { gaps.append((last, slowest.nextUp)) }
      gaps.sort { $0.to - $0.from > $1.to - $1.from }
      guard let point = gaps.lazy.compactMap(best(in:)).first else { break }
      further.append(point)
      positions = (positions + [objectives[point].latencyPosition]).sorted()
    }
    return further
  }
}

extension Objectives {
  /// On a logarithmic scale. A latency may be 0 in a test or on a device without a clock worth the name.
  fileprivate var latencyPosition: Double { log(max(latencyMilliseconds, 1e-9)) }
}

#if canImport(Glibc)
  private import Glibc
#elseif canImport(Darwin)
  private import Darwin
#elseif canImport(Musl)
  private import Musl
#endif
