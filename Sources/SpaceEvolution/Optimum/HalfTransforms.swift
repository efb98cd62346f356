/// The transforms of all half spaces at one tilt: what stands before a cut between stages, and what stands behind it.
///
/// A pair's `S` is at most `exp(logarithm) * sum over terms of first * second`, a term being a resolution and a state at
/// the cut. All numbers are from 0 to 1: those that underflow were no larger than 1e-37, which a bound makes up for by
/// adding 1e-30.
struct HalfTransforms: Sendable {
  let terms: Int
  /// Half by half, one number a term.
  let first: [Float]
  /// Term by term, eight halves an item; 0 behind the last half.
  let second: [SIMD8<Float>]
  let logarithm: Double

  init(_ tilt: Tilt, _ constraint: BoundedConstraint, halves: HalfSpaces, rows: RowStore) {
    let states = rows.stateCounts[halves.cut]
    terms = rows.resolutionCount * states
    var first = [Double](repeating: 0, count: halves.firstCount * terms)
    var second = [Double](repeating: 0, count: halves.secondCount * terms)
    let base = (0..<rows.stageCount).reduce(0) { $0 + rows.smallestLoss(stage: $1) }
    let shifts = constraint.limits.enumerated().map { resolution, limit in
      limit.map { tilt.latency * ($0 - rows.smallestLatency(resolution: resolution)) }
    }
    let largestShift = shifts.compactMap(\.self).max() ?? 0
    for (resolution, shift) in shifts.enumerated() {
      guard let shift else { continue }
      let moments = Moments(tilt, resolution: resolution, halves: halves, rows: rows)
      let factor = exponential(shift - largestShift)
      for state in 0..<states {
        let term = resolution * states + state
        for half in 0..<halves.firstCount { first[half * terms + term] = moments.first[half * states + state] * factor }
        for half in 0..<halves.secondCount { second[half * terms + term] = moments.second[half * states + state] }
      }
    }
    let firstScale = max(first.max() ?? 0, 1e-250)
    let secondScale = max(second.max() ?? 0, 1e-250)
    self.first = first.map { Float($0 / firstScale) }
    let blocks = halves.secondBlocks
    var packed = [SIMD8<Float>](repeating: .zero, count: blocks * terms)
    for half in 0..<halves.secondCount {
      for term in 0..<terms {
        packed[term * blocks + half / 8][half % 8] = Float(second[half * terms + term] / secondScale)
      }
    }
    self.second = packed
    logarithm =
      naturalLogarithm(constraint.mixture) + largestShift - tilt.loss * base + naturalLogarithm(firstScale)
      + naturalLogarithm(secondScale)
  }
}

/// The stages before a cut and those behind it, and the numbers of their halves.
///
/// A half's number has one digit a stage, the last stage's being the lowest: the place of the table among its stage's.
struct HalfSpaces: Sendable {
  let cut: Int
  /// How many tables each stage has.
  let tableCounts: [Int]
  let firstCount: Int
  let secondCount: Int
  /// Second halves in groups of eight, the last one filled up.
  var secondBlocks: Int { (secondCount + 7) / 8 }

  /// Halves of as equal a number as can be.
  init(_ rows: RowStore) {
    let counts = (0..<rows.stageCount).map { rows.tables(ofStage: $0).count }
    func product(_ range: Range<Int>) -> Int { counts[range].reduce(1, *) }
    tableCounts = counts
    cut = (1...counts.count).min {
      product(0..<$0) + product($0..<counts.count) < product(0..<$1) + product($1..<counts.count)
    }!
    firstCount = product(0..<cut)
    secondCount = product(cut..<counts.count)
  }

  /// The tables of a pair, as indices into `RowStore.tables`.
  func keys(first: Int, second: Int, rows: RowStore) -> [Int] {
    digits(first, of: 0..<cut, rows: rows) + digits(second, of: cut..<tableCounts.count, rows: rows)
  }

  private func digits(_ half: Int, of stages: Range<Int>, rows: RowStore) -> [Int] {
    var rest = half
    var keys: [Int] = []
    for stage in stages.reversed() {
      keys.append(rows.stageStarts[stage] + rest % tableCounts[stage])
      rest /= tableCounts[stage]
    }
    return keys.reversed()
  }
}

/// The transforms of all halves at one resolution, state by state of the cut.
private struct Moments {
  /// Half by half, one number a state at the cut.
  var first: [Double]
  var second: [Double]

  init(_ tilt: Tilt, resolution: Int, halves: HalfSpaces, rows: RowStore) {
    // By stage and table: a matrix, states before x states behind; and the same without a tilt, for what is completed.
    func matrices(_ tilt: Tilt) -> [[[Double]]] {
      (0..<rows.stageCount).map { stage in
        let smallest = rows.smallestLoss(stage: stage)
        let columns = rows.stateCounts[stage + 1]
        return rows.tables(ofStage: stage).map { table in
          var matrix = [Double](repeating: 0, count: rows.stateCounts[stage] * columns)
          for transition in table.transitions[resolution] {
            matrix[transition.from * columns + transition.to] = rows.moment(
              transition, stage: stage, resolution: resolution, smallestLoss: smallest, tilt)
          }
          return matrix
        }
      }
    }
    let tilted = matrices(tilt)
    first = Moments.fromStart(tilted, halves, rows)
    second = Moments.toEnd(tilted, halves, rows)
    guard !rows.isComplete else { return }
    // A mean over completed draws is a mean over the states at the cut of the means through each; it is at most their sum.
    let plain = matrices(Tilt(loss: 0, latency: 0))
    func divide(_ a: [Double], by b: [Double]) -> [Double] { zip(a, b).map { $1 > 0 ? $0 / $1 : 0 } }
    first = divide(first, by: Moments.fromStart(plain, halves, rows))
    second = divide(second, by: Moments.toEnd(plain, halves, rows))
  }

  private static func fromStart(_ matrices: [[[Double]]], _ halves: HalfSpaces, _ rows: RowStore) -> [Double] {
    var vectors = [1.0]
    for stage in 0..<halves.cut {
      let (before, behind) = (rows.stateCounts[stage], rows.stateCounts[stage + 1])
      var next: [Double] = []
      next.reserveCapacity(vectors.count / before * matrices[stage].count * behind)
      for start in stride(from: 0, to: vectors.count, by: before) {
        for matrix in matrices[stage] {
          for to in 0..<behind {
            next.append((0..<before).reduce(0) { $0 + vectors[start + $1] * matrix[$1 * behind + to] })
          }
        }
      }
      vectors = next
    }
    return vectors
  }

  private static func toEnd(_ matrices: [[[Double]]], _ halves: HalfSpaces, _ rows: RowStore) -> [Double] {
    var vectors = [1.0]
    for stage in (halves.cut..<rows.stageCount).reversed() {
      let (before, behind) = (rows.stateCounts[stage], rows.stateCounts[stage + 1])
      var next: [Double] = []
      next.reserveCapacity(vectors.count / behind * matrices[stage].count * before)
      for matrix in matrices[stage] {
        for start in stride(from: 0, to: vectors.count, by: behind) {
          for from in 0..<before {
            next.append((0..<behind).reduce(0) { $0 + matrix[from * behind + $1] * vectors[start + $1] })
          }
        }
      }
      vectors = next
    }
    return vectors
  }
}
