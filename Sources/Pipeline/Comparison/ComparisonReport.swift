import DeviceLatency
import Foundation
import Reports
import RunFolders
import SearchSpaces

/// What a comparison found, as tables, one figure and a page.
struct ComparisonReport {
  let records: [ComparisonRecord]
  /// Empty where one device alone took part.
  let crosswise: [CrosswiseRecord]
  let losses: ComparedLosses
  /// `nil` where there was no such study.
  let ranking: RankingResult?
  /// The same over spaces of the whole hyperspace.
  let rankingOfSpaces: RankingResult?
  let configuration: RunConfiguration
  let manifest: Manifest
  let device: DeviceIdentity

  private typealias Column = Table.Column

  /// The arms in their order, each with its records by seed.
  private var arms: [(arm: ComparisonArm, records: [ComparisonRecord])] {
    var arms: [(arm: ComparisonArm, records: [ComparisonRecord])] = []
    for record in records {
      if let index = arms.firstIndex(where: { $0.arm == record.arm }) {
        arms[index].records.append(record)
      } else {
        arms.append((record.arm, [record]))
      }
    }
    return arms
  }

  private var constraints: [Double] { records.first?.entries.map(\.constraintMilliseconds) ?? [] }
  private var repetitions: Int { Set(records.map(\.repetition)).count }

  // MARK: - Tables

  /// Each space at each latency that the design asked for: measured latency and accuracy of the exported file.
  var headline: Table {
    var columns = [Column("Space"), Column.number("Q-T score")]
    for constraint in constraints {
      let asked = NumberText.significant(constraint)
      columns += [.number("Under \(asked) ms", unit: "measured ms"), .number("Accuracy", unit: "%")]
    }
    return Table(
      caption:
        "Exported INT8 files of the most accurate subnet under each predicted latency: latency, measured in turn with all "
        + "others, and test images right. Mean over \(NumberText.count(repetitions)) seed\(repetitions == 1 ? "" : "s")"
        + (repetitions == 1 ? "." : ", with half the range."),
      columns: columns,
      rows: arms.map { arm, records in
        var row = [Table.Cell(arm.title), Table.Cell(NumberText.significant(records[0].score))]
        for index in constraints.indices {
          let models = records.compactMap { $0.entries[index].model }
          row.append(Table.Cell(summary(models.map(\.measuredMilliseconds)) { NumberText.significant($0) }))
          row.append(Table.Cell(summary(models.map { 100 * $0.accuracy }) { NumberText.fixed($0, decimals: 2) }))
        }
        return row
      })
  }

  private func summary(_ values: [Double], _ text: (Double) -> String) -> String {
    guard let least = values.min(), let most = values.max() else { return "none so fast" }
    let mean = text(Statistics.mean(values))
    return values.count == 1 ? mean : "\(mean) ± \(text((most - least) / 2))"
  }

  /// Accuracy read off each space's measured front at one and the same measured latency, and the found space's speed at
  /// each other space's accuracies.
  var equalTerms: Table {
    let found = arms.first { $0.arm.kind == .found }?.records ?? []
    return Table(
      caption:
        "On equal terms: accuracy at the same measured latency, between two models of a front in proportion to the "
        + "logarithm of their latencies; and how many times as fast the found space is at the other's accuracies, geometric "
        + "mean over models and seeds.",
      columns: [Column("Space")]
        + constraints.map { .number("At \(NumberText.significant($0)) ms", unit: "%") }
        + [.number("Found is faster by", unit: "times"), .number("Accuracies that it reaches")],
      rows: arms.map { arm, records in
        var row = [Table.Cell(arm.title)]
        row += constraints.map { latency in
          let values = records.compactMap { MeasuredFront($0.models).accuracy(atMilliseconds: latency) }
          return Table.Cell(
            values.isEmpty ? "" : summary(values.map { 100 * $0 }) { NumberText.fixed($0, decimals: 2) })
        }
        guard arm.kind != .found else { return row }
        var logarithms: [Double] = []
        var asked = 0
        for record in records {
          guard let rival = found.first(where: { $0.repetition == record.repetition }) else { continue }
          for model in record.models {
            asked += 1
            let time = MeasuredFront(rival.models).milliseconds(atAccuracy: model.accuracy)
            if let time { logarithms.append(log(model.measuredMilliseconds / time)) }
          }
        }
        let speed = logarithms.isEmpty ? "" : NumberText.fixed(exp(Statistics.mean(logarithms)), decimals: 2)
        return row + [Table.Cell(speed), Table.Cell("\(logarithms.count) of \(asked)")]
      })
  }

