public import DeviceLatency
public import Foundation
public import Reports
import RunFolders

/// The pictures and tables of a study.
public struct StudyReport {
  public let findings: StudyFindings

  public init(_ findings: StudyFindings) { self.findings = findings }

  /// Writes the page.
  public func write(to url: URL) throws { try AtomicFile.write(Data(page.html().utf8), to: url) }

  public var gains: Table {
    Table(
      caption: "How many times faster INT8 is than float, over all widths and sizes.",
      columns: [.init("Operation"), .number("Median"), .number("Least"), .number("Most"), .init("INT8")],
      rows: findings.gains.map {
        [
          Table.Cell($0.name), Table.Cell(NumberText.fixed($0.median, decimals: 2), isEmphasised: true),
          Table.Cell(NumberText.fixed($0.smallest, decimals: 2)), Table.Cell(NumberText.fixed($0.largest, decimals: 2)),
          Table.Cell($0.isWorthwhile ? "pays" : "gains nothing"),
        ]
      })
  }

  public var widths: Table {
    func ratio(_ value: Double?) -> Table.Cell {
      Table.Cell(value.map { NumberText.fixed($0, decimals: 2) } ?? "n/a")
    }
    return Table(
      caption:
        "How much longer a width takes per MAC than its two neighbours: odd multiples of 8 beside multiples of 16, "
        + "odd multiples of 16 beside multiples of 32.",
      columns: [
        .init("Operation"), .number("Odd multiples of 8"), .number("Odd multiples of 16"),
        .number("Keep to multiples of"),
      ],
      rows: findings.widthSteps.map {
        [
          Table.Cell($0.name), ratio($0.oddMultiplesOf8), ratio($0.oddMultiplesOf16),
          Table.Cell("\($0.multiple)", isEmphasised: $0.multiple > 8),
        ]
      })
  }

  public var blocks: Table {
    Table(
      caption: "What blocks cost as INT8, median over widths and sizes; a block deserves a place where it costs, per "
        + "MAC or per parameter, at most half as much again as the cheapest.",
      columns: [
        .init("Block"), .number("Time per 1000 MACs", unit: "ns"), .number("Time per parameter", unit: "ns"),
        .number("INT8 speed-up"), .init("Place"),
      ],
      rows: findings.blockCosts.map {
        [
          Table.Cell($0.name), Table.Cell(NumberText.significant($0.nanosecondsPerKiloMAC)),
          Table.Cell(NumberText.significant($0.nanosecondsPerParameter)),
          Table.Cell($0.speedUp.map { NumberText.fixed($0, decimals: 2) } ?? "n/a"),
          Table.Cell($0.deservesPlace ? "deserved" : "", isEmphasised: $0.deservesPlace),
        ]
      })
  }

  /// The part of a run's report: what the device is good at, next to the space that was found for it.
  var section: ReportPage.Section {
    .init(
      "What the device is good at",
      [
        .list(findings.sentences),
        .figure(
          speedUps, caption: "INT8 speed-up over float by operation, side of the map and width; parts timed alone."),
        .table(blocks),
        .details(
          "Widths", [.table(widths), .figure(timePerMAC, caption: "INT8 time per MAC against width.")]),
      ])
  }

  private var page: ReportPage {
    ReportPage(
      title: "What INT8 gains on \(findings.device.name)", subtitle: "\(findings.device)",
      opening: [.list(findings.sentences)],
      sections: [
        .init(
          "INT8 against float",
          [
            .paragraph(
              "Every operation was timed alone, as the difference of a chain of five and a chain of one between the "
                + "same two convolutions, in INT8 and in float. Activations and the residual addition follow a 1x1 "
                + "convolution, as they do in networks."
            ),
            .table(gains), .figure(speedUps, caption: "Speed-up by operation, size of the map and width."),
          ]),
        .init(
          "Widths",
          [.table(widths), .figure(timePerMAC, caption: "INT8 time per MAC against width, at multiples of 8.")]),
        .init("Blocks", [.table(blocks)]),
        .init(
          "The measurement",
          [
            .facts([
              .init("Device", "\(findings.device)"),
              .init(
                "Undisturbed by other work", NumberText.percentage(of: findings.gatedShare, decimals: 1)),
            ])
          ]),
      ])
  }

  private var speedUps: HeatMap {
    var rows: [(name: String, size: Int)] = []
    for row in findings.operations where !rows.contains(where: { $0 == (row.name, row.size) }) {
      rows.append((row.name, row.size))
    }
    let columns = Set(findings.operations.map(\.width)).sorted()
    return HeatMap(
      "INT8 speed-up", quantity: "INT8 speed-up over float", rowHeading: "Operation, side of the map",
      columnHeading: "Channels", rows: rows.map { "\($0.name), \($0.size)" }, columns: columns.map { "\($0)" },
      values: rows.map { row in
        columns.map { width in
          findings.operations.first { ($0.name, $0.size, $0.width) == (row.name, row.size, width) }?.microseconds
            .speedUp
        }
      }, below: "INT8 slower", above: "INT8 faster")
  }

  private var timePerMAC: XYChart {
    var names: [String] = []
    for row in findings.steps where !names.contains(row.name) { names.append(row.name) }
    return XYChart(
      "Time per MAC against width", x: Axis("Channels"),
      y: Axis("INT8 time", unit: "ns per 1000 MACs", scale: .logarithmic),
      series: names.map { name in
        .init(
          name, style: .lineAndPoints,
          points: findings.steps.filter { $0.name == name }.compactMap { row in
            row.microseconds.int8.map { .init(x: Double(row.width), y: 1e6 * $0 / Double(row.macs)) }
          })
      })
  }
}
