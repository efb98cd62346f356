import Foundation
import NetworkGraphs
import Quantization
import SearchSpaces
import Testing
import TorchTraining

/// A supernet with every block type of `mini32`, and images that have something to learn.
struct SmallSupernet {
  let hyperspace: Hyperspace
  let space: SearchSpace
  let layout: ParameterLayout
  let pixels = AffineQuantizer(scale: 1 / 64, zeroPoint: 100)

  init(_ encoding: String, arithmetic: IntegerArithmetic = .onnxRuntime) throws {
    hyperspace = try #require(Hyperspace.builtIn("mini32")).computed(in: arithmetic)
    space = try hyperspace.space(encoding)
    layout = ParameterLayout(space, in: hyperspace)
  }

  static let encodings = ["mini32-0123-0000", "mini32-4512-1122", "mini32-3050-1013"]

  /// Graphs that touch every parameter.
  func graphs() throws -> [NetworkGraph] {
    var generator = SeededGenerator(seed: 1, stream: "graphs")
    return try layout.covering {
      try NetworkGraph(hyperspace.randomSubnet(of: space, using: &generator), of: space, in: hyperspace)
    }
  }

  func randomGraph(_ seed: Int) throws -> NetworkGraph {
    var generator = SeededGenerator(seed: UInt64(seed), stream: "graph")
    return try NetworkGraph(hyperspace.randomSubnet(of: space, using: &generator), of: space, in: hyperspace)
  }

  /// Pixels whose brightest quarter tells the class.
  func images(_ count: Int, seed: Int) -> (pixels: [[UInt8]], labels: [Int]) {
    var generator = SeededGenerator(seed: UInt64(seed), stream: "images")
    var images: [[UInt8]] = [], labels: [Int] = []
    for _ in 0..<count {
      let label = generator.next(below: 4)
      labels.append(label)
      images.append(
        (0..<1024).map { index in
          let quarter = (index / 512) * 2 + (index % 32) / 16
          return UInt8(80 + generator.next(below: 60) + (quarter == label ? 60 : 0))
        })
    }
    return (images, labels)
  }

  func tensor(_ images: [[UInt8]]) throws -> Tensor {
    try Tensor.bytes(images.flatMap(\.self), shape: [images.count, 1, 32, 32])
      .pixelsAsFloats(shift: Float(pixels.zeroPoint), factor: pixels.scale)
  }
}

@Suite struct SupernetTests {
  @Test("Parameters depend on seed and name only, and survive a file exactly")
  func store() throws {
    let supernet = try SmallSupernet(SmallSupernet.encodings[0])
    let store = try ParameterStore(supernet.layout, seed: 7)
    let same = try ParameterStore(supernet.layout, seed: 7), other = try ParameterStore(supernet.layout, seed: 8)
    let stem = "first_conv.weight"
    #expect(try store.tensor(stem).floats() == same.tensor(stem).floats())
    #expect(try store.tensor(stem).floats() != other.tensor(stem).floats())
    let url = FileManager.default.temporaryDirectory.appending(path: "store-\(UUID()).safetensors")
    defer { try? FileManager.default.removeItem(at: url) }
    try store.save(to: url)
    let loaded = try ParameterStore(supernet.layout, contentsOf: url)
    for name in supernet.layout.names {
      let (a, b) = (try store.tensor(name).floats(), try loaded.tensor(name).floats())
      #expect(a.map(\.bitPattern) == b.map(\.bitPattern), "\(name)")
    }
    let stranger = try SmallSupernet(SmallSupernet.encodings[1])
    let refusal = #expect(throws: TorchError.self) { try ParameterStore(stranger.layout, contentsOf: url) }
    #expect(refusal?.message.contains(url.path) == true)
    #expect(throws: TorchError.self) { try store.tensor("nobody.weight") }
  }

  @Test(
    "Training steps lower the loss, in float and then with every quantiser in place",
    arguments: SmallSupernet.encodings)
  func learns(encoding: String) throws {
    let supernet = try SmallSupernet(encoding)
    let store = try ParameterStore(supernet.layout, seed: 1)
    let graph = try supernet.randomGraph(3)
    let (pixels, labels) = supernet.images(32, seed: 5)
    let images = try supernet.tensor(pixels), targets = try Tensor.integers(labels, shape: [32])
    let optimizer = try SGD(
      store.tensors(supernet.layout.names), settings: store.settings(supernet.layout.names, weightDecay: 1e-4))
    func train(_ precision: Precision) throws -> [Double] {
      try (0..<12).map { _ in
        let loss = try store.forward(images, through: graph, precision: precision).flattened()
          .crossEntropy(labels: targets)
        let report = try optimizer.step(
          gradients: loss.gradients(of: optimizer.parameters), learningRate: 0.05, maximumNorm: 5)
        #expect(report.isApplied)
        return try loss.item()
      }
    }
    let float = try train(.float)
    #expect(float.last! < 0.8 * float[0])
    try store.calibrateQuantizers(graphs: [graph] + supernet.graphs(), batches: [images])
    let quantized = try train(.quantized)
    #expect(quantized.last! < float[0])
    #expect(quantized.allSatisfy { $0.isFinite })
    #expect(quantized[0] < float[0], "calibrated quantisers lost what the float phase had learnt")
  }

