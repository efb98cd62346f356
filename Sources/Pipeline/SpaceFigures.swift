import Foundation
public import Reports
public import SearchSpaces
public import SpaceEvolution

/// The pictures of a space search: how the score rose, what the best spaces have in common, and what subnets the best one
/// has under each constraint.
public struct SpaceFigures {
  let hyperspace: Hyperspace

  public init(_ hyperspace: Hyperspace) { self.hyperspace = hyperspace }

  /// Score against generation; at least two records.
  public func evolution(_ records: [EvolutionRecord]) -> ReportPage.Block {
    // One generation is as many spaces as live at a time, and the first has exactly these.
    let population = Double(max(1, records.count { $0.generation == 0 }))
    var points: [XYChart.Point] = []
    var leader: [XYChart.Point] = []
    // More points than can be told apart make a page heavy.
    let step = records.count / 1_500 + 1
    for record in records {
      let point = XYChart.Point(x: Double(record.index) / population, y: record.score.score)
      if record.index % step == 0 { points.append(point) }
      if record.score.score > leader.last?.y ?? -.infinity { leader.append(point) }
    }
    let chart = XYChart(
      "Aging evolution", x: Axis("Generation"), y: Axis("Q-T score"),
      series: [.init("Scored", style: .points, points: points), .init("Best so far", style: .front, points: leader)])
    return .figure(
      chart,
      caption:
        "Q-T score of the spaces that were scored, in order. A generation is \(NumberText.count(Int(population))) "
        + "spaces; the first one is random.")
  }

  /// The best spaces side by side, up to ten.
  public func bestSpaces(_ best: [QTScore]) -> ReportPage.Block {
    let stages = hyperspace.searchedStages
    let diagram = StageDiagram(
      "The best spaces", stages: stages.map { .init($0.name, widths: $0.widths) },
      blockTypes: hyperspace.blockTypes.enumerated().map { .init(key: "\($0)", name: $1.name) },
      spaces: best.prefix(10).map { record in
        .init(
          record.space.encoding, figure: NumberText.fixed(record.score, decimals: 4),
          choices: zip(zip(record.space.blockTypes, record.space.windows), stages).map { choice, stage in
            .init(blockType: choice.0, window: choice.1..<choice.1 + stage.windowSize)
          })
      }, figureHeading: "Q-T score")
    return .figure(
      diagram,
      caption: "The best spaces, stage by stage: block type and the window of widths (channels) that stays elastic.")
  }

  /// How latency and loss are spread over the subnets of a space, and where the constraints cut.
  ///
  /// Drawn from random subnets, by the scorer's rule; empty where the space has none.
  public func subnets(of space: SearchSpace, scorer: QTScorer, count: Int = 20_000) -> [ReportPage.Block] {
    let subnets = scorer.sampledSubnets(of: space, count: count, seed: 1)
    guard !subnets.isEmpty else { return [] }
    let constraints = scorer.constraints.map(\.milliseconds)
    func text(_ milliseconds: Double) -> String { "\(NumberText.significant(milliseconds)) ms" }
    let latency = HistogramChart(
      "Latency of the subnets", x: Axis("INT8 latency", unit: "ms"),
      series: [.init(space.encoding, values: subnets.map(\.latencyMilliseconds))],
      constraints: constraints.map { .init($0, label: text($0)) })
    let under = constraints.compactMap { constraint -> HistogramChart.Series? in
      let losses = subnets.filter { $0.latencyMilliseconds <= constraint }.map(\.loss)
      return losses.isEmpty ? nil : .init("under \(text(constraint))", values: losses)
    }
    let loss = HistogramChart(
      "Loss of the subnets", x: Axis("Sum of the stages' quantised losses"),
      series: [.init("all subnets", values: subnets.map(\.loss))] + under)
    let sample = "\(NumberText.count(subnets.count)) random subnets of \(space.encoding)"
    return [
      .figure(latency, caption: "\(sample): what lies under each constraint."),
      .figure(
        loss,
        caption:
          "The same subnets: all, and those under each constraint. The score's tail loss is the mean of the best."),
    ]
  }

  /// A page of its own about some spaces.
  public func page(
    best: [QTScore], scorer: QTScorer, history: [EvolutionRecord] = [], remarks: [String] = []
  ) -> ReportPage {
    var blocks: [ReportPage.Block] = remarks.map { .paragraph($0) }
    if !best.isEmpty { blocks += [.table(QTScoreTable(best).table), bestSpaces(best)] }
    if history.count > 1 { blocks.append(evolution(history)) }
    if let first = best.first { blocks += subnets(of: first.space, scorer: scorer) }
    let constraints = scorer.constraints.map { NumberText.significant($0.milliseconds) }.joined(separator: ", ")
    return ReportPage(
      title: "Search spaces of \(hyperspace.name)",
      subtitle: best.first.map {
        "The best is \($0.space.encoding), with a Q-T score of \(NumberText.fixed($0.score, decimals: 5)) at \(constraints) ms."
      } ?? "No space has a score at \(constraints) ms.", sections: [.init("Search spaces", blocks)],
      footer: [.init("Program", Program.name)])
  }
}

/// Scores as a table, one row a space and constraint.
public struct QTScoreTable {
  public let table: Table

  public init(_ scores: [QTScore]) {
    let columns = [
      Table.Column("Space"), .number("Q-T score"), .number("Latency", unit: "ms"), .number("Share under it"),
      .number("Tail loss"), .number("Score there"),
    ]
    let rows = scores.flatMap { score in
      score.constraints.enumerated().map { index, constraint in
        [
          Table.Cell(index == 0 ? score.space.encoding : ""),
          Table.Cell(index == 0 ? NumberText.fixed(score.score, decimals: 5) : ""),
          Table.Cell(NumberText.significant(constraint.latencyMilliseconds)),
          Table.Cell(NumberText.fixed(constraint.feasibleFraction, decimals: 6)),
          Table.Cell(NumberText.fixed(constraint.tailLoss, decimals: 5)),
          Table.Cell(NumberText.fixed(constraint.score, decimals: 5)),
        ]
      }
    }
    table = Table(columns: columns, rows: rows)
  }
}
