import DeviceLatency
import Foundation
import InferenceRuntimes
import NetworkGraphs
import ONNXExport
import Quantization
import SearchSpaces
import Testing

@Suite struct Exploration {
  @Test func kernels() throws {
    var generator = SeededGenerator(seed: 1)
    var kernels: [KernelSignature] = []
    for name in ["mini32", "onnxw"] {
      let h = try #require(Hyperspace.builtIn(name))
      var set = Set<KernelSignature>()
      for _ in 0..<20 {
        let space = h.randomSpace(using: &generator)
        let subnet = h.randomSubnet(of: space, using: &generator)
        for k in try NetworkGraph(subnet, of: space, in: h).kernelSignatures(isWhole: true) {
          if let k, k.input.count < 20_000 { set.insert(k) }
        }
      }
      print(name, set.count)
      kernels += set.sorted().filter { _ in generator.next(below: 4) == 0 }
    }
    var stats: [String: (Int, Int, Int)] = [:]
    for k in kernels where k.place == .inside {
      var net = IntegerNetwork(randomWeights: generator.next(), for: NetworkGraph(k))
      for i in net.quantizers.indices {
        net.quantizers[i].scale *= Float(0.7 + 0.6 * generator.uniform())
        if net.quantizers[i].zeroPoint != 0 { net.quantizers[i].zeroPoint = UInt8(100 + generator.next(below: 50)) }
      }
      let model = try ONNXModel.bytes(net, .init(interface: .maps(.channelsFirst)))
      let s = try OnnxRuntimeSession(model, .init(keepsOptimizedModel: true))
      let maps = net.graph.nodes.filter { $0.operation == .input }.map { n in
        (0..<n.shape.count).map { _ in UInt8(generator.next(below: 256)) }
      }
      let out = try s.run(maps: maps)
      let expected = net.evaluate(maps: maps).last!
      let differences = zip(out, expected).map { abs(Int($0) - Int($1)) }
      let kind = k.description.split(separator: " ")[0].split(separator: "-")[0]
      var e = stats["\(kind) \(k.range)"] ?? (0, 0, 0)
      e.0 += differences.count
      e.1 += differences.count { $0 > 0 }
      e.2 = max(e.2, differences.max()!)
      stats["\(kind) \(k.range)"] = e
      if differences.max()! > 1 || e.0 == differences.count { print(k, differences.max()!, try ONNXModelSummary(s.optimizedModel!).operations.map(\.type)) }
    }
    for (k, v) in stats.sorted(by: { $0.key < $1.key }) { print(k, v) }
  }
}
