import Foundation
public import InferenceRuntimes
import NetworkGraphs
import ONNXExport
public import Quantization

/// The first node of a network whose bytes a runtime gives differently for an image: where to look for the reason why the
/// two don't agree.
///
/// The network is cut off after one node after the other, exported and run. What a runtime fuses across the cut it computes
/// otherwise there, so that a node found is a hint, and none found says no more than that the parts agree.
public struct FirstDifference: Hashable, Sendable, Codable {
  public var node: String
  public var operation: String
  /// Bytes of the node's map that differ.
  public var bytes: Int
  /// All bytes of the map.
  public var of: Int
  /// The largest difference of two bytes.
  public var steps: Int

  /// - Parameter image: Channels x height x width.
  /// - Returns: `nil` where every part gives the same bytes.
  /// - Throws: What export or runtime throw.
  public static func find(
    _ network: IntegerNetwork, image: [UInt8], runtime: LocalRuntime
  ) throws -> FirstDifference? {
    let expected = network.evaluate(image)
    for index in network.graph.nodes.indices.dropFirst() where network.graph.nodes[index].quantizesOutput {
      let model = try ONNXModel.bytes(
        network.prefix(through: index), .init(input: .maps(.channelsFirst), output: .map(.channelsFirst)))
      let map = try runtime.session(model).run(maps: [image])
      let steps = zip(map, expected[index]).map { abs(Int($0) - Int($1)) }
      guard let most = steps.max(), most > 0 else { continue }
      let node = network.graph.nodes[index]
      return FirstDifference(
        node: node.name, operation: "\(node.operation)", bytes: steps.count { $0 > 0 }, of: steps.count, steps: most)
    }
    return nil
  }
}

extension IntegerNetwork {
  /// The nodes up to one, which becomes the output, without those that it does not need.
  func prefix(through last: Int) -> IntegerNetwork {
    var isNeeded = [Bool](repeating: false, count: last + 1)
    isNeeded[last] = true
    // Images come in by the first node in any case.
    isNeeded[0] = true
    for index in stride(from: last, through: 0, by: -1) where isNeeded[index] {
      for input in graph.nodes[index].inputs { isNeeded[input] = true }
    }
    let kept = isNeeded.indices.filter { isNeeded[$0] }
    let positions = Dictionary(uniqueKeysWithValues: kept.enumerated().map { ($1, $0) })
    var graph = graph
    graph.nodes = kept.map { index in
      var node = graph.nodes[index]
      node.inputs = node.inputs.map { positions[$0]! }
      return node
    }
    graph.stageOutputs = graph.stageOutputs.map { positions[$0] ?? graph.nodes.count - 1 }
    return IntegerNetwork(
      graph: graph, quantizers: kept.map { quantizers[$0] },
      convolutions: Dictionary(
        uniqueKeysWithValues: convolutions.compactMap { index, numbers in positions[index].map { ($0, numbers) } }))
  }
}