  @Test(
    "The forward pass of training computes the exported integers, byte for byte, with given statistics and the batch's",
    arguments: SmallSupernet.encodings, IntegerArithmetic.allCases)
  func integers(encoding: String, arithmetic: IntegerArithmetic) throws {
    let seed = 1
    let supernet = try SmallSupernet(encoding, arithmetic: arithmetic)
    let store = try ParameterStore(supernet.layout, seed: UInt64(seed))
    // Batch norms that scale, shift and flip signs.
    var generator = SeededGenerator(seed: UInt64(seed), stream: "batch norm")
    for name in supernet.layout.names {
      let count = try store.tensor(name).count
      switch supernet.layout.entries[name]?.role {
      case .batchNormScale:
        try store.tensor(name).assign(
          Tensor.floats((0..<count).map { _ in Float(0.3 + generator.normal()) }, shape: [count]))
      case .batchNormShift, .bias:
        try store.tensor(name).assign(
          Tensor.floats((0..<count).map { _ in Float(0.3 * generator.normal()) }, shape: [count]))
      default: break
      }
    }
    let graph = try supernet.randomGraph(seed)
    let (pixels, _) = supernet.images(16, seed: seed)
    let images = try supernet.tensor(pixels)
    try store.calibrateQuantizers(graphs: [graph] + supernet.graphs(), batches: [images])
    let statistics = try store.batchNormStatistics(of: graph, precision: .quantized, batches: [images])
    let network = try store.integerNetwork(graph, statistics: statistics, pixels: supernet.pixels)
    let (first, second) = (network.evaluate(pixels[0]), network.evaluate(pixels[1]))
    #expect(graph.nodes.contains { !$0.quantizesOutput } != arithmetic.roundsAddends)

    for normalization in [TorchTraining.Normalization.ofBatch, .given(statistics)] {
      var outputs: [[UInt8]] = []
      // Gradients are on: this is the very pass that trains.
      _ = try store.forward(images, through: graph, precision: .quantized, normalization: normalization) {
        (node) throws(TorchError) in
        outputs.append(try node.value.floats().map { network.quantizers[node.index].quantize($0) })
      }
      for (index, node) in graph.nodes.enumerated() where node.quantizesOutput {
        let size = node.shape.count
        #expect(Array(outputs[index][..<size]) == first[index], "\(node.name)")
        #expect(Array(outputs[index][size..<2 * size]) == second[index], "\(node.name)")
      }
    }

    // And all of them on libtorch: the very bytes, at every node, for several images at once.
    var bytes: [[Int]] = []
    let evaluation = try IntegerEvaluation(network)
    let two = try Tensor.bytes(pixels[0] + pixels[1], shape: [2, 1, 32, 32])
    _ = try evaluation.run(two) { (_, output) throws(TorchError) in bytes.append(try output.integers()) }
    for (index, node) in graph.nodes.enumerated() where node.quantizesOutput {
      #expect(bytes[index] == (first[index] + second[index]).map(Int.init), "\(node.name)")
    }
    let logits = first[graph.output]
    #expect(try evaluation.classes(two)[0] == logits.firstIndex(of: logits.max()!))
    #expect(throws: TorchError.self) { try evaluation.run(Tensor.bytes([0], shape: [1, 1, 1, 1])) }
  }

