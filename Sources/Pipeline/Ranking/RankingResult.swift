import DeviceLatency
import Reports
import RunFolders
import SearchSpaces

/// How well each way of judging a subnet ranks subnets, with what is said of it.
struct RankingResult {
  let subnets: [RankedSubnet]
  let alone: [AloneRecord]
  let steps: Int

  /// Networks that were trained alone, and their mean accuracy over the repetitions.
  private var trained: [(subnet: RankedSubnet, accuracy: Double)] {
    subnets.compactMap { subnet in
      let accuracies = alone.filter { $0.subnet == subnet.subnet && $0.space == subnet.space }.map(\.accuracy)
      return accuracies.isEmpty ? nil : (subnet, Statistics.mean(accuracies))
    }
  }

  /// With training alone as the truth.
  var withAlone: [RankingAgreement] {
    let trained = trained
    return RankingAgreement.all(trained.map(\.subnet), trained.map(\.accuracy))
  }

  /// With the supernet as the truth; `nil` where there is none.
  var withSupernet: [RankingAgreement]? {
    let accuracies = subnets.compactMap(\.supernetAccuracy)
    guard accuracies.count == subnets.count else { return nil }
    return RankingAgreement.all(subnets, accuracies, supernetIsTruth: true)
  }

  /// Kendall's tau between two trainings of the same networks alone: no judge can be expected to agree better.
  var repeatability: Double? {
    let repetitions = Set(alone.map(\.repetition)).sorted()
    guard repetitions.count > 1 else { return nil }
    func accuracy(_ subnet: RankedSubnet, _ repetition: Int) -> Double? {
      alone.first { $0.repetition == repetition && $0.subnet == subnet.subnet && $0.space == subnet.space }?.accuracy
    }
    let pairs = subnets.compactMap { subnet in
      accuracy(subnet, repetitions[0]).flatMap { a in accuracy(subnet, repetitions[1]).map { (a, $0) } }
    }
    return pairs.count < 3 ? nil : Statistics.kendallTau(pairs.map(\.0), pairs.map(\.1))
  }

  // MARK: - Tables

  var aloneTable: Table {
    let seeds = Set(alone.map(\.repetition)).count
    let ceiling =
      repeatability.map {
        " Two trainings of the same networks agree with each other by \(NumberText.fixed($0, decimals: 2))."
      } ?? ""
    return RankingAgreement.table(
      withAlone,
      caption:
        "Kendall's tau with the accuracy of \(NumberText.count(withAlone[0].networks)) networks, each trained alone "
        + "for \(NumberText.count(steps)) steps in float and \(NumberText.count(max(1, steps / 4))) with every quantiser in "
        + "place, mean over \(seeds) seed\(seeds == 1 ? "" : "s").\(ceiling)")
  }

  /// `nil` where no supernet has judged the subnets.
  var supernetTable: Table? {
    withSupernet.map {
      RankingAgreement.table(
        $0, caption: "Kendall's tau with the accuracy in the supernet, over \(NumberText.count(subnets.count)) subnets."
      )
    }
  }
}

/// Kendall's tau of one way of judging subnets with a truth, and with what size alone explains taken out.
public struct RankingAgreement: Codable, Hashable, Sendable {
  public var judge: String
  public var networks: Int
  public var tau: Double
  /// Where 90 % of the taus lie when networks are drawn again with replacement.
  public var interval: [Double]
  /// Partial taus: among networks of equal MACs, and of equal latency.
  public var tauAtEqualMACs: Double
  public var tauAtEqualLatency: Double
}

extension RankingAgreement {
  /// A way of judging a subnet; the larger the better.
  private static let judges: [(name: String, value: @Sendable (RankedSubnet) -> Double?)] = [
    ("Sum of stage losses", { -$0.stageLosses.reduce(0, +) }),
    ("Sum of their logarithms", { -$0.stageLosses.reduce(0) { $0 + log(max($1, 1e-9)) } }),
    (supernet, { $0.supernetAccuracy }),
    ("MACs", { Double($0.macs) }),
    ("Parameters", { Double($0.parameters) }),
    ("Predicted latency", { $0.predictedMilliseconds }),
  ]

