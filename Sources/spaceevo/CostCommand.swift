import ArgumentParser
import Foundation
import NetworkGraphs
import Reports
import SearchSpaces
import SpaceEvolution

struct CostCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "cost",
    abstract: "MACs and parameters of a subnet, or a check of every row of published tables.")

  @OptionGroup var hyperspace: HyperspaceOptions

  @Option(help: "The search space, such as onnxw-151122-023231.")
  var space: String?

  @Option(help: "The subnet, such as d1#1#2_k…; the largest and the smallest of the space where left out.")
  var subnet: String?

  @Option(help: "Check the rows of the stage tables in this folder instead.", completion: .directory)
  var tables: String?

  @OptionGroup var output: OutputOptions

  mutating func validate() throws {
    guard (space == nil) != (tables == nil) else { throw ValidationError("Give either --space or --tables.") }
    if subnet != nil, space == nil { throw ValidationError("--subnet needs its --space.") }
  }

  private struct StageAnswer: Encodable {
    var name: String
    var macs: Int
    var parameters: Int
  }

  private struct Answer: Encodable {
    var subnet: String
    var macs: Int
    var parameters: Int
    var stages: [StageAnswer]
  }

  func run() throws {
    let hyperspace = try hyperspace.load()
    if let tables {
      try check(StageTables(folder: URL(filePath: tables), hyperspace: hyperspace))
      return
    }
    let space = try hyperspace.space(space!)
    let subnets =
      try subnet.map { [try hyperspace.subnet($0, in: space)] }
      ?? [hyperspace.smallestSubnet(of: space), hyperspace.largestSubnet(of: space)]
    let answers = try subnets.map { subnet in
      let graph = try NetworkGraph(subnet, of: space, in: hyperspace)
      return Answer(
        subnet: subnet.encoding, macs: graph.cost.macs, parameters: graph.cost.parameters,
        stages: zip(graph.stageNames, graph.stageCosts).map {
          StageAnswer(name: $0, macs: $1.macs, parameters: $1.parameters)
        })
    }
    if output.json {
      if subnet != nil { try printJSON(answers[0]) } else { try printJSON(answers) }
      return
    }
    for answer in answers {
      print(answer.subnet)
      let rows =
        answer.stages.map { ($0.name, $0.macs, $0.parameters) } + [("all", answer.macs, answer.parameters)]
      print(
        TextTable(
          Table(
            columns: [Table.Column("Stage"), .number("MACs", unit: "M"), .number("Parameters", unit: "M")],
            rows: rows.map {
              [
                Table.Cell($0.0), Table.Cell(NumberText.fixed(Double($0.1) / 1e6, decimals: 3)),
                Table.Cell(NumberText.fixed(Double($0.2) / 1e6, decimals: 4)),
              ]
            })
        ).text())
    }
  }

  private func check(_ tables: StageTables) throws {
    let check = tables.checkCosts()
    if output.json {
      try printJSON(check)
    } else {
      print("\(check.rows) rows checked, \(check.mismatches.count) do not agree")
      for mismatch in check.mismatches.prefix(20) {
        print(
          "\(mismatch.file):\(mismatch.line): \(mismatch.field) \(mismatch.table) M in the table, \(mismatch.computed) M computed"
        )
      }
    }
    if !check.mismatches.isEmpty { throw ExitCode(1) }
  }
}