  @Test("Quantisers that no subnet touches are named, and an uncalibrated supernet is not exported")
  func uncalibrated() throws {
    let supernet = try SmallSupernet(SmallSupernet.encodings[1])
    let store = try ParameterStore(supernet.layout, seed: 1)
    let smallest = try NetworkGraph(
      supernet.hyperspace.smallestSubnet(of: supernet.space), of: supernet.space, in: supernet.hyperspace)
    let images = try supernet.tensor(supernet.images(4, seed: 1).pixels)
    let refusal = #expect(throws: TorchError.self) {
      try store.calibrateQuantizers(graphs: [smallest], batches: [images])
    }
    let missed = store.quantizersMissed(by: [smallest])
    #expect(!missed.isEmpty && refusal?.message.contains(missed[0]) == true)
    #expect(try store.uncalibratedQuantizers(of: smallest).contains("first_conv.weight_scale"))
    let statistics = try store.batchNormStatistics(of: smallest, precision: .float, batches: [images])
    #expect(throws: TorchError.self) {
      try store.integerNetwork(smallest, statistics: statistics, pixels: supernet.pixels)
    }
    #expect(throws: TorchError.self) { try store.calibrateQuantizers(graphs: supernet.graphs(), batches: []) }
    #expect(throws: TorchError.self) {
      try store.forward(Tensor.zeros(shape: [1, 3, 32, 32]), through: smallest, precision: .float)
    }
  }

  @Test(
    "Statistics over two batches are those of the first layer's outputs together, of whatever sizes", arguments: [6, 9])
  func statistics(first: Int) throws {
    let supernet = try SmallSupernet(SmallSupernet.encodings[0])
    let store = try ParameterStore(supernet.layout, seed: 2)
    let graph = try supernet.randomGraph(1)
    let (pixels, _) = supernet.images(12, seed: 9)
    let parts = try [Array(pixels[..<first]), Array(pixels[first...])].map(supernet.tensor)
    let both = try store.batchNormStatistics(of: graph, precision: .float, batches: parts)
    let whole = try store.batchNormStatistics(of: graph, precision: .float, batches: [supernet.tensor(pixels)])
    let (a, b) = (try #require(both.moments["first_conv"]), try #require(whole.moments["first_conv"]))
    #expect(zip(a.mean, b.mean).allSatisfy { abs($0 - $1) <= 1e-4 * (1 + abs($1)) })
    #expect(zip(a.variance, b.variance).allSatisfy { abs($0 - $1) <= 1e-3 * (1e-3 + abs($1)) })
    #expect(throws: TorchError.self) {
      try store.batchNormStatistics(of: graph, precision: .float, batches: [])
    }
  }

  @Test("A float network with batch norm folded in holds the numbers of this very subnet")
  func floatNetwork() throws {
    let supernet = try SmallSupernet(SmallSupernet.encodings[2])
    let store = try ParameterStore(supernet.layout, seed: 2)
    let graph = try supernet.randomGraph(4)
    let images = try supernet.tensor(supernet.images(8, seed: 2).pixels)
    let statistics = try store.batchNormStatistics(of: graph, precision: .float, batches: [images])
    let network = try store.floatNetwork(graph, statistics: statistics, pixels: supernet.pixels)
    // The stem by hand, at a pixel in the middle: bias plus the sum over 3x3 pixels around (16, 16).
    let numbers = try #require(network.convolutions[1])
    let input = try images.floats()
    var sum = numbers.biases[0]
    for y in 0..<3 { for x in 0..<3 { sum += numbers.weights[3 * y + x] * input[(15 + y) * 32 + 15 + x] } }
    var output: [Float] = []
    _ = try store.forward(images, through: graph, precision: .float, normalization: .given(statistics)) {
      (node) throws(TorchError) in if node.index == 1 { output = try node.beforeRange.floats() }
    }
    #expect(abs(output[8 * 16 + 8] - sum) < 1e-4)
  }

  @Test("A smaller network takes over slices of a supernet's parameters")
  func adopts() throws {
    let supernet = try SmallSupernet(SmallSupernet.encodings[0])
    let store = try ParameterStore(supernet.layout, seed: 2)
    let graph = try supernet.randomGraph(6)
    let own = try ParameterStore(ParameterLayout([graph]), seed: 3)
    let adopted = try own.adopt(store)
    #expect(adopted.count == own.layout.names.count)
    let images = try supernet.tensor(supernet.images(4, seed: 1).pixels)
    let (a, b) = (
      try store.forward(images, through: graph, precision: .float).floats(),
      try own.forward(images, through: graph, precision: .float).floats()
    )
    #expect(zip(a, b).allSatisfy { abs($0 - $1) < 1e-4 * (1 + abs($1)) })
  }

  @Test("The cost of fake quantisation in a training step is printed")
  func cost() throws {
    let supernet = try SmallSupernet("mini32-1155-1222")
    let graph = try NetworkGraph(
      supernet.hyperspace.largestSubnet(of: supernet.space), of: supernet.space, in: supernet.hyperspace)
    let store = try ParameterStore(ParameterLayout([graph]), seed: 1)
    let (pixels, labels) = supernet.images(64, seed: 5)
    let images = try supernet.tensor(pixels), targets = try Tensor.integers(labels, shape: [64])
    try store.calibrateQuantizers(graphs: [graph], batches: [images])
    let optimizer = try SGD(
      store.tensors(store.layout.names), settings: store.settings(store.layout.names, weightDecay: 0))
    let before = try store.tensor("logits.weight").floats()
    // Processor time of one thread: the machine may be busy with other things.
    try Torch.setThreads(1)
    func seconds(_ precision: Precision) throws -> Double {
      let start = processorSeconds(CLOCK_THREAD_CPUTIME_ID)
      let loss = try store.forward(images, through: graph, precision: precision).flattened()
        .crossEntropy(labels: targets)
      try optimizer.step(gradients: loss.gradients(of: optimizer.parameters), learningRate: 1e-3)
      return processorSeconds(CLOCK_THREAD_CPUTIME_ID) - start
    }
    var best: [Precision: Double] = [.float: .infinity, .quantized: .infinity]
    for _ in 0..<5 {
      for precision in [Precision.float, .quantized] {
        best[precision] = min(best[precision]!, try seconds(precision))
      }
    }
    print(
      "training step, \(graph.cost.macs / 1_000_000) M MACs, batch 64, one thread: float \(best[.float]!) s, quantised "
        + "\(best[.quantized]!) s, ratio \(best[.quantized]! / best[.float]!)")
    #expect(try store.tensor("logits.weight").floats() != before)
  }
}

