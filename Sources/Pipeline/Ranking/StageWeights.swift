import DeviceLatency

/// Weights of a network's stages, fitted to networks whose accuracy is known.
public enum StageWeights {
  /// A weighted sum of each network's values, one value a stage, with weights that were fitted to the others.
  ///
  /// The networks are shared out into four parts, each judged with the weights of the other three: what comes out says
  /// how well fitted weights rank networks that were not used to choose them. The weights are drawn towards one another,
  /// so that few networks give something near the plain sum.
  ///
  /// - Parameter values: The larger the better; one a stage, for each network.
  /// - Parameter accuracies: One a network.
  /// - Returns: One number a network; `nil` with fewer than three networks a stage, which leave nothing to fit.
  public static func judged(_ values: [[Double]], _ accuracies: [Double]) -> [Double]? {
    guard let stages = values.first?.count, stages > 1, values.count >= 3 * stages else { return nil }
    // About their means, so that a constant added to a stage's values moves no part against another.
    let means = (0..<stages).map { stage in Statistics.mean(values.map { $0[stage] }) }
    let parts = 4
    var judged = [Double](repeating: 0, count: values.count)
    for part in 0..<parts {
      let others = values.indices.filter { $0 % parts != part }
      guard let weights = fitted(others.map { values[$0] }, others.map { accuracies[$0] }) else { return nil }
      for index in values.indices where index % parts == part {
        // Without a constant: that of each part is another, and would move its networks against all others.
        judged[index] = (0..<stages).reduce(0) { $0 + weights[$1] * (values[index][$1] - means[$1]) }
      }
    }
    return judged
  }

  /// One weight a stage: that of the sum of all, and what the stage's own differs from it.
  ///
  /// - Returns: Weights whose sizes add to the number of stages; `nil` where nothing can be fitted.
  static func fitted(_ values: [[Double]], _ accuracies: [Double]) -> [Double]? {
    let stages = values[0].count
    let means = (0..<stages).map { stage in Statistics.mean(values.map { $0[stage] }) }
    let mean = Statistics.mean(accuracies)
    let centred = values.map { row in zip(row, means).map { $0 - $1 } }
    let spread = centred.reduce(0) { $0 + $1.reduce(0) { $0 + $1 * $1 } } / Double(stages)
    guard spread > 0 else { return nil }
    guard
      let found = LeastSquares.solve(
        rows: centred.map { [$0.reduce(0, +)] + $0 }, targets: accuracies.map { $0 - mean },
        weights: [Double](repeating: 1, count: values.count),
        // A tenth of what the networks themselves say of a stage.
        ridges: [1e-6 * spread] + [Double](repeating: 0.1 * spread, count: stages))
    else { return nil }
    let weights = found.dropFirst().map { found[0] + $0 }
    let size = weights.reduce(0) { $0 + abs($1) }
    return size > 0 ? weights.map { $0 * Double(stages) / size } : nil
  }
}
