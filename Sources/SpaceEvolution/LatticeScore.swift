/// Share and tail loss of a space by sums on a lattice: for distributions that have steps, which spectra do not resolve, and
/// too many rows to enumerate. It takes seconds.
///
/// - **Share**: the distribution of the latency alone, stage by stage, on cells of 1e-4 ms. Latencies that are multiples of
///   that, as published ones are, are exact there. Others go to the nearest of 2^20 cells, and a sum counts as under the limit
///   up to the most that rounding can have added.
/// - **Tail loss**, where the share is no more than the tail: the mean loss of all that is under the limit, from the same cells.
/// - Else from the joint distribution of both halves of the space on a coarser lattice. Where all differences of losses are
///   multiples of a number that is not too small, its cells are of that size and exact. Otherwise a loss is split between the
///   two cells beside it so that its mean stays, which adds next to nothing to `max(0, x - loss)`, and the range of the losses
///   is narrowed until the cells are fine. A latency goes to the nearest cell, and the limit between cells to where the share
///   is the exact one.
struct LatticeScore {
  let keys: [Int]
  let rows: RowStore
  /// By resolution, in milliseconds.
  let limits: [Double]
  let tailFraction: Double

  func shareAndTail() -> ShareAndTail {
    let mixture = rows.mixture(keys)
    let resolutions = mixture.indices.filter { mixture[$0] > 0 }
    let lattices = resolutions.map { LatencyLattice(keys, rows: rows, resolution: $0, limit: limits[$0]) }
    let share = zip(resolutions, lattices).reduce(0) { $0 + mixture[$1.0] * $1.1.share }
    guard share > 1e-9 else { return ShareAndTail(share: share, tailLoss: 0, shareError: 1e-6, tailError: 0) }
    guard share > tailFraction * (1 + 1e-9) else {
      let mean = zip(resolutions, lattices).reduce(0) { $0 + mixture[$1.0] * $1.1.shareLoss } / share
      return ShareAndTail(share: share, tailLoss: mean, shareError: 1e-6, tailError: 1e-6 * mean)
    }
    let base = keys.reduce(0) { $0 + rows.tables[$1].smallestLoss }
    let tail = tailAbove(base, resolutions: zip(resolutions, lattices).map { ($0, mixture[$0], $1.share) })
    return ShareAndTail(share: share, tailLoss: base + tail, shareError: 1e-6, tailError: 5e-5 * (base + tail))
  }

  /// The tail loss less the smallest possible one.
  private func tailAbove(_ base: Double, resolutions: [(index: Int, weight: Double, share: Double)]) -> Double {
    var range = keys.reduce(-base) { sum, key in
      sum + rows.tables[key].resolutions.lazy.compactMap { $0.losses.max() }.max()!
    }
    range = max(range * (1 + 1e-9), 1e-9)
    let unit = greatestCommonLoss()
    var tail = (offset: 0.0, edge: range)
    // Each pass leaves the part of the range that the tail is in, until that is most of it.
    for _ in 0..<6 {
      let shape = LatticeShape(lossRange: range, unit: unit)
      let parts = resolutions.filter { $0.share > 0 }.flatMap { resolution in
        JointLattice.pairs(
          keys, rows: rows, resolution: resolution.index, limit: limits[resolution.index], share: resolution.share,
          weight: resolution.weight, shape: shape)
      }
      tail = LatticeScore.tail(of: parts, mass: tailFraction, shape: shape)
      let narrower = tail.edge + 4 * shape.lossCell
      if narrower > 0.7 * range || shape.isExact { break }
      range = narrower
    }
    return tail.offset
  }

  /// The largest number of which all differences of losses within a table are multiples, if losses have four decimals.
  private func greatestCommonLoss() -> Double? {
    var common = 0
    for key in keys {
      let table = rows.tables[key]
      for loss in table.resolutions.lazy.flatMap(\.losses) {
        let units = (loss - table.smallestLoss) * 1e4
        guard abs(units - units.rounded()) < 1e-6, units < 1e9 else { return nil }
        var (a, b) = (common, Int(units.rounded()))
        while b != 0 { (a, b) = (b, a % b) }
        common = a
      }
    }
    return common > 0 ? Double(common) / 1e4 : nil
  }