/// What a clock shows, in seconds.
private func processorSeconds(_ clock: clockid_t) -> Double {
  var time = timespec()
  clock_gettime(clock, &time)
  return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
}

@Suite struct DropoutTests {
  @Test("Dropout is for the largest subnet, keeps the mean, and is a function of seed, step and worker")
  func mask() throws {
    let supernet = try SmallSupernet(SmallSupernet.encodings[0])
    let store = try ParameterStore(supernet.layout, seed: 1)
    let (pixels, labels) = supernet.images(8, seed: 5)
    let batch = TrainingBatch(
      images: try supernet.tensor(pixels), labels: try Tensor.integers(labels, shape: [8]))
    let parameters = try store.tensors(store.layout.names)
    func contribution(dropout: Double, step: Int, worker: Int) throws -> (loss: Double, head: [Float], stem: [Float]) {
      let training = SupernetTraining(
        hyperspace: supernet.hyperspace, space: supernet.space,
        settings: .init(randomSubnets: 0, smallestInEveryStep: false, labelSmoothing: 0.1, dropout: dropout), seed: 3)
      let part = try training.contribution(
        graphs: training.graphs(step: 0), step: step, worker: worker, store: store, parameters: parameters,
        batch: batch, precision: .float)
      func gradient(_ name: String) throws -> [Float] {
        let index = try #require(store.layout.names.firstIndex(of: name))
        return try #require(part.gradients.sums[index]).floats()
      }
      return (part.loss, try gradient("logits.weight"), try gradient("first_conv.weight"))
    }
    let without = try contribution(dropout: 0, step: 1, worker: 0)
    let first = try contribution(dropout: 0.5, step: 1, worker: 0)
    let again = try contribution(dropout: 0.5, step: 1, worker: 0)
    #expect(first.loss == again.loss && first.head == again.head)
    #expect(first.loss != without.loss)
    #expect(try contribution(dropout: 0.5, step: 2, worker: 0).loss != first.loss)
    #expect(try contribution(dropout: 0.5, step: 1, worker: 1).loss != first.loss)

    let graph = try NetworkGraph(
      supernet.hyperspace.largestSubnet(of: supernet.space), of: supernet.space, in: supernet.hyperspace)
    let settings = SupernetTraining.Settings(
      randomSubnets: 1, smallestInEveryStep: true, labelSmoothing: 0, dropout: 0.25)
    let training = SupernetTraining(
      hyperspace: supernet.hyperspace, space: supernet.space, settings: settings, seed: 3)
    let mask = try #require(try training.dropoutMask(graph, images: 64, 0, 0)).floats()
    #expect(Set(mask) == [0, 1 / 0.75])
    // 64 images of 256 features: the mean of the mask is within five standard deviations of 1.
    let mean = mask.reduce(0, +) / Float(mask.count)
    let deviation = (1 / 0.75 - 1 as Float).squareRoot() / Float(mask.count).squareRoot()
    #expect(abs(mean - 1) < 5 * deviation)

    // With everything dropped the classifier has its biases only.
    let features = graph.nodes[try #require(graph.nodes.last?.inputs.first)].shape.channels
    let logits = try store.forward(
      batch.images, through: graph, precision: .float, dropout: Tensor.zeros(shape: [8, features, 1, 1])
    ).floats()
    #expect(try logits == Array(repeating: store.tensor("logits.bias").floats(), count: 8).flatMap(\.self))
  }
}
