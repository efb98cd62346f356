import DeviceLatency
import Foundation
import InferenceRuntimes
import NetworkGraphs
import ONNXExport
import Quantization
import SearchSpaces
import Testing

@Suite("Sessions of ONNX Runtime")
struct SessionTests {
  /// A classifier of mini32.
  func network(seed: UInt64 = 1) throws -> IntegerNetwork {
    let hyperspace = try #require(Hyperspace.builtIn("mini32"))
    var generator = SeededGenerator(seed: seed)
    let graph = ParityTests.graph(hyperspace, type: 1, resolution: 32, &generator)
    return IntegerNetwork(randomWeights: seed, for: graph)
  }

  @Test("Evaluation counts what the model names right, whatever the batch")
  func evaluation() throws {
    let network = try network()
    let session = try OnnxRuntimeSession(ONNXModel.bytes(network))
    var generator = SeededGenerator(seed: 2)
    let size = network.graph.inputShape.count
    let images = ParityTests.pixels(23 * size, &generator)
    let expected = (0..<23).map { image -> Int in
      let logits = network.logits(Array(images[image * size..<(image + 1) * size]))
      return logits.firstIndex(of: logits.max()!)!
    }
    var labels = expected.map { Int32($0) }
    for index in [3, 9, 20] { labels[index] = (labels[index] + 1) % 10 }
    for batch in [1, 10, 23, 100] {
      var progress: [Int] = []
      let result = try session.evaluate(images, labels: labels, batch: batch) { progress.append($0) }
      #expect(result.predictions == expected)
      #expect(result.correct == 20)
      #expect(abs(result.accuracy - 20.0 / 23) < 1e-12)
      #expect(progress.last == 23)
    }
    let fixed = try OnnxRuntimeSession(ONNXModel.bytes(network, .init(batch: .fixed(1))))
    #expect(try fixed.evaluate(images, labels: labels).correct == 20)
  }

  @Test("A session describes its inputs and outputs, and times its calls")
  func description() throws {
    let session = try OnnxRuntimeSession(ONNXModel.bytes(network()))
    #expect(session.inputs == [.init(name: "pixels", element: .uint8, shape: [nil, 1, 32, 32])])
    #expect(session.outputs == [.init(name: "logits", element: .float, shape: [nil, 10])])
    let samples = try session.time(calls: 20)
    #expect(samples.count == 20)
    #expect(samples.allSatisfy { $0 > 0 })
    let fixed = try OnnxRuntimeSession(ONNXModel.bytes(network()), .init(images: 4))
    #expect(fixed.inputs[0].shape == [4, 1, 32, 32])
  }

  @Test("Bytes that are no model are refused in the runtime's words")
  func garbage() throws {
    let whole = try ONNXModel.bytes(network())
    for bytes in [Array("no model at all".utf8), Array(whole.prefix(whole.count / 2)), []] {
      let error = #expect(throws: InferenceError.self) { try OnnxRuntimeSession(bytes) }
      #expect(error?.code == .modelRefused)
      #expect(error?.message.isEmpty == false)
    }
    #expect(throws: ONNXExportError.self) { try ONNXModelSummary(Array("no model at all".utf8)) }
  }

  @Test("Images of the wrong size are refused, and the session goes on")
  func wrongSizes() throws {
    let session = try OnnxRuntimeSession(ONNXModel.bytes(network()))
    let image = [UInt8](repeating: 7, count: 1024)
    func refusal(_ body: () throws -> Void) -> InferenceError? {
      #expect(throws: InferenceError.self) { try body() }
    }
    #expect(refusal { _ = try session.run(Array(image.dropLast())) }?.code == .wrongInput)
    #expect(refusal { _ = try session.run(image, images: 2) }?.message.contains("2048") == true)
    #expect(refusal { _ = try session.run([], images: 0) }?.code == .wrongInput)
    #expect(refusal { _ = try session.run(maps: [image]) }?.code == .modelUnsupported)
    #expect(refusal { _ = try session.evaluate(image, labels: [1, 2]) }?.code == .wrongInput)
    let fixed = try OnnxRuntimeSession(ONNXModel.bytes(network(), .init(batch: .fixed(2))))
    #expect(refusal { _ = try fixed.run(image, images: 1) }?.message.contains("2 images") == true)
    #expect(refusal { _ = try fixed.evaluate(image, labels: [1]) }?.code == .wrongInput)
    #expect(try session.run(image).count == 10)
  }

  @Test("A library that is missing or is another one is named, with what to run")
  func libraries() throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("runtimes-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let text = folder.appendingPathComponent("libonnxruntime.so")
    try Data("this is no library".utf8).write(to: text)
    for path in [folder.appendingPathComponent("nothing.so").path, text.path, "libm.so.6"] {
      let error = #expect(throws: InferenceError.self) { try OnnxRuntime.load(path) }
      #expect(error?.code == .libraryMissing)
      #expect(error?.message.contains("make setup") == true)
      #expect(error?.message.contains(path) == true)
    }
    #expect(try OnnxRuntime.load().split(separator: ".").count == 3)
  }

  @Test("A model and its card are written together and read back")
  func card() throws {
    let network = try network()
    let url = FileManager.default.temporaryDirectory.appendingPathComponent("card-\(UUID().uuidString).onnx")
    defer {
      try? FileManager.default.removeItem(at: url)
      try? FileManager.default.removeItem(at: ONNXModel.cardURL(of: url))
    }
    var card = ModelCard(
      model: url.lastPathComponent, precision: "int8", graph: network.graph, scale: network.quantizers[0].scale,
      zeroPoint: network.quantizers[0].zeroPoint, classes: (0..<10).map { "class \($0)" },
      versions: ["onnxruntime": try OnnxRuntime.load()])
    card.accuracy = .init(dataSet: "random", split: "test", images: 40, correct: 10, runtime: "onnxruntime")
    card.latency = .init(
      device: "this", milliseconds: 0.25, statistic: "minimum of 9 slices", spreadPercent: 1, gated: true)
    let bytes = try ONNXModel.bytes(network, .init(metadata: ["subnet": "d1"]))
    try ONNXModel.write(bytes, card: card, to: url)
    #expect(try [UInt8](Data(contentsOf: url)) == bytes)
    #expect(try ONNXModel.card(of: url) == card)
    #expect(card.accuracy?.top1 == 0.25)
    #expect(card.pixels.shape == ["N", "1", "32", "32"])
    #expect(card.macs == network.graph.cost.macs)
    #expect(throws: (any Error).self) {
      try ONNXModel.write(bytes, card: card, to: URL(filePath: "/nowhere/at/all/model.onnx"))
    }
  }
}
