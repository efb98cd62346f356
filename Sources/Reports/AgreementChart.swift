/// Predicted against measured values: one range for both axes, the diagonal where they agree, and a band around it.
///
/// The description says which share of the pairs lies within the band, and the mean error.
public struct AgreementChart: Chart, Hashable {
  public struct Pair: Hashable, Sendable {
    public var measured: Double
    public var predicted: Double
    public var label: String?

    public init(measured: Double, predicted: Double, label: String? = nil) {
      self.measured = measured
      self.predicted = predicted
      self.label = label
    }
  }

  public var title: String
  /// What both axes show: “Latency”.
  public var quantity: String
  public var unit: String
  public var scale: Axis.Scale
  /// Named groups of pairs, such as those the predictor was fitted on and those held out.
  public var groups: [(name: String, pairs: [Pair])] {
    get { zip(names, pairs).map { ($0, $1) } }
    set { (names, pairs) = (newValue.map(\.name), newValue.map(\.pairs)) }
  }
  /// Half the width of the band, as a fraction of the measured value.
  public var tolerance: Double

  private var names: [String]
  private var pairs: [[Pair]]

  /// - Parameter tolerance: half the width of the band as a fraction of the measured value; 0.05 for ±5 %.
  public init(
    _ title: String, quantity: String, unit: String, scale: Axis.Scale = .linear,
    groups: [(name: String, pairs: [Pair])], tolerance: Double = 0.05
  ) {
    self.title = title
    self.quantity = quantity
    self.unit = unit
    self.scale = scale
    names = groups.map(\.name)
    pairs = groups.map(\.pairs)
    self.tolerance = tolerance
  }

  /// The share of pairs whose predicted value is within the tolerance of the measured one; `nil` where there are none.
  /// Pairs that are not finite, or not measured above zero, do not count.
  public var shareWithinTolerance: Double? { share(relativeErrors(pairs.joined())) }

  /// The mean of |predicted - measured| / measured; `nil` where there are no pairs.
  public var meanRelativeError: Double? { mean(relativeErrors(pairs.joined())) }

  private func share(_ errors: [Double]) -> Double? {
    errors.isEmpty ? nil : Double(errors.count { $0 <= tolerance * (1 + 1e-12) }) / Double(errors.count)
  }

  private func mean(_ errors: [Double]) -> Double? {
    errors.isEmpty ? nil : errors.reduce(0, +) / Double(errors.count)
  }

  private func relativeErrors(_ pairs: some Sequence<Pair>) -> [Double] {
    pairs.compactMap { pair in
      guard pair.measured.isFinite, pair.predicted.isFinite, pair.measured > 0 else { return nil }
      let error = abs(pair.predicted / pair.measured - 1)
      return error.isFinite ? error : nil
    }
  }

  public func drawing(width: Double) -> Drawing {
    var chart = XYChart(
      title, x: Axis("Measured \(quantity)", unit: unit, scale: scale),
      y: Axis("Predicted \(quantity)", unit: unit, scale: scale),
      series: zip(names, pairs).map { name, pairs in
        XYChart.Series(
          name, style: .points,
          points: pairs.map { XYChart.Point(x: $0.measured, y: $0.predicted, label: $0.label) })
      })
    chart.diagonalTolerance = tolerance
    let band = NumberText.significant(tolerance * 100, digits: 1)
    if let share = shareWithinTolerance, let error = meanRelativeError {
      chart.finding =
        "\(NumberText.percentage(of: share)) of the predictions are within ±\(band) % of the measured value (shaded); "
        + "mean error \(NumberText.percentage(of: error, decimals: 2))."
    }
    chart.notes = pairs.map { pairs in
      let errors = relativeErrors(pairs)
      guard let share = share(errors), let mean = mean(errors) else { return ["no pairs"] }
      return [
        Quantity.of(errors.count, "pair"), "within ±\(band) %: \(NumberText.percentage(of: share))",
        "mean error \(NumberText.percentage(of: mean, decimals: 2))",
      ]
    }
    return chart.drawing(width: width)
  }
}
