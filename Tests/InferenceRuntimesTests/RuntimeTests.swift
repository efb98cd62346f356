import DeviceLatency
import Foundation
import InferenceRuntimes
import NetworkGraphs
import ONNXExport
import Quantization
import SearchSpaces
import Testing

/// What holds for every runtime of this process.
@Suite("Runtimes", .serialized)
struct RuntimeTests {
  func network(seed: UInt64 = 1) throws -> IntegerNetwork {
    let hyperspace = try #require(Hyperspace.builtIn("mini32"))
    var generator = SeededGenerator(seed: seed)
    let graph = ParityTests.graph(hyperspace, type: 3, resolution: 32, &generator)
    return IntegerNetwork(randomWeights: seed, for: graph)
  }

  @Test(
    "A session describes its model, runs any number of images, and times its calls", arguments: LocalRuntime.allCases)
  func session(runtime: LocalRuntime) throws {
    let network = try network()
    let session = try runtime.session(ONNXModel.bytes(network))
    #expect(session.inputs == [.init(name: "pixels", element: .uint8, shape: [nil, 1, 32, 32])])
    #expect(session.outputs == [.init(name: "logits", element: .float, shape: [nil, 10])])
    var generator = SeededGenerator(seed: 2)
    let images = ParityTests.pixels(3 * 1_024, &generator)
    let together = try session.run(images, images: 3)
    #expect(together.count == 30)
    let single = try (0..<3).flatMap { try session.run(Array(images[$0 * 1_024..<($0 + 1) * 1_024])) }
    #expect(single == together)
    // What the integers say, to a rounding tie or two in a deep network.
    let step = network.quantizers[network.graph.output].scale
    let expected = network.logits(Array(images[0..<1_024]))
    for (found, wanted) in zip(single, expected) { #expect(abs(found - wanted) <= 3.01 * step) }
    let samples = try session.time(calls: 10)
    #expect(samples.count == 10 && samples.allSatisfy { $0 > 0 })
    #expect(try runtime.session(ONNXModel.bytes(network), .init(images: 4)).inputs[0].shape == [4, 1, 32, 32])
  }

  @Test("A model that a runtime refuses, or cannot time, is an error in its words", arguments: LocalRuntime.allCases)
  func refusals(runtime: LocalRuntime) throws {
    let whole = try ONNXModel.bytes(network())
    for bytes in [Array("no model at all".utf8), Array(whole.prefix(whole.count / 2))] {
      let error = #expect(throws: InferenceError.self) { try runtime.session(bytes) }
      #expect(error?.code == .modelRefused)
      #expect(error?.message.isEmpty == false)
    }
    let session = try runtime.session(whole)
    let error = #expect(throws: InferenceError.self) { try session.run([1, 2, 3]) }
    #expect(error?.code == .wrongInput)
    #expect(throws: InferenceError.self) { try session.time(calls: 1, images: 0) }
  }

  @Test("Open and missing shapes are named, with what would be right", arguments: LocalRuntime.allCases)
  func shapes(runtime: LocalRuntime) throws {
    let effort = MeasurementEffort(sessions: 1, slices: 1, sliceNanoseconds: 1e5, groupSize: 1, attempts: 1)
    let meter = try RuntimeMeter(runtime)
    func refusal(_ model: [UInt8]) -> String {
      let request = LatencyRequest(.model("foreign"), .bytes(model))
      let error = #expect(throws: InferenceError.self) {
        try meter.measure([request], effort: effort, until: .now + .seconds(60)) { _ in }
      }
      return error?.message ?? ""
    }
    // A square root of a vector whose second dimension is open, or which has no shape at all.
    let open = refusal(ForeignModel.squareRoot(dimensions: [.fixed(1), .open("width")]))
    #expect(open.contains("\"x\"") && open.contains("dimension 1") && open.contains("fixed shapes"), "\(open)")
    let missing = refusal(ForeignModel.squareRoot(dimensions: nil))
    #expect(missing.contains("\"x\" has no shape") && missing.contains("fixed shapes"), "\(missing)")
    var found: [LatencyMeasurement] = []
    let request = LatencyRequest(
      .model("foreign"), .bytes(ForeignModel.squareRoot(dimensions: [.open("n"), .fixed(8)])))
    try meter.measure([request], effort: effort, until: .now + .seconds(60)) { found.append($0) }
    #expect(found.count == 1)
  }

  @Test("Every kind of request is measured in every runtime", arguments: LocalRuntime.allCases)
  func requests(runtime: LocalRuntime) throws {
    let hyperspace = try #require(Hyperspace.builtIn("mini32"))
    let graph = LatencyProfile(hyperspace: hyperspace).heldOut[0].graph
    let kernels = Set(graph.kernelSignatures(isWhole: true).compactMap(\.self)).sorted()
    let meter = try RuntimeMeter(runtime)
    var requests = [LatencyRequest.emptyCall] + kernels.map { LatencyRequest($0, meter.kernelMethod) }
    requests += Set(kernels.map(\.context)).subtracting([.call]).map { LatencyRequest($0) }
    for precision in LatencyRequest.Precision.allCases {
      requests.append(LatencyRequest(.model("whole \(precision)"), .network(graph, precision)))
      requests.append(
        LatencyRequest(.model("part \(precision)"), .part(StudyUnit(.residual, width: 16, size: 4).chain(2), precision))
      )
    }
    let effort = MeasurementEffort(sessions: 1, slices: 1, sliceNanoseconds: 1e4, groupSize: 8, attempts: 2)
    var found: [LatencySubject] = []
    try meter.measure(requests, effort: effort, until: .now + .seconds(100)) { found.append($0.subject) }
    #expect(found == requests.map(\.subject))
  }

  @Test("OpenVINO's library, missing or another one, is named, with what to run")
  func libraries() throws {
    let text = FileManager.default.temporaryDirectory.appendingPathComponent("libopenvino-\(UUID().uuidString).so")
    try Data("this is no library".utf8).write(to: text)
    defer { try? FileManager.default.removeItem(at: text) }
    for path in ["/nowhere/libopenvino_c.so", text.path] {
      let error = #expect(throws: InferenceError.self) { try OpenVINO.load(path) }
      #expect(error?.code == .libraryMissing)
      #expect(error?.message.contains("make setup") == true)
    }
    #expect(try OpenVINO.load().split(separator: ".").count == 3)
  }
}

/// A model as other tools write them, byte by byte: one operation on float vectors.
enum ForeignModel {
  enum Dimension {
    case fixed(UInt8)
    case open(String)
  }

  static func squareRoot(dimensions: [Dimension]?) -> [UInt8] {
    func field(_ number: UInt8, _ bytes: [UInt8]) -> [UInt8] { [number << 3 | 2, UInt8(bytes.count)] + bytes }
    func text(_ number: UInt8, _ text: String) -> [UInt8] { field(number, Array(text.utf8)) }
    let shape = dimensions.map { dimensions in
      field(
        2,
        dimensions.flatMap { dimension -> [UInt8] in
          switch dimension {
          case .fixed(let size): field(1, [1 << 3, size])
          case .open(let name): field(1, text(2, name))
          }
        })
    }
    func value(_ name: String) -> [UInt8] { text(1, name) + field(2, field(1, [1 << 3, 1] + (shape ?? []))) }
    let node = text(1, "x") + text(2, "y") + text(4, "Sqrt")
    let graph = field(1, node) + text(2, "foreign") + field(11, value("x")) + field(12, value("y"))
    return [1 << 3, 8] + field(7, graph) + field(8, text(1, "") + [2 << 3, 17])
  }
}