  /// The largest `x - H(x) / m` over the cells, which is at a cell since `H` is straight between two.
  private static func tail(
    of parts: [JointLattice], mass: Double, shape: LatticeShape
  ) -> (offset: Double, edge: Double) {
    let cell = shape.lossCell
    func value(_ index: Int) -> Double {
      cell * Double(index) - parts.reduce(0) { $0 + $1.hinge(at: index) } * cell / mass
    }
    var low = 0
    var high = shape.lossCells - 1
    while low < high {
      let middle = (low + high) / 2
      if value(middle + 1) > value(middle) { low = middle + 1 } else { high = middle }
    }
    return (value(low), cell * Double(low))
  }
}

/// How many cells a joint distribution has, and how large they are.
private struct LatticeShape {
  let latencyCells: Int
  let lossCells: Int
  let lossCell: Double
  /// Whether every loss is a cell's.
  let isExact: Bool

  /// About two million cells in all.
  init(lossRange: Double, unit: Double?) {
    if let unit, lossRange / unit < 8_000 {
      lossCell = unit
      lossCells = Int((lossRange / unit).rounded(.up)) + 2
      latencyCells = min(4_096, 2_097_152 / lossCells)
      isExact = true
    } else {
      lossCells = 1_024
      latencyCells = 2_048
      lossCell = lossRange / 1_023
      isExact = false
    }
  }
}

/// The distribution of the latency of a space at one resolution.
private struct LatencyLattice {
  /// How much of it is at most the limit, of all draws.
  let share: Double
  /// `E loss` of that part.
  let shareLoss: Double

  init(_ keys: [Int], rows: RowStore, resolution: Int, limit: Double) {
    let origins = keys.map { rows.tables[$0].resolutions[resolution].latencies.first! }
    let room = latencyLimit(limit) - origins.reduce(0, +)
    guard room >= 0 else {
      (share, shareLoss) = (0, 0)
      return
    }
    let range = keys.reduce(0) { $0 + rows.tables[$1].resolutions[resolution].latencies.last! } - origins.reduce(0, +)
    let isExact = rows.hasFourDecimals && min(room, range) < 400
    let cell = isExact ? 1e-4 : max(min(room, range), 1e-9) / 1_048_576
    let slack = isExact ? 0.5 : Double(keys.count) / 2
    let last = Int((min(room, range) / cell + slack).rounded(.down))
    // Mass, and mass times loss.
    var states: [(masses: [Double], losses: [Double])] = [([1], [0])]
    for (stage, key) in keys.enumerated() {
      var next = [(masses: [Double], losses: [Double])](repeating: ([], []), count: rows.stateCounts[stage + 1])
      for transition in rows.tables[key].transitions[resolution] where !states[transition.from].masses.isEmpty {
        let source = states[transition.from]
        if next[transition.to].masses.isEmpty {
          next[transition.to] = ([Double](repeating: 0, count: last + 1), [Double](repeating: 0, count: last + 1))
        }
        for (offset, weight, moment) in transition.rows.byLatency(from: origins[stage], cell: cell)
        where offset <= last {
          for index in 0..<min(source.masses.count, last + 1 - offset) {
            next[transition.to].masses[index + offset] += source.masses[index] * weight
            next[transition.to].losses[index + offset] += source.losses[index] * weight + source.masses[index] * moment
          }
        }
      }
      states = next
    }
    share = min(1, states[0].masses.reduce(0, +))
    shareLoss = states[0].losses.reduce(0, +)
  }
}

extension WeightedRows {
  /// Weights, and weights times losses, by the nearest cell of the latency.
  fileprivate func byLatency(from origin: Double, cell: Double) -> [(offset: Int, weight: Double, moment: Double)] {
    var result: [(offset: Int, weight: Double, moment: Double)] = []
    for index in latencies.indices {
      // Cells may be so small that what is far beyond the limit has no whole number.
      let offset = Int(min(((latencies[index] - origin) / cell).rounded(), 0x1p60))
      let (weight, moment) = (weights[index], weights[index] * losses[index])
      if result.last?.offset == offset {
        result[result.count - 1].weight += weight
        result[result.count - 1].moment += moment
      } else {
        result.append((offset, weight, moment))
      }
    }
    return result
  }
}

