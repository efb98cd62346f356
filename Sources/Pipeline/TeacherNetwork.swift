import Foundation
import NetworkGraphs
import SearchSpaces
import TorchTraining

/// What the stages are distilled from: a network, and where in it the stages of a hyperspace begin and end.
struct TeacherNetwork {
  let graph: NetworkGraph
  /// Node indices: at the stem's end, then at each stage's.
  let boundaries: [Int]

  /// A network of the hyperspace's own form, whose stages are the hyperspace's.
  init(own block: String, widths: [Int], depths: [Int], hyperspace: Hyperspace) throws {
    guard let type = hyperspace.blockTypes.first(where: { $0.name == block }) else {
      throw TrainingError(
        "block: \"\(block)\" is no block type of hyperspace \(hyperspace.name), which has "
          + hyperspace.blockTypes.map(\.name).joined(separator: ", "))
    }
    guard widths.count == hyperspace.stages.count, depths.count == hyperspace.stages.count else {
      throw TrainingError(
        "widths and depths need one number for each of the \(hyperspace.stages.count) stages of "
          + "hyperspace \(hyperspace.name); they have \(widths.count) and \(depths.count)")
    }
    // The largest kernel and expansion that the type has.
    let stages = zip(widths, depths).map { width, depth in
      [BlockChoice](
        repeating: BlockChoice(kernel: type.kernels.last!, width: width, expansion: type.expansions.last),
        count: depth)
    }
    let subnet = Subnet(
      stemKernel: hyperspace.stem.kernel, stemWidth: hyperspace.stem.widths.last!, stages: stages,
      resolution: hyperspace.resolutions.last!)
    graph = NetworkGraph(
      subnet, choices: hyperspace.stages.map { _ in type }, strides: hyperspace.stages.map(\.stride),
      hyperspace: hyperspace)
    boundaries = Array(graph.stageOutputs.dropLast())
  }

  /// A published network, its boundaries matched to the hyperspace's by stride.
  ///
  /// Its stem keeps the full size where the hyperspace makes images smaller by at most 16, as those for small images do.
  init(_ network: EfficientNetLite, hyperspace: Hyperspace) throws {
    let name = "EfficientNet-Lite\(network.variant)"
    graph = network.graph
    boundaries = try Self.boundaries(of: graph, name: name, hyperspace: hyperspace)
  }

  /// The published network of a hyperspace's size.
  static func published(_ variant: Int, hyperspace: Hyperspace) throws -> EfficientNetLite {
    let resolution = hyperspace.resolutions.last!
    guard resolution.isMultiple(of: 32) else {
      throw TrainingError(
        "network: EfficientNet-Lite takes images of 32, 64, 96… pixels, and hyperspace \(hyperspace.name) has "
          + "\(resolution)")
    }
    let stride = hyperspace.stages.reduce(hyperspace.stem.stride) { $0 * $1.stride }
    return EfficientNetLite(
      variant: variant, resolution: resolution, imageChannels: hyperspace.imageChannels, classes: hyperspace.classes,
      stemStride: stride <= 16 ? 1 : 2)
  }

  /// For each boundary of the hyperspace the teacher's block of the same size; where several stages end at one size, the
  /// blocks of that size are shared out evenly among them.
  ///
  /// - Throws: `TrainingError` where the teacher has too few blocks of a size.
  private static func boundaries(of graph: NetworkGraph, name: String, hyperspace: Hyperspace) throws -> [Int] {
    func smaller(_ side: Int, _ stride: Int) -> Int { (side + stride - 1) / stride }
    var sides = [smaller(hyperspace.resolutions.last!, hyperspace.stem.stride)]
    for stage in hyperspace.stages { sides.append(smaller(sides.last!, stage.stride)) }
    // The last node of each block; the head is no part of any stage.
    var ends: [Int] = []
    var scope = ""
    for (index, node) in graph.nodes.enumerated() where node.convolution != nil || node.operation == .add {
      guard node.stage < graph.stageNames.count - 1 else { break }
      let block = node.name.split(separator: ".").dropLast().joined(separator: ".")
      if block == scope, !ends.isEmpty { ends.removeLast() }
      ends.append(index)
      scope = block
    }
    var result: [Int] = []
    while result.count < sides.count {
      let side = sides[result.count]
      let count = sides.count { $0 == side }
      let places = ends.filter { graph.nodes[$0].shape.height == side }
      guard places.count >= count else {
        let names = ([hyperspace.stem.name] + hyperspace.stages.map(\.name))[result.count..<result.count + count]
        throw TrainingError(
          "network: \(names.joined(separator: ", ")) of hyperspace \(hyperspace.name) end at \(side) x \(side), "
            + "where \(name) has \(places.count) blocks: its strides do not fit, so take a teacher of our own")
      }
      for index in 1...count { result.append(places[index * places.count / count - 1]) }
    }
    return result
  }
}