  /// Whether the files are what the supernets trained, and nothing else.
  private var isSupernetAlone: Bool { configuration.fineTuning.steps == 0 }

  /// What the chosen subnets had in their supernets, which the last training of their own, if any, has changed in the
  /// files.
  var beforeOwnTraining: Table {
    Table(
      caption: isSupernetAlone
        ? "The same subnets on the validation images, by which the search chose them: images right, as integers."
        : "The same subnets in their supernets, before any training of their own: validation images right, as integers.",
      columns: [Column("Space")]
        + constraints.map { .number("Under \(NumberText.significant($0)) ms", unit: "%") },
      rows: arms.map { arm, records in
        [Table.Cell(arm.title)]
          + constraints.indices.map { index in
            let models = records.compactMap { $0.entries[index].model }
            return Table.Cell(
              summary(models.map { 100 * $0.supernetAccuracy }) { NumberText.fixed($0, decimals: 2) })
          }
      })
  }

  /// How far chance alone moves a share of the test images.
  private var chance: String {
    let models = records.flatMap(\.models)
    guard let images = models.first?.images, images > 0 else { return "No model was measured." }
    let share = Statistics.mean(models.map(\.accuracy))
    let deviation = 100 * (share * (1 - share) / Double(images)).squareRoot()
    return "A share like these, of \(NumberText.count(images)) images, has a standard deviation of "
      + "\(NumberText.fixed(deviation, decimals: 2)) %, and initial weights and drawn subnets move it besides: "
      + (repetitions == 1
        ? "one seed does not tell spaces apart whose accuracies differ by less than about twice that."
        : "half the range over seeds is a guide to both.")
  }

  /// Does the score rank spaces as training them does? One tau a seed, with the MACs of the largest subnet as baseline.
  var rankCorrelations: Table {
    let seeds = Set(records.map(\.repetition)).sorted()
    func taus(_ value: (ComparisonRecord) -> Double, _ truth: (ModelRecord) -> Double) -> Table.Cell {
      let taus = seeds.compactMap { seed -> Double? in
        let ranked = records.filter { $0.repetition == seed && !$0.models.isEmpty }
        guard ranked.count > 2 else { return nil }
        return Statistics.kendallTau(ranked.map(value), ranked.map { Statistics.mean($0.models.map(truth)) })
      }
      return Table.Cell(taus.isEmpty ? "" : summary(taus) { NumberText.fixed($0, decimals: 2) })
    }
    func row(_ name: String, _ value: (ComparisonRecord) -> Double) -> [Table.Cell] {
      [Table.Cell(name), taus(value, \.accuracy), taus(value, \.supernetAccuracy)]
    }
    return Table(
      caption: "Kendall's tau with the mean accuracy of a space's subnets, over "
        + "\(NumberText.count(arms.count)) spaces; latencies that a space does not reach are left out of its mean.",
      columns: [Column("Rank by"), .number("Files, test images"), .number("In the supernet, validation")],
      rows: [row("Q-T score", \.score), row("MACs of the largest subnet") { Double($0.largestMACs) }])
  }

