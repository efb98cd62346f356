import DeviceLatency
import Foundation
import InferenceRuntimes
import NetworkGraphs
import ONNXExport
import Quantization
import SearchSpaces
import Testing

/// The meter on this machine. How long things take is not asserted: the machine may be busy.
@Suite("Meter of ONNX Runtime", .serialized)
struct MeterTests {
  let quick = MeasurementEffort(sessions: 1, slices: 1, sliceNanoseconds: 1e5, groupSize: 8, attempts: 3)

  @Test("Every kind of model is measured, and the measurement says what it is worth")
  func measures() throws {
    let hyperspace = try #require(Hyperspace.builtIn("mini32"))
    let network = LatencyProfile(hyperspace: hyperspace).heldOut[0]
    let kernels = network.graph.kernelSignatures(isWhole: true).compactMap(\.self)
    var requests: [LatencyRequest] = [.emptyCall] + Set(kernels).sorted().map { LatencyRequest($0) }
    requests.append(LatencyRequest(network.subject, .network(network.graph)))
    let file = try ONNXModel.bytes(IntegerNetwork(randomWeights: 1, for: network.graph))
    requests.append(LatencyRequest(.model("file"), .bytes(file)))
    let meter = try RuntimeMeter(.onnxRuntime)
    var found: [LatencyMeasurement] = []
    try meter.measure(requests, effort: quick, until: .now + .seconds(60)) { found.append($0) }
    #expect(found.map(\.subject) == requests.map(\.subject))
    for measurement in found {
      #expect(measurement.nanoseconds > 0)
      #expect(measurement.slices >= 1 && measurement.rounds >= measurement.slices)
      #expect(measurement.spreadPercent >= 0)
      #expect(measurement.device == meter.device)
    }
    #expect(meter.device.name == "onnxruntime")
    #expect(meter.device.threads == 1)
  }

  @Test("On a machine that was once much faster every number is marked as doubtful")
  func busy() throws {
    let meter = try RuntimeMeter(.onnxRuntime, earlierLevel: 1)
    var found: [LatencyMeasurement] = []
    try meter.measure([.emptyCall], effort: quick, until: .now + .seconds(60)) { found.append($0) }
    #expect(found.count == 1)
    #expect(found.allSatisfy { !$0.isGated })
  }

  @Test("After the deadline nothing is begun; a model that the runtime refuses is an error")
  func limits() throws {
    let meter = try RuntimeMeter(.onnxRuntime)
    try meter.measure([.emptyCall], effort: quick, until: .now - .seconds(1)) { _ in Issue.record("began") }
    #expect(throws: InferenceError.self) {
      try meter.measure(
        [LatencyRequest(.model("rubbish"), .bytes([1, 2, 3]))], effort: quick, until: .now + .seconds(9)
      ) { _ in }
    }
  }

  @Test("A profile on the real runtime predicts networks, and goes on from its records")
  func profile() throws {
    let hyperspace = try #require(Hyperspace.builtIn("mini32"))
    let profile = LatencyProfile(hyperspace: hyperspace, fittedNetworks: 4, heldOutNetworks: 2, countedNetworks: 5)
    let meter = try RuntimeMeter(.onnxRuntime)
    var records: [LatencyMeasurement] = []
    let predictor = try profile.run(meter, budget: .seconds(8)) { records.append($0) }
    #expect(!predictor.kernels.isEmpty)
    let heldOut = profile.heldOut[0].graph
    #expect(predictor.milliseconds(of: heldOut) > 0)
    // A wide network of the space takes longer than a narrow one, by prediction as by nature.
    let space = profile.heldOut[0].space
    let extremes = try [hyperspace.smallestSubnet(of: space), hyperspace.largestSubnet(of: space)].map {
      predictor.milliseconds(of: try NetworkGraph($0, of: space, in: hyperspace))
    }
    #expect(extremes[0] < extremes[1])
    let again = profile.predictor(records, device: meter.device)
    #expect(again.milliseconds(of: heldOut) == predictor.milliseconds(of: heldOut))
  }
}

@Suite("Probes of earlier sessions")
struct ProbeHistoryTests {
  let history = ProbeHistory(
    file: FileManager.default.temporaryDirectory.appending(path: "probes-\(UUID().uuidString)/probes.json"))

  func device(_ name: String) -> DeviceIdentity {
    DeviceIdentity(name: name, version: "1", processor: "any", instructionSets: [], threads: 1)
  }

  @Test("The lower quartile of the last sessions counts, each device for itself, for a day")
  func levels() {
    defer { try? FileManager.default.removeItem(at: history.file.deletingLastPathComponent()) }
    let now = Date(timeIntervalSince1970: 1e9)
    #expect(history.level(of: device("a"), now: now) == nil)
    // Twenty old sessions are forgotten, and a device's first ones of more than fifteen.
    for _ in 0..<20 { history.remember(10, of: device("a"), now: now - 90_000) }
    for level in [50, 100, 102, 104, 106, 108, 110, 112, 114, 116, 118, 120, 122, 124, 126, 128] as [Double] {
      history.remember(level, of: device("a"), now: now)
    }
    history.remember(7, of: device("b"), now: now)
    #expect(history.level(of: device("a"), now: now) == 107)
    #expect(history.level(of: device("b"), now: now) == 7)
    #expect(history.level(of: device("a"), now: now + 90_000) == nil)
  }

  @Test("A damaged cache, or one that cannot be written, is as none")
  func damaged() throws {
    defer { try? FileManager.default.removeItem(at: history.file.deletingLastPathComponent()) }
    history.remember(5, of: device("a"))
    try Data("rubbish".utf8).write(to: history.file)
    #expect(history.level(of: device("a")) == nil)
    history.remember(6, of: device("a"))
    #expect(history.level(of: device("a")) == 6)
    let nowhere = ProbeHistory(file: URL(filePath: "/proc/nothing/probes.json"))
    nowhere.remember(6, of: device("a"))
    #expect(nowhere.level(of: device("a")) == nil)
  }
}
