import NetworkGraphs
import SearchSpaces

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#elseif canImport(Musl)
  import Musl
#endif

/// Estimates the time of kernels that were never measured from those that were.
///
/// For each sort of kernel: ridge regression of the logarithm of the time on logarithms of its sizes and on what
/// channels leave over in a vector, then the mean of what that leaves at the nearest measured kernels. Simple enough to
/// be made anew from the measured table whenever a predictor is read.
struct KernelRegression: Sendable {
  private var models: [String: SortModel] = [:]
  /// Of all measured kernels: the last resort, for a sort of kernel that was never measured.
  private var general: SortModel?

  /// - Parameter kernels: Microseconds, above 0.
  init(_ kernels: [KernelSignature: Double]) {
    // In a fixed order: sums of floating-point numbers depend on it.
    let samples = kernels.sorted { $0.key < $1.key }
    for (sort, samples) in Dictionary(grouping: samples, by: \.key.sort) where samples.count >= SortModel.fewest {
      models[sort] = SortModel(samples.map { ($0.key.features, log($0.value)) })
    }
    if samples.count >= SortModel.fewest {
      general = SortModel(samples.map { ($0.key.generalFeatures, log($0.value)) })
    }
  }

  /// Microseconds, or `nil` where too little was measured to say anything.
  ///
  /// - Parameter apartFromItself: Whether the kernel's own measurement must not be looked at.
  func microseconds(_ kernel: KernelSignature, apartFromItself: Bool = false) -> Double? {
    if let model = models[kernel.sort] {
      return exp(model.predict(kernel.features, leavingOutEqual: apartFromItself))
    }
    return general.map { exp($0.predict(kernel.generalFeatures)) }
  }

  /// Kernels of which a small difference was measured, pulled towards what kernels like them took: the less of the
  /// measured time was the kernel, the more.
  ///
  /// - Parameters:
  ///   - kernels: Microseconds by the difference; may be below zero.
  ///   - noise: Standard deviation of each difference, in microseconds.
  static func smoothed(
    _ kernels: [KernelSignature: Double], noise: [KernelSignature: Double]
  ) -> [KernelSignature: Double] {
    // How far a kernel is from what others tell of it, as far as that is not noise.
    let likeness = 0.15
    let regression = KernelRegression(kernels.mapValues { max($0, 0.05) })
    var result: [KernelSignature: Double] = [:]
    for (kernel, measured) in kernels {
      guard let noise = noise[kernel], let expected = regression.microseconds(kernel, apartFromItself: true) else {
        result[kernel] = measured
        continue
      }
      let weight = square(noise / (likeness * expected))
      result[kernel] = (measured + weight * expected) / (1 + weight)
    }
    return result
  }

  /// The mean absolute error in percent of each fifth of the kernels, estimated from the other four.
  static func crossValidatedPercent(_ kernels: [KernelSignature: Double]) -> Double? {
    let samples = kernels.sorted { $0.key < $1.key }
    guard samples.count >= 5 * SortModel.fewest else { return nil }
    var errors: [Double] = []
    for fold in 0..<5 {
      // Neighbours in the sorted order are alike; every fifth spreads them over the folds.
      let known = samples.enumerated().filter { $0.offset % 5 != fold }.map { ($0.element.key, $0.element.value) }
      let regression = KernelRegression(Dictionary(uniqueKeysWithValues: known))
      for (index, sample) in samples.enumerated() where index % 5 == fold {
        guard let estimate = regression.microseconds(sample.key) else { continue }
        errors.append(100 * abs(estimate / sample.value - 1))
      }
    }
    return errors.isEmpty ? nil : Statistics.mean(errors)
  }
}

/// The regression of one sort of kernel.
private struct SortModel: Sendable {
  static let fewest = 6
  private static let neighbours = 5

  private var center: [Double]
  private var spread: [Double]
  /// The first is the constant.
  private var coefficients: [Double]
  private var points: [[Double]]
  private var residuals: [Double]