  /// The spaces found for two devices, on one of them.
  private func crosswiseTable(_ side: CrosswiseRecord.Side) -> Table {
    let rows = crosswise.filter { $0.timedOn == side }
    let constraints = rows.first?.entries.map(\.constraintMilliseconds) ?? []
    var columns = [Column("Space designed for")]
    for constraint in constraints {
      columns += [
        .number("Under \(NumberText.significant(constraint)) ms", unit: "measured ms"), .number("Accuracy", unit: "%"),
      ]
    }
    return Table(
      caption: "On \(rows.first.map { "\($0.device)" } ?? ""): files of the most accurate subnets under each latency, "
        + "predicted and measured there; test images right in that runtime.",
      columns: columns,
      rows: rows.map { record in
        let designedFor = crosswise.first { $0.timedOn == record.designedFor }?.device.name ?? ""
        return [Table.Cell(designedFor + (record.designedFor == side ? " (this one)" : ""))]
          + record.entries.flatMap { entry in
            [
              Table.Cell(entry.model.map { NumberText.significant($0.measuredMilliseconds) } ?? "none so fast"),
              Table.Cell(entry.model.map { NumberText.fixed(100 * $0.accuracy, decimals: 2) } ?? ""),
            ]
          }
      })
  }

  private var rankingSection: ReportPage.Section {
    var parts: [ReportPage.Block] = []
    if let table = losses.table {
      parts += [
        .paragraph(
          "The exported subnets of all spaces above, judged by the losses of their distilled stages and by what costs nothing "
            + "to know: what the losses say of one space's subnets against another's."),
        .table(table),
      ]
    }
    if let ranking {
      parts += [
        .paragraph(
          "Random subnets of the space found, judged by the losses of their distilled stages, by the supernet, and by what "
            + "costs nothing to know."),
        .table(ranking.aloneTable),
      ]
      parts += ranking.supernetTable.map { [.table($0)] } ?? []
    }
    if let rankingOfSpaces {
      parts += [
        .paragraph(
          "Random subnets of random spaces, of all block types and windows: what the losses say of spaces against one "
            + "another."),
        .table(rankingOfSpaces.aloneTable),
      ]
    }
    return .init("What ranks subnets?", parts)
  }

  private var crosswiseSection: ReportPage.Section {
    guard !crosswise.isEmpty else { return .init("On another device", []) }
    let spaces = CrosswiseRecord.Side.allCases.compactMap { side in crosswise.first { $0.designedFor == side }?.space }
    return .init(
      "On another device",
      [
        .paragraph(
          "A space was designed for each of two devices, from the same distilled stages with each device's own latencies: "
            + spaces.map { "`\($0.encoding)`" }.joined(separator: " and ")
            + (Set(spaces).count == 1 ? ", the same one" : "")
            + ". Each of the two supernets was then searched on each device. One seed.")
      ] + CrosswiseRecord.Side.allCases.map { .table(crosswiseTable($0)) })
  }

  // MARK: - Page

  private var figure: XYChart {
    XYChart(
      "Accuracy against measured latency", x: Axis("Measured INT8 latency", unit: "ms", scale: .logarithmic),
      y: Axis("Test images right", unit: "%"),
      series: arms.map { arm, records in
        let points = constraints.indices.compactMap { index -> XYChart.Point? in
          let models = records.compactMap { $0.entries[index].model }
          guard !models.isEmpty else { return nil }
          return .init(
            x: Statistics.mean(models.map(\.measuredMilliseconds)),
            y: 100 * Statistics.mean(models.map(\.accuracy)))
        }
        return .init(arm.name, style: .lineAndPoints, points: points.sorted { $0.x < $1.x })
      })
  }

  /// Each space's score, or size, beside what it reached.
  private func scatter(_ title: String, _ axis: Axis, _ value: (ComparisonRecord) -> Double) -> XYChart {
    XYChart(
      title, x: axis, y: Axis("Test images right, mean of its files", unit: "%"),
      series: [ComparisonArm.Kind.found, .handDesigned, .random].map { kind in
        .init(
          kind.rawValue, style: .points,
          points: arms.filter { $0.arm.kind == kind }.compactMap { arm, records in
            let accuracies = records.flatMap(\.models).map(\.accuracy)
            guard !accuracies.isEmpty else { return nil }
            return .init(x: value(records[0]), y: 100 * Statistics.mean(accuracies), label: arm.name)
          })
      })
  }