/// Both halves of a space at one resolution and one state at the cut, on cells of latency and loss.
private struct JointLattice {
  /// Latency by latency, one number a cell of loss: the mass of the first half.
  private let first: [Double]
  /// Latency by latency, one number a cell of loss: `E max(0, cell - loss)`, in cells, of what is up to that latency in the
  /// second half.
  private let second: [Double]
  /// How many cells of latency both may have together: between two numbers, so much of the way.
  private var limit = 0
  private var part = 0.0
  private let weight: Double
  private let width: Int
  private let height: Int

  /// One a state at the cut.
  static func pairs(
    _ keys: [Int], rows: RowStore, resolution: Int, limit: Double, share: Double, weight: Double,
    shape: LatticeShape
  ) -> [JointLattice] {
    let (width, height) = (shape.lossCells, shape.latencyCells)
    let cut = rows.split(keys).index
    let smallest = keys.map { rows.tables[$0].resolutions[resolution].latencies.first! }
    let room = latencyLimit(limit) - smallest.reduce(0, +)
    let range = keys.reduce(0) { $0 + rows.tables[$1].resolutions[resolution].latencies.last! } - smallest.reduce(0, +)
    // One cell more than the limit needs, since the limit is moved by parts of one.
    let cells = Cells(
      latency: max(min(room, range), 1e-9) / Double(height - 4), shape: shape,
      latencyOrigins: smallest, lossOrigins: keys.map { rows.tables[$0].smallestLoss })
    let firsts = cells.grids(keys, stages: 0..<cut, from: 0, rows: rows, resolution: resolution)
    var parts: [JointLattice] = []
    var masses: [[Double]] = []
    for (state, first) in firsts.sorted(by: { $0.key < $1.key }) {
      let seconds = cells.grids(keys, stages: cut..<keys.count, from: state, rows: rows, resolution: resolution)
      guard let second = seconds[0] else { continue }
      masses.append(massesBySum(first.latencies, second.latencies))
      parts.append(
        JointLattice(
          first: first.cells, second: cumulativeHinges(second.cells, width: width), weight: weight, width: width,
          height: height))
    }
    // The limit at which the lattice's share is the exact one.
    var before = 0.0
    var index = 0
    while index < 2 * height - 1 {
      let here = masses.reduce(0) { $0 + $1[index] }
      if before + here >= share { break }
      before += here
      index += 1
    }
    let here = index < 2 * height - 1 ? masses.reduce(0) { $0 + $1[index] } : 0
    for place in parts.indices {
      parts[place].limit = index
      parts[place].part = here > 0 ? min(1, max(0, (share - before) / here)) : 1
    }
    return parts
  }

  private init(first: [Double], second: [Double], weight: Double, width: Int, height: Int) {
    self.first = first
    self.second = second
    self.weight = weight
    self.width = width
    self.height = height
  }

  /// What the mass is for each sum of two cells of latency.
  private static func massesBySum(_ a: [Double], _ b: [Double]) -> [Double] {
    var result = [Double](repeating: 0, count: 2 * a.count)
    for i in a.indices where a[i] > 0 {
      for j in b.indices { result[i + j] += a[i] * b[j] }
    }
    return result
  }

  private static func cumulativeHinges(_ cells: [Double], width: Int) -> [Double] {
    let height = cells.count / width
    var result = cells
    for latency in 1..<height {
      for loss in 0..<width { result[latency * width + loss] += result[(latency - 1) * width + loss] }
    }
    for latency in 0..<height {
      var mass = 0.0
      var hinge = 0.0
      for loss in 0..<width {
        hinge += mass
        mass += result[latency * width + loss]
        result[latency * width + loss] = hinge
      }
    }
    return result
  }

  /// `E max(0, x - loss) 1(feasible)` in cells of loss, for `x` a whole number of cells.
  func hinge(at x: Int) -> Double {
    weight * (part * hinge(at: x, limit: limit) + (1 - part) * hinge(at: x, limit: limit - 1))
  }

  private func hinge(at x: Int, limit: Int) -> Double {
    var sum = 0.0
    for latency in 0..<height where limit - latency >= 0 {
      let row = latency * width
      let partner = min(limit - latency, height - 1) * width
      for loss in 0...x { sum += first[row + loss] * second[partner + x - loss] }
    }
    return sum
  }
}

