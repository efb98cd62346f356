import DeviceLatency
import Foundation
import NetworkGraphs
import SearchSpaces
import Testing

@Suite("Kernel signatures")
struct KernelSignatureTests {
  @Test("The text of every kernel stands for the kernel and back", arguments: ["mini32", "onnxw", "mobilew"])
  func text(hyperspace: String) throws {
    let graphs = try randomGraphs(hyperspace, count: 30)
    let kernels = Set(graphs.flatMap { $0.kernelSignatures(isWhole: true).compactMap(\.self) })
    #expect(kernels.count > 200)
    for kernel in kernels { #expect(KernelSignature(kernel.description) == kernel) }
    let json = try JSONEncoder().encode(kernels.sorted())
    #expect(try JSONDecoder().decode([KernelSignature].self, from: json) == kernels.sorted())
  }

  @Test("The network of a kernel has that kernel, with its cost", arguments: ["mini32", "onnxw", "mobilew"])
  func graph(hyperspace: String) throws {
    for graph in try randomGraphs(hyperspace, count: 10) {
      for (node, kernel) in zip(graph.nodes, graph.kernelSignatures(isWhole: false)) {
        guard let kernel else {
          #expect(node.operation == .input)
          continue
        }
        let alone = NetworkGraph(kernel)
        #expect(alone.kernelSignatures(isWhole: false).last == kernel)
        #expect(alone.outputShape == node.shape)
        #expect(alone.cost.macs == node.cost.macs)
        #expect(alone.nodes.last?.inputs.count == node.inputs.count)
      }
    }
  }

  @Test("Only the first and the last operation of a whole network are told apart from the others")
  func places() throws {
    let graph = try randomGraphs("mini32", count: 1)[0]
    let whole = graph.kernelSignatures(isWhole: true).compactMap(\.self)
    #expect(whole.first?.place == .first)
    #expect(whole.last?.place == .last)
    #expect(whole.count { $0.place == .inside } == whole.count - 2)
    #expect(graph.kernelSignatures(isWhole: false).allSatisfy { $0 == nil || $0?.place == .inside })
  }

  @Test(
    "Text that is no kernel is refused",
    arguments: [
      "", "conv", "conv-k3-s1-o8", "conv-k3-s1-o8 4x4", "conv-k3-s1-o0 4x4x4", "conv-k2-s1-o8 4x4x4",
      "depthwise-k3-s1-o4 4x4x4", "conv-k3-s1-o8 4x4x4 tanh", "softmax 4x4x4", "add 4x-4x4", "conv-k3-s1-o8-x 4x4x4",
      "add 99999999x1x1",
    ])
  func refusals(text: String) {
    #expect(KernelSignature(text) == nil)
    #expect(throws: DecodingError.self) {
      try JSONDecoder().decode([KernelSignature].self, from: JSONEncoder().encode([text]))
    }
  }
}
