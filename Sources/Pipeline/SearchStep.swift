import DeviceLatency
import NetworkGraphs
import RunFolders
import SearchSpaces
import SpaceEvolution
import TorchTraining

/// The accuracy-latency front of the supernet's subnets: predicted INT8 latency against the accuracy of the integers on
/// validation images, with batch norm statistics of each subnet's own.
struct SearchStep {
  let context: RunContext
  let space: SearchSpace
  let predictor: LatencyPredictor
  /// The largest latency that the space was designed for; slower subnets are not asked for.
  let maximumMilliseconds: Double
  /// Where the most accurate subnet under each latency is asked for, and not the front: one search a latency.
  var constraintsMilliseconds: [Double] = []

  func run(_ store: ParameterStore) throws -> [SubnetRecord] {
    let settings = context.configuration.search
    let hyperspace = context.hyperspace
    var known: [Subnet: SubnetRecord] = [:]
    var log: RecordLog<SubnetRecord>?
    let earlier = try context.fromLeader { () throws -> [SubnetRecord] in
      var records: [SubnetRecord] = []
      log = try context.folder.records("subnets") { records.append($0) }
      return records
    }
    for record in earlier { known[record.subnet] = record }
    let isFront = settings.selection == .front || constraintsMilliseconds.isEmpty
    let searches = (isFront ? [maximumMilliseconds] : constraintsMilliseconds).map { limit in
      SubnetSearch(
        hyperspace: hyperspace, space: space,
        settings: .init(
          selection: settings.selection, population: settings.population, generations: settings.generations,
          mutations: settings.mutations, crossovers: settings.crossovers, maximumLatencyMilliseconds: limit),
        seed: context.seed(for: "search"))
    }
    let progress = context.display.begin(
      "Search the subnets", unit: "subnets",
      total: searches.count
        * (settings.population + settings.generations * (settings.mutations + settings.crossovers)),
      alreadyDone: known.count)
    defer { progress.finish() }
    let evaluator = try context.evaluator(images: settings.images)
    var records: [SubnetRecord] = []
    var unreachable: SubnetSearch.Unreachable?
    for search in searches {
      do {
        records += try run(search)
      } catch let error as SubnetSearch.Unreachable {
        // The other latencies may well be reached.
        unreachable = error
        if searches.count > 1 { context.display.note("\(error)") }
      }
    }
    if records.isEmpty, let unreachable { throw unreachable }
    return records

    func run(_ search: SubnetSearch) throws -> [SubnetRecord] {
      var records: [SubnetRecord] = []
      _ = try search.run { subnet in
        predictor.milliseconds(of: try NetworkGraph(subnet, of: space, in: hyperspace))
      } evaluate: { generation, subnets in
        let missing = subnets.filter { known[$0] == nil }
        let accuracies = try context.shared(missing.count) { index in
          try Interruption.check()
          let graph = try NetworkGraph(missing[index], of: space, in: hyperspace)
          defer { progress.advance() }
          return try evaluator.accuracy(of: graph, store, precision: .quantized)
        }
        // By generation and in the order of the draw, whichever worker was first.
        let fresh = try zip(missing, accuracies).map { subnet, accuracy in
          SubnetRecord(
            generation: generation, subnet: subnet,
            predictedMilliseconds: predictor.milliseconds(of: try NetworkGraph(subnet, of: space, in: hyperspace)),
            accuracy: accuracy)
        }
        try log?.append(contentsOf: fresh)
        for record in fresh { known[record.subnet] = record }
        records += subnets.map { known[$0]! }
        return subnets.map { known[$0]!.accuracy }
      }
      return records
    }
  }
}
