import Datasets
import DeviceLatency
import Foundation
import InferenceRuntimes
import NetworkGraphs
import Pipeline
import Quantization
import SearchSpaces
import Synchronization
import Testing

@Suite struct AgreementTests {
  @Test(arguments: [("mini32", 32, 3), ("onnxw", 32, 1), ("mobilew", 32, 1)])
  func `trainer, integers and runtime agree in every logit, and no convolution is left in real numbers`(
    name: String, resolution: Int, subnets: Int
  ) throws {
    let hyperspace = try #require(Hyperspace.builtIn(name))
    let images = try ImageSource(name: "fashion-mnist", folder: nil, size: nil).load(.test)
    let result = try AgreementCheck(
      hyperspace: hyperspace, data: images,
      settings: .init(subnets: subnets, images: 20, resolution: resolution, steps: 4, batch: 8)
    ).run()
    #expect(result.subnets == subnets && result.integersAndRuntime.images == 20 * subnets)
    #expect(result.integersAndRuntime.identical == 20 * subnets)
    #expect(result.integersAndRuntime.sameClass == 20 * subnets && result.integersAndRuntime.largestSteps == 0)
    #expect(result.floatProducts == 0)
    #expect(result.trainerAndRuntime == result.integersAndRuntime)
  }

  @Test func `what is on record is not checked again, unless something about it has changed`() throws {
    let hyperspace = try #require(Hyperspace.builtIn("mini32"))
    let images = try ImageSource(name: "fashion-mnist", folder: nil, size: nil).load(.test)
    let file = FileManager.default.temporaryDirectory.appending(path: "agreement-\(UUID().uuidString).jsonl")
    defer { try? FileManager.default.removeItem(at: file) }
    func check(subnets: Int, first: Int = 0, seed: UInt64 = 1, record: Bool = true) throws -> AgreementCheck {
      try AgreementCheck(
        hyperspace: hyperspace, data: images,
        settings: .init(
          subnets: subnets, images: 10, steps: 2, batch: 4, seed: seed, first: first, record: record ? file : nil))
    }
    #expect(try check(subnets: 2).run().subnets == 2)
    do {
      let continued = try check(subnets: 3)
      #expect(continued.alreadyDone == 2)
      let sums = Mutex([Int]())
      let result = try continued.run { sum in sums.withLock { $0.append(sum.subnets) } }
      #expect(sums.withLock { $0 } == [3])
      #expect(try result == check(subnets: 3, record: false).run())
    }
    #expect(try check(subnets: 3).alreadyDone == 3)
    #expect(try check(subnets: 3, first: 2).alreadyDone == 1)
    #expect(try check(subnets: 3, seed: 2).alreadyDone == 0)
  }

  @Test func `the first node that differs is found, and none where the arithmetic is the runtime's`() throws {
    // Averages of nine bytes of which every other one is as good as a tie: the two runtimes round them differently.
    let pool = KernelSignature(
      kind: .globalAveragePool, input: TensorShape(channels: 512, height: 3, width: 3), range: .unbounded)
    var network = IntegerNetwork(randomWeights: 1, for: NetworkGraph(pool))
    let input = AffineQuantizer(scale: 0.013, zeroPoint: 100)
    network.quantizers = [input, AffineQuantizer(scale: 2 * input.scale / 9, zeroPoint: 50)]
    var generator = SeededGenerator(seed: 8, stream: "first-difference")
    let image = (0..<512 * 9).map { _ in UInt8(96 + generator.next(below: 9)) }
    #expect(try FirstDifference.find(network, image: image, runtime: .onnxRuntime) == nil)
    network.graph.arithmetic = .openVINO
    let first = try #require(try FirstDifference.find(network, image: image, runtime: .onnxRuntime))
    #expect(first.node == network.graph.nodes[1].name && first.operation == "globalAveragePool")
    #expect(first.bytes > 0 && first.of == 512 && first.steps == 1)

    // Whole networks, whose parts take what they need of the nodes before them.
    let hyperspace = try #require(Hyperspace.builtIn("mini32"))
    for type in hyperspace.blockTypes.indices {
      var space = hyperspace.randomSpace(using: &generator)
      space.blockTypes = space.blockTypes.map { _ in type }
      let graph = try NetworkGraph(hyperspace.randomSubnet(of: space, using: &generator), of: space, in: hyperspace)
      let network = IntegerNetwork(randomWeights: 3, for: graph)
      let image = (0..<1_024).map { _ in UInt8(generator.next(below: 256)) }
      #expect(try FirstDifference.find(network, image: image, runtime: .onnxRuntime) == nil)
    }
  }

  @Test func `too few images are refused`() throws {
    let hyperspace = try #require(Hyperspace.builtIn("mini32"))
    let images = try ImageSource(name: "fashion-mnist", folder: nil, size: nil).load(.test)
    #expect {
      try AgreementCheck(hyperspace: hyperspace, data: images, settings: .init(subnets: 1, images: 10_000))
    } throws: {
      "\($0)".contains("256 to train on")
    }
  }
}
