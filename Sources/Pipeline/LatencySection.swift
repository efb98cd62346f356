import DeviceLatency
import Reports

/// The part of a report that sets predicted against measured latency, with the repeatability of the device beside it.
struct LatencySection {
  let predictor: LatencyPredictor
  /// Models that were exported, if there are any.
  var models: [AgreementChart.Pair] = []

  var section: ReportPage.Section {
    var groups: [(name: String, pairs: [AgreementChart.Pair])] = []
    func add(_ name: String, _ accuracy: PredictionAccuracy?) {
      guard let accuracy else { return }
      groups.append(
        (name, accuracy.pairs.map { .init(measured: $0.measuredMilliseconds, predicted: $0.predictedMilliseconds) }))
    }
    add("Fitted on", predictor.fitted)
    add("Held out", predictor.heldOut)
    if !models.isEmpty { groups.append(("Exported models", models)) }
    guard !groups.isEmpty else { return .init("Predicted and measured latency", []) }
    let chart = AgreementChart(
      "Predicted against measured", quantity: "INT8 latency", unit: "ms", scale: .logarithmic, groups: groups)
    return .init(
      "Predicted and measured latency",
      [
        .paragraph(
          "The predictor adds up the measured times of a network's operations and corrects the sum; the correction was "
            + "fitted on some whole networks and is judged by others, a part of which has one block type throughout."),
        .figure(chart, caption: "The band is 5 % either side of equality."), .table(errors),
        .facts([
          .init("Device", "\(predictor.device)"), .init("Operations measured", "\(predictor.kernels.count)"),
          .init(
            "Undisturbed by other work", NumberText.percentage(of: predictor.gatedShare, decimals: 1)),
        ]),
      ])
  }

  private var errors: Table {
    func percent(_ value: Double) -> Table.Cell { Table.Cell(NumberText.fixed(value, decimals: 2)) }
    var rows: [[Table.Cell]] = []
    for (name, accuracy) in [("Prediction, fitted on", predictor.fitted), ("Prediction, held out", predictor.heldOut)] {
      guard let accuracy else { continue }
      rows.append([
        Table.Cell(name), Table.Cell("\(accuracy.pairs.count)"), percent(accuracy.meanPercent),
        percent(Statistics.quantile(accuracy.pairs.map(\.absolutePercent), 0.95)), percent(accuracy.largestPercent),
        percent(100 * accuracy.within5Percent), percent(100 * accuracy.within10Percent),
        Table.Cell(NumberText.fixed(accuracy.kendallTau, decimals: 3)),
      ])
    }
    if let repeatability = predictor.repeatability {
      rows.append([
        Table.Cell("Measurement again, \(NumberText.fixed(repeatability.secondsApart, decimals: 0)) s later"),
        Table.Cell("\(repeatability.networks)"), percent(repeatability.meanPercent),
        percent(repeatability.percentile95),
      ])
    }
    return Table(
      caption: "Errors of the prediction, and below them what the device itself differs by from one measurement to "
        + "another: no prediction can be better than that.",
      columns: [
        .init(""), .number("Networks"), .number("Mean", unit: "%"), .number("95th percentile", unit: "%"),
        .number("Largest", unit: "%"), .number("Within 5 %", unit: "%"), .number("Within 10 %", unit: "%"),
        .number("Kendall's tau"),
      ], rows: rows)
  }
}