/// The lattice, and how sums come to stand on it.
private struct Cells {
  struct Grid {
    /// Latency by latency.
    var cells: [Double]
    /// The mass of each cell of latency, losses beyond the lattice included.
    var latencies: [Double]
  }
  private typealias Sum = (latency: Double, loss: Double, weight: Double)

  let latency: Double
  let shape: LatticeShape
  let latencyOrigins: [Double]
  let lossOrigins: [Double]
  /// More sums than this are put together on the lattice before the next stage.
  private static let capacity = 3_000_000

  /// The sums of some stages by the state they end in.
  func grids(
    _ keys: [Int], stages: Range<Int>, from start: Int, rows: RowStore, resolution: Int
  ) -> [Int: Grid] {
    var sums: [Int: [Sum]] = [start: [(0, 0, 1)]]
    for stage in stages {
      let transitions = rows.tables[keys[stage]].transitions[resolution]
      if stage == stages.last {
        var grids: [Int: Grid] = [:]
        for transition in transitions {
          guard let before = sums[transition.from] else { continue }
          add(
            before, transition.rows, stage: stage,
            to: &grids[transition.to, default: Grid(cells: emptyCells, latencies: emptyLatencies)])
        }
        return grids
      }
      var next: [Int: [Sum]] = [:]
      for transition in transitions {
        guard let before = sums[transition.from] else { continue }
        var longer = next.removeValue(forKey: transition.to) ?? []
        for sum in before {
          for index in transition.rows.losses.indices {
            longer.append(
              (
                sum.latency + transition.rows.latencies[index] - latencyOrigins[stage],
                sum.loss + transition.rows.losses[index] - lossOrigins[stage],
                sum.weight * transition.rows.weights[index]
              ))
          }
        }
        next[transition.to] = longer
      }
      sums = next.mapValues { $0.count > Cells.capacity ? compressed($0) : $0 }
    }
    return sums.mapValues { sums in
      var grid = Grid(cells: emptyCells, latencies: emptyLatencies)
      for sum in sums { add(sum.latency, sum.loss, sum.weight, to: &grid) }
      return grid
    }
  }

  private var emptyCells: [Double] {
    [Double](repeating: 0, count: shape.latencyCells * shape.lossCells)
  }
  private var emptyLatencies: [Double] { [Double](repeating: 0, count: shape.latencyCells) }

  private func add(_ before: [Sum], _ rows: WeightedRows, stage: Int, to grid: inout Grid) {
    for sum in before {
      for index in rows.losses.indices {
        add(
          sum.latency + rows.latencies[index] - latencyOrigins[stage],
          sum.loss + rows.losses[index] - lossOrigins[stage],
          sum.weight * rows.weights[index], to: &grid)
      }
    }
  }

  @inline(__always)
  private func add(_ sumOfLatencies: Double, _ sumOfLosses: Double, _ weight: Double, to grid: inout Grid) {
    let row = (sumOfLatencies / latency).rounded()
    guard row < Double(shape.latencyCells) else { return }
    let place = Int(row)
    grid.latencies[place] += weight
    let column = sumOfLosses / shape.lossCell
    guard column < Double(shape.lossCells - 1) else { return }
    // A sum of exact losses is off its cell by rounding only.
    let low = shape.isExact ? Int(max(0, column).rounded()) : max(0, Int(column))
    let part = shape.isExact ? 0 : max(0, column - Double(low)) * weight
    let index = place * shape.lossCells + low
    grid.cells[index] += weight - part
    grid.cells[index + 1] += part
  }

  /// The same sums as cells of the lattice, those beyond its losses at one loss that is beyond it.
  private func compressed(_ sums: [Sum]) -> [Sum] {
    var grid = Grid(cells: emptyCells, latencies: emptyLatencies)
    for sum in sums { add(sum.latency, sum.loss, sum.weight, to: &grid) }
    var result: [Sum] = []
    for row in 0..<shape.latencyCells where grid.latencies[row] > 0 {
      var left = grid.latencies[row]
      for column in 0..<shape.lossCells {
        let weight = grid.cells[row * shape.lossCells + column]
        guard weight > 0 else { continue }
        left -= weight
        result.append((Double(row) * latency, Double(column) * shape.lossCell, weight))
      }
      if left > 0 { result.append((Double(row) * latency, Double(shape.lossCells) * shape.lossCell, left)) }
    }
    return result
  }
}
