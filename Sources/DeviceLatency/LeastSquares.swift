/// Weighted least squares for a few unknowns, by normal equations in double precision.
public enum LeastSquares {
  /// The coefficients that minimise `sum(weight (row . coefficients - target)^2) + sum(ridge coefficient^2)`.
  ///
  /// - Parameter rows: Samples, of one value a coefficient each.
  /// - Parameter targets: One a row.
  /// - Parameter weights: One a row.
  /// - Parameter ridges: One a coefficient.
  /// - Returns: `nil` where the equations have no single solution.
  public static func solve(rows: [[Double]], targets: [Double], weights: [Double], ridges: [Double]) -> [Double]? {
    guard let size = rows.first?.count else { return nil }
    var matrix = [[Double]](repeating: [Double](repeating: 0, count: size + 1), count: size)
    for (index, row) in rows.enumerated() {
      for i in 0..<size {
        let scaled = weights[index] * row[i]
        for j in 0...i { matrix[i][j] += scaled * row[j] }
        matrix[i][size] += scaled * targets[index]
      }
    }
    for i in 0..<size {
      for j in 0..<i { matrix[j][i] = matrix[i][j] }
      matrix[i][i] += ridges[i]
    }
    return eliminate(&matrix)
  }

  /// The solution of `matrix . x = right`; `nil` where there is no single one.
  static func solve(matrix: [[Double]], right: [Double]) -> [Double]? {
    var extended = zip(matrix, right).map { $0 + [$1] }
    return eliminate(&extended)
  }

  /// Gauss's elimination with row exchanges.
  private static func eliminate(_ matrix: inout [[Double]]) -> [Double]? {
    let size = matrix.count
    for column in 0..<size {
      let pivot = (column..<size).max { abs(matrix[$0][column]) < abs(matrix[$1][column]) }!
      guard abs(matrix[pivot][column]) > 1e-12 * (1 + abs(matrix[column][column])) else { return nil }
      matrix.swapAt(pivot, column)
      for row in (column + 1)..<max(size, column + 1) {
        let factor = matrix[row][column] / matrix[column][column]
        if factor == 0 { continue }
        for entry in column...size { matrix[row][entry] -= factor * matrix[column][entry] }
      }
    }
    var solution = [Double](repeating: 0, count: size)
    for row in stride(from: size - 1, through: 0, by: -1) {
      var value = matrix[row][size]
      for column in (row + 1)..<max(size, row + 1) { value -= matrix[row][column] * solution[column] }
      solution[row] = value / matrix[row][row]
    }
    return solution.allSatisfy(\.isFinite) ? solution : nil
  }
}
