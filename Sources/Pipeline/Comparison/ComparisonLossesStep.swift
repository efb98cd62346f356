import DeviceLatency
import Foundation
import NetworkGraphs
import Reports
import RunFolders
import SearchSpaces
import TorchTraining

/// The stage losses of the subnets that a comparison has exported: whether they rank the files of different spaces is
/// what the design of a space stands on.
struct ComparisonLossesStep {
  let context: RunContext
  let distillation: DistillationStep

  /// - Returns: Each compared file's subnet once, with the accuracy of its file; the mean where several seeds chose it.
  func run(_ comparison: [ComparisonRecord]) throws -> ComparedLosses {
    var accuracies: [SubnetOfSpace: [Double]] = [:]
    var models: [(key: SubnetOfSpace, model: ModelRecord)] = []
    for record in comparison {
      // Two latencies may share a file.
      var files = Set<String>()
      for model in record.models where files.insert(model.file).inserted {
        let key = SubnetOfSpace(space: record.arm.space, subnet: model.subnet)
        if accuracies[key] == nil { models.append((key, model)) }
        accuracies[key, default: []].append(model.accuracy)
      }
    }
    var judged: [SubnetOfSpace: RankedSubnet] = [:]
    func note(_ record: RankedSubnet) {
      guard let space = record.space else { return }
      judged[SubnetOfSpace(space: space, subnet: record.subnet)] = record
    }
    let log = try context.folder.records("comparison-losses", of: RankedSubnet.self, each: note)
    let open = models.filter { judged[$0.key] == nil }
    if !open.isEmpty {
      let losses = try StageLosses(
        of: Set(open.map(\.key.space)), distillation: distillation, context: context)
      let progress = context.display.begin(
        "Judge the compared subnets by stage losses", unit: "subnets", total: models.count,
        alreadyDone: models.count - open.count)
      defer { progress.finish() }
      try context.pool.forEach(open.count) { position in
        try Interruption.check()
        let (key, model) = open[position]
        try log.append(
          RankedSubnet(
            space: key.space, subnet: key.subnet, cost: context.graph(key.subnet, of: key.space).cost,
            predictedMilliseconds: model.predictedMilliseconds, stageLosses: try losses(of: key.subnet, in: key.space),
            supernetAccuracy: nil))
        progress.advance()
      }
      try RecordLog<RankedSubnet>.all(context.folder.paths.recordFile("comparison-losses")).forEach(note)
    }
    return ComparedLosses(
      subnets: models.map { judged[$0.key]! }, accuracies: models.map { Statistics.mean(accuracies[$0.key]!) })
  }
}

/// Subnets of all compared spaces, with what their files have right.
struct ComparedLosses {
  let subnets: [RankedSubnet]
  /// Share of the test images.
  let accuracies: [Double]

  /// `nil` where there are too few files for a correlation.
  var table: Table? {
    guard subnets.count >= 3 else { return nil }
    return RankingAgreement.table(
      RankingAgreement.all(subnets, accuracies),
      caption: "Kendall's tau with the test images that the files have right, over the "
        + "\(NumberText.count(subnets.count)) subnets of all spaces and seeds.")
  }
}