  init(_ samples: [(features: [Double], target: Double)]) {
    let size = samples[0].features.count
    let count = Double(samples.count)
    center = (0..<size).map { feature in samples.reduce(0) { $0 + $1.features[feature] } / count }
    let center = center
    spread = (0..<size).map { feature in
      let variance = samples.reduce(0) { $0 + square($1.features[feature] - center[feature]) } / count
      // A feature that never varied tells nothing.
      return variance > 1e-12 ? variance.squareRoot() : .infinity
    }
    points = []
    coefficients = []
    residuals = []
    points = samples.map { normalized($0.features) }
    let rows = points.map { [1] + $0 }
    let targets = samples.map(\.target)
    coefficients =
      LeastSquares.solve(
        rows: rows, targets: targets, weights: .init(repeating: 1, count: rows.count),
        ridges: .init(repeating: 0.05, count: size + 1))
      ?? [targets.reduce(0, +) / count] + [Double](repeating: 0, count: size)
    residuals = zip(points, targets).map { $1 - linear($0) }
  }

  private func normalized(_ features: [Double]) -> [Double] {
    features.indices.map { (features[$0] - center[$0]) / spread[$0] }
  }

  private func linear(_ point: [Double]) -> Double {
    zip(point, coefficients.dropFirst()).reduce(coefficients[0]) { $0 + $1.0 * $1.1 }
  }

  func predict(_ features: [Double], leavingOutEqual: Bool = false) -> Double {
    let point = normalized(features)
    var nearest: [(distance: Double, residual: Double)] = []
    for (other, residual) in zip(points, residuals) {
      var distance = 0.0
      for index in point.indices { distance += square(point[index] - other[index]) }
      if leavingOutEqual, distance < 1e-12 { continue }
      if nearest.count == SortModel.neighbours, distance >= nearest.last!.distance { continue }
      let place = nearest.firstIndex { $0.distance > distance } ?? nearest.endIndex
      nearest.insert((distance, residual), at: place)
      if nearest.count > SortModel.neighbours { nearest.removeLast() }
    }
    // Far from everything that was measured, the neighbours' residuals fade out.
    let fading = 0.5
    var sum = 0.0
    var total = fading
    for (distance, residual) in nearest {
      let weight = 1 / (distance + 0.02)
      sum += weight * residual
      total += weight
    }
    return linear(point) + sum / total
  }
}

extension KernelSignature {
  /// Kernels of one sort are alike enough for one regression.
  fileprivate var sort: String {
    let name =
      switch kind {
      case .convolution(let kernel, _, _):
        kernel == 1 ? (input.height * input.width == 1 ? "linear" : "pointwise") : "dense"
      case .depthwise: "depthwise"
      case .activation(let activation): activation.rawValue
      case .add: "add"
      case .multiply: "multiply"
      case .globalAveragePool: "pool"
      }
    return place == .inside ? name : "\(name) \(place.rawValue)"
  }

  fileprivate var features: [Double] {
    let positions = input.height * input.width
    switch kind {
    case .convolution(let kernel, let stride, let channels):
      let graph = NetworkGraph(self)
      let macs = log(Double(graph.cost.macs))
      let reduction = input.channels * kernel * kernel
      return [
        macs, macs * macs, log(Double(graph.outputShape.height * graph.outputShape.width)), log(Double(channels)),
        log(Double(reduction)), log(Double(input.count)), log(Double(kernel)), stride > 1 ? 1 : 0,
        filled(channels, 16), filled(channels, 64), filled(reduction, 64), log(Double(channels * reduction)),
      ]
    case .depthwise(let kernel, let stride):
      let output = NetworkGraph(self).outputShape
      let count = log(Double(output.count))
      return [
        count, count * count, log(Double(output.height * output.width)), log(Double(input.channels)),
        2 * log(Double(kernel)), stride > 1 ? 1 : 0, filled(input.channels, 16), filled(input.channels, 32),
        log(Double(output.height)),
      ]
    case .activation, .add, .multiply, .globalAveragePool:
      let count = log(Double(input.count))
      return [
        count, count * count, log(Double(positions)), log(Double(input.channels)), filled(input.channels, 16),
        filled(input.count, 64),
      ]
    }
  }

  fileprivate var generalFeatures: [Double] {
    let graph = NetworkGraph(self)
    return [
      log(1 + Double(graph.cost.macs)), log(Double(input.count)), log(Double(graph.outputShape.count)),
      log(1 + Double(graph.weightBytes)), kind.isDepthwise ? 1 : 0,
    ]
  }

  /// How full the last vector is on average: 1 where `count` is a multiple of `lanes`.
  private func filled(_ count: Int, _ lanes: Int) -> Double {
    Double(count) / Double((count + lanes - 1) / lanes * lanes)
  }
}

extension KernelSignature.Kind {
  fileprivate var isDepthwise: Bool { if case .depthwise = self { true } else { false } }
}

private func square(_ x: Double) -> Double { x * x }