  private static let supernet = "Accuracy in the supernet"
  /// Stages of different weight, fitted to other networks than those that are ranked.
  private static let fitted = "Sum of logarithms with fitted weights"

  /// Each way of judging that all of the subnets have.
  ///
  /// - Parameters:
  ///   - truth: One accuracy a subnet.
  ///   - supernetIsTruth: The supernet is then no judge.
  static func all(_ subnets: [RankedSubnet], _ truth: [Double], supernetIsTruth: Bool = false) -> [RankingAgreement] {
    var values = judges.filter { $0.name != supernet || !supernetIsTruth }
      .map { (name: $0.name, values: subnets.compactMap($0.value)) }
      .filter { $0.values.count == subnets.count }
    let logarithms = subnets.map { $0.stageLosses.map { -log(max($0, 1e-9)) } }
    if let weighted = StageWeights.judged(logarithms, truth) {
      values.insert((fitted, weighted), at: 2)
    }
    return values.map { judge in
      RankingAgreement(
        judge: judge.name, networks: subnets.count, tau: Statistics.kendallTau(judge.values, truth),
        interval: Statistics.kendallTauInterval(judge.values, truth),
        tauAtEqualMACs: Statistics.partialKendallTau(judge.values, truth, given: subnets.map { Double($0.macs) }),
        tauAtEqualLatency: Statistics.partialKendallTau(
          judge.values, truth, given: subnets.map(\.predictedMilliseconds)))
    }
  }

  static func table(_ agreements: [RankingAgreement], caption: String) -> Table {
    func text(_ tau: Double) -> String { NumberText.fixed(tau, decimals: 2) }
    return Table(
      caption: caption + " Partial taus take out what MACs, or latency, explain.",
      columns: [
        .init("Rank by"), .number("Kendall's tau"), .number("90 % interval"), .number("At equal MACs"),
        .number("At equal latency"),
      ],
      rows: agreements.map {
        [
          Table.Cell($0.judge), Table.Cell(text($0.tau)),
          Table.Cell("\(text($0.interval[0])) to \(text($0.interval[1]))"),
          // Of size itself nothing is left at equal size.
          Table.Cell($0.judge == "MACs" ? "" : text($0.tauAtEqualMACs)),
          Table.Cell($0.judge == "Predicted latency" ? "" : text($0.tauAtEqualLatency)),
        ]
      })
  }
}

/// What a ranking study found.
public struct RankingAgreements: Encodable, Hashable, Sendable {
  private enum CodingKeys: CodingKey { case withAlone, withSupernet, repeatability }

  /// With the accuracy of networks that were trained alone.
  public var withAlone: [RankingAgreement]
  /// With the accuracy in the supernet; absent for subnets of many spaces.
  public var withSupernet: [RankingAgreement]?
  /// Kendall's tau between two trainings of the same networks alone; absent with one seed.
  public var repeatability: Double?
  /// For a terminal.
  public var text: String

  init(_ result: RankingResult) {
    withAlone = result.withAlone
    withSupernet = result.withSupernet
    repeatability = result.repeatability
    text = [result.aloneTable, result.supernetTable].compactMap(\.self).map { table in
      TextTable(table).text()
    }.joined(separator: "\n")
  }
}

extension RankingResult {
  /// What a run folder has of a study; `nil` where there was none.
  init?(_ population: RankingStudy.Population, in paths: RunFolderPaths) throws {
    subnets = try RecordLog<RankedSubnet>.all(paths.recordFile("\(population.prefix)-subnets"))
    let records = try RecordLog<AloneRecord>.all(paths.recordFile("\(population.prefix)-alone"))
    // The longest trainings there are.
    steps = records.map(\.steps).max() ?? 0
    alone = records.filter { [steps] in $0.steps == steps }
    guard trained.count >= 3 else { return nil }
  }
}

#if canImport(Glibc)
  private import Glibc
#elseif canImport(Darwin)
  private import Darwin
#elseif canImport(Musl)
  private import Musl
#endif
