import ArgumentParser
import DeviceLatency
import Foundation
import InferenceRuntimes
import NetworkGraphs
import Pipeline
import Reports
import RunFolders
import SearchSpaces

struct StudyCommand: ParsableCommand, KeepingNothing {
  static let configuration = CommandConfiguration(
    commandName: "study", abstract: "Which operations, widths and blocks are fast in INT8 on a device.",
    discussion: """
      The paper's section 3 for your device: INT8 against float for every operation over width, kernel and size; where \
      times step with the width; what the blocks of a hyperspace cost per MAC and per parameter. With --networks it \
      measures whole networks instead: the paper's SEQnets and those that they are compared with.
      """)

  @OptionGroup var device: DeviceOptions

  @Option(help: "The hyperspace whose blocks are compared: a built-in name or a YAML file.")
  var hyperspace = "onnxw"

  @Option(help: "At most this many minutes of measuring.")
  var minutes = 5.0

  @Option(help: "Where to write the page with the pictures; study-DEVICE.html where left out.")
  var report: String?

  @Flag(help: "Measure published networks, INT8 and float, in place of operations.")
  var networks = false

  @OptionGroup var output: OutputOptions

  mutating func validate() throws {
    guard minutes > 0, minutes <= 1_440 else { throw ValidationError("--minutes is above 0, at most 1440.") }
    try report.map { try checkPlace(of: $0) }
  }

  func run() throws {
    let display = ProgressDisplay(isQuiet: output.quiet)
    let meter = try device.load().meter(threads: device.threads) {
      display.note("The machine is busy: waiting for its full speed")
    } check: {
      try Interruption.check()
    }
    if networks { return try measureNetworks(meter, display) }
    let study = DeviceStudy(blockTypes: try Program.hyperspace(hyperspace).blockTypes)
    var shown: (step: StepProgress, done: Int)?
    let findings = try study.run(meter, budget: .seconds(60 * minutes)) { _ in
      try Interruption.check()
    } progress: { done, total in
      if shown == nil { shown = (display.begin("Study \(meter.device.name)", unit: "models", total: total), 0) }
      shown!.step.advance(by: done - shown!.done)
      shown!.done = done
    }
    shown?.step.finish()
    let page = URL(filePath: report ?? "study-\(meter.device.name).html")
    let pictures = StudyReport(findings)
    if findings.gatedShare < 0.9 {
      display.warn(
        "the machine was busy: \(NumberText.percentage(of: 1 - findings.gatedShare)) of the times were not taken at its full "
          + "speed")
    }
    if output.json {
      try printJSON(findings)
      return try pictures.write(to: page)
    }
    for table in [pictures.gains, pictures.widths, pictures.blocks] { print(TextTable(table).text()) }
    for sentence in findings.sentences { print(sentence) }
    try pictures.write(to: page)
    print(page.path(percentEncoded: false))
  }

  private struct NetworkAnswer: Encodable {
    var name: String
    var macs: Int
    var parameters: Int
    var float32Milliseconds: Double?
    var int8Milliseconds: Double?
    var speedUp: Double?
    var gated: Bool
  }

  private struct NetworksAnswer: Encodable {
    var device: String
    var networks: [NetworkAnswer]
  }

  private func measureNetworks(_ meter: any LatencyMeter, _ display: ProgressDisplay) throws {
    let networks = PublishedNetwork.all
    let requests = networks.flatMap { network in
      LatencyRequest.Precision.allCases.map { precision in
        LatencyRequest(.model("\(network.name) \(precision.rawValue)"), .network(network.graph, precision))
      }
    }
    let progress = display.begin(
      "Measure published networks on \(meter.device.name)", unit: "models", total: requests.count)
    var found: [LatencySubject: LatencyMeasurement] = [:]
    try meter.measure(requests, effort: .report, until: .now + .seconds(60 * minutes)) { measurement in
      try Interruption.check()
      found[measurement.subject] = measurement
      progress.advance()
    }
    progress.finish()
    let answers = networks.map { network -> NetworkAnswer in
      func one(_ precision: LatencyRequest.Precision) -> LatencyMeasurement? {
        found[.model("\(network.name) \(precision.rawValue)")]
      }
      let (int8, float) = (one(.int8), one(.float32))
      return NetworkAnswer(
        name: network.name, macs: network.graph.cost.macs, parameters: network.graph.cost.parameters,
        float32Milliseconds: float?.milliseconds, int8Milliseconds: int8?.milliseconds,
        speedUp: int8.flatMap { int8 in float.map { $0.nanoseconds / int8.nanoseconds } },
        gated: int8?.isGated == true && float?.isGated == true)
    }
    if output.json { return try printJSON(NetworksAnswer(device: "\(meter.device)", networks: answers)) }
    func text(_ value: Double?, _ decimals: Int) -> Table.Cell {
      Table.Cell(value.map { NumberText.fixed($0, decimals: decimals) } ?? "n/a")
    }
    print("\(meter.device)")
    print(
      TextTable(
        Table(
          columns: [
            .init("Network"), .number("MACs", unit: "M"), .number("Parameters", unit: "M"),
            .number("float32", unit: "ms"), .number("INT8", unit: "ms"), .number("Speed-up"), .init("Full speed"),
          ],
          rows: answers.map {
            [
              Table.Cell($0.name), text(Double($0.macs) / 1e6, 1), text(Double($0.parameters) / 1e6, 2),
              text($0.float32Milliseconds, 3), text($0.int8Milliseconds, 3), text($0.speedUp, 2),
              Table.Cell($0.gated ? "yes" : "no"),
            ]
          })
      ).text())
  }
}
