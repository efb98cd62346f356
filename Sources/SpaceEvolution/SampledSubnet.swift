public import SearchSpaces

/// What a random subnet of a space comes to, by the tables.
public struct SampledSubnet: Hashable, Sendable {
  /// The sum of the stages' losses.
  public var loss: Double
  /// The sum of the stages' latencies and the fixed one.
  public var latencyMilliseconds: Double
  /// In pixels.
  public var resolution: Int
}

extension QTScorer {
  /// Random subnets of a space, drawn by the scorer's rule: a resolution, and then a row a stage.
  ///
  /// - Returns: `count` subnets; none where no draw of the space can be completed.
  public func sampledSubnets(of space: SearchSpace, count: Int, seed: UInt64) -> [SampledSubnet] {
    let drawing = SubnetDrawing(space, rows: rows)
    guard !drawing.resolutions.isEmpty else { return [] }
    var generator = SeededGenerator(seed: seed, stream: "monte-carlo")
    return (0..<count).map { _ in
      let index = generator.choose(drawing.resolutions)
      let sum = drawing.draw(resolution: index, using: &generator)
      let resolution = tables.resolutions[index]
      return SampledSubnet(
        loss: sum.loss, latencyMilliseconds: sum.latency + (fixedLatencies[resolution] ?? 0), resolution: resolution)
    }
  }
}

/// Random subnets of one space.
private struct SubnetDrawing {
  /// Rows by stage, resolution and incoming state, with the state that each leads to.
  private let stages: [[[Int: [(loss: Double, latency: Double, to: Int)]]]]
  /// The resolutions at which a draw can be completed.
  let resolutions: [Int]

  init(_ space: SearchSpace, rows: RowStore) {
    let keys = rows.indices(of: space)
    stages = keys.map { key in
      rows.tables[key].transitions.map { transitions in
        var result: [Int: [(loss: Double, latency: Double, to: Int)]] = [:]
        for transition in transitions {
          let table = transition.rows
          for index in table.losses.indices {
            // Rows that stand several times were made one; each of them counts.
            let copies = Int((table.weights[index] / table.unit).rounded())
            for _ in 0..<copies {
              result[transition.from, default: []].append((table.losses[index], table.latencies[index], transition.to))
            }
          }
        }
        return result
      }
    }
    resolutions = rows.completion(keys).enumerated().filter { $0.element > 0 }.map(\.offset)
  }

  func draw(resolution: Int, using generator: inout SeededGenerator) -> (loss: Double, latency: Double) {
    while true {
      var sum = (loss: 0.0, latency: 0.0)
      var state: Int? = 0
      for stage in stages {
        guard let followers = state.flatMap({ stage[resolution][$0] }) else {
          state = nil
          break
        }
        let row = generator.choose(followers)
        sum.loss += row.loss
        sum.latency += row.latency
        state = row.to
      }
      if state != nil { return sum }
    }
  }
}
