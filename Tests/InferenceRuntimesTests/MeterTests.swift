import DeviceLatency
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