  func page() -> ReportPage {
    ReportPage(
      title: "The space found against others, on \(configuration.data.title)",
      subtitle: "\(NumberText.count(arms.count)) search spaces with the same budget, for \(configuration.deviceName): "
        + "each trained as a supernet, searched at the same latencies, exported and measured.",
      opening: [
        .table(headline),
        .figure(figure, caption: "Each point is the mean over seeds at one of the latencies that were asked for."),
        .table(equalTerms), .note(chance), .table(beforeOwnTraining),
      ],
      sections: [
        .init(
          "Does the score rank spaces?",
          [
            .table(rankCorrelations),
            .figure(
              scatter("Accuracy against Q-T score", Axis("Q-T score"), \.score),
              caption: "Each point is a space: the mean accuracy of its files over latencies and seeds."),
            .figure(
              scatter("Accuracy against size", Axis("MACs of the largest subnet", unit: "M")) {
                Double($0.largestMACs) / 1e6
              }, caption: "The baseline: the same accuracies against what costs nothing to know."),
          ]),
        rankingSection, crosswiseSection,
        .init(
          "What was done",
          [
            .paragraph(
              "Every space went through the run's own steps with the configuration below: supernet, search, "
                + (isSupernetAlone ? "" : "last training of the chosen subnets, ") + "export, test images, latency. "
                + (isSupernetAlone ? "The files are what the supernet trained, and nothing else. " : "")
                + "Seeds differ in initial weights and in the subnets that are drawn; "
                + "images and their order are the same. A hand-designed space has one block type throughout, with the width windows "
                + "of the best Q-T score."),
            .table(
              Table(
                caption: "The spaces.",
                columns: [Column("Space"), Column("Encoding"), .number("Largest subnet", unit: "M MACs")],
                rows: arms.map { arm, records in
                  [
                    Table.Cell(arm.title), .code(arm.space.encoding),
                    Table.Cell(NumberText.millions(records[0].largestMACs)),
                  ]
                })),
            .facts([.init("Device", "\(device)")]),
            .details("Configuration", [.code(configuration.text)]),
          ]),
      ].filter { !$0.blocks.isEmpty },
      footer: [.init("Program", manifest.program), .init("Run begun", manifest.created)])
  }
}

/// The measured files of one space and seed that no other of them dominates, fastest first.
struct MeasuredFront {
  let models: [(milliseconds: Double, accuracy: Double)]

  init(_ records: [ModelRecord]) {
    var front: [(milliseconds: Double, accuracy: Double)] = []
    for model in records.sorted(by: { ($0.measuredMilliseconds, $1.accuracy) < ($1.measuredMilliseconds, $0.accuracy) })
    where model.accuracy > front.last?.accuracy ?? -1 {
      front.append((model.measuredMilliseconds, model.accuracy))
    }
    models = front
  }

  /// The accuracy that the front has at a latency; `nil` below its fastest model, level above its slowest.
  func accuracy(atMilliseconds latency: Double) -> Double? {
    guard let slower = models.firstIndex(where: { $0.milliseconds > latency }) else { return models.last?.accuracy }
    guard slower > 0 else { return nil }
    let (a, b) = (models[slower - 1], models[slower])
    let share = log(latency / a.milliseconds) / log(b.milliseconds / a.milliseconds)
    return a.accuracy + share * (b.accuracy - a.accuracy)
  }

  /// The latency at which the front reaches an accuracy: that of its fastest model where this one has more already,
  /// `nil` where no model has so much.
  func milliseconds(atAccuracy accuracy: Double) -> Double? {
    guard let better = models.firstIndex(where: { $0.accuracy >= accuracy }) else { return nil }
    guard better > 0 else { return models[0].milliseconds }
    let (a, b) = (models[better - 1], models[better])
    let share = (accuracy - a.accuracy) / (b.accuracy - a.accuracy)
    return a.milliseconds * exp(share * log(b.milliseconds / a.milliseconds))
  }
}
