import DeviceLatency
import Foundation
import NetworkGraphs
import SearchSpaces
import Testing

@Suite("Latency predictor")
struct PredictorTests {
  @Test("The correction finds the rule that made the networks, an outlier notwithstanding")
  func correction() {
    let truth = LatencyCorrection(
      scale: 1.04, microsecondsPerOperation: 0.6, microsecondsPerMegabyte: 18, microsecondsPerCall: 1.5)
    var generator = SeededGenerator(seed: 3)
    var samples = (0..<24).map { _ in
      let parts = 50 + 400 * generator.uniform()
      let operations = 20 + generator.next(below: 60)
      let megabytes = 0.05 + 2 * generator.uniform()
      let measured =
        truth.scale * parts + truth.microsecondsPerOperation * Double(operations)
        + truth.microsecondsPerMegabyte * megabytes + truth.microsecondsPerCall
      return LatencyCorrection.Sample(
        partsMicroseconds: parts, operations: operations, weightMegabytes: megabytes, measuredMicroseconds: measured)
    }
    samples[4].measuredMicroseconds *= 1.4
    let found = LatencyCorrection(fitting: samples)
    #expect(abs(found.scale - truth.scale) < 0.02)
    #expect(abs(found.microsecondsPerOperation - truth.microsecondsPerOperation) < 0.1)
    #expect(abs(found.microsecondsPerMegabyte - truth.microsecondsPerMegabyte) < 2)
  }

  @Test("The correction has no cost that makes no sense")
  func nonNegative() {
    // Networks that get faster with every operation, which no device does.
    let samples = (1...12).map { count in
      LatencyCorrection.Sample(
        partsMicroseconds: 100 + Double(count), operations: 10 * count, weightMegabytes: Double(count % 3),
        measuredMicroseconds: 200 - 5 * Double(count))
    }
    let found = LatencyCorrection(fitting: samples)
    #expect(found.scale > 0)
    #expect(found.microsecondsPerOperation >= -1)
    #expect(found.microsecondsPerMegabyte >= 0)
    #expect(found.microsecondsPerCall >= 0)
    #expect(LatencyCorrection(fitting: []) == .none)
  }

  @Test("A profile predicts networks that it has not seen, kernels never measured included")
  func profile() throws {
    let hyperspace = try #require(Hyperspace.builtIn("mini32"))
    var profile = LatencyProfile(hyperspace: hyperspace, seed: 5, countedNetworks: 300)
    var device = SyntheticDevice()
    let full = try profile.run(device, budget: .seconds(1_000)) { _ in }
    let accuracy = try #require(full.heldOut)
    #expect(accuracy.pairs.count == 12)
    #expect(accuracy.meanPercent < 1)
    #expect(full.gatedShare == 1)

    device.patience = 400
    profile.passes = 1
    let short = try profile.run(device, budget: .seconds(1_000)) { _ in }
    #expect(short.kernels.count == 400)
    #expect(try #require(short.heldOut).meanPercent < 5)
    #expect(try #require(short.estimateErrorPercent) < 15)
  }

  @Test("Stages and what is fixed add up to the network, exactly")
  func additive() throws {
    let hyperspace = try #require(Hyperspace.builtIn("mini32"))
    let profile = LatencyProfile(hyperspace: hyperspace, seed: 5, countedNetworks: 100)
    let predictor = try profile.run(SyntheticDevice(), budget: .seconds(1_000)) { _ in }
    for network in profile.heldOut {
      let prediction = predictor.prediction(of: network.graph)
      var sum = prediction.fixedMilliseconds
      var input = try #require(network.graph.nodes.last { $0.stage == 0 }).shape
      for (index, choices) in hyperspace.choices(of: network.space).enumerated() {
        let stage = NetworkGraph(
          stage: choices.name, choices.blockType, input: input, blocks: network.subnet.stages[index],
          stride: choices.stride)
        input = stage.outputShape
        let milliseconds = predictor.stageMilliseconds(of: stage)
        #expect(milliseconds == prediction.stageMilliseconds[index + 1])
        sum += milliseconds
      }
      #expect(sum == prediction.milliseconds)
      #expect(prediction.milliseconds == predictor.milliseconds(of: network.graph))
    }
  }

  @Test("An interrupted profile goes on with what is there, and measures nothing twice")
  func resume() throws {
    let hyperspace = try #require(Hyperspace.builtIn("mini32"))
    let profile = LatencyProfile(hyperspace: hyperspace, seed: 5, countedNetworks: 100)
    struct Interruption: Error {}
    var records: [LatencyMeasurement] = []
    #expect(throws: Interruption.self) {
      try profile.run(SyntheticDevice(), budget: .seconds(1_000)) { measurement in
        records.append(measurement)
        if records.count == 90 { throw Interruption() }
      }
    }
    #expect(records.count == 90)
    let known = records
    let resumed = try profile.run(SyntheticDevice(), budget: .seconds(1_000), known: known) { records.append($0) }
    let times = Dictionary(grouping: records, by: \.subject).values.map(\.count)
    #expect(times.allSatisfy { $0 == profile.passes })
    let whole = try profile.run(SyntheticDevice(), budget: .seconds(1_000)) { _ in }
    for network in profile.heldOut {
      #expect(resumed.milliseconds(of: network.graph) == whole.milliseconds(of: network.graph))
    }
    #expect(
      profile.predictor(records, device: SyntheticDevice().device).milliseconds(of: profile.heldOut[0].graph)
        == whole.milliseconds(of: profile.heldOut[0].graph))
  }

  @Test("Results of another device are ignored, and those of a busy machine made again")
  func identities() throws {
    let hyperspace = try #require(Hyperspace.builtIn("mini32"))
    let profile = LatencyProfile(
      hyperspace: hyperspace, seed: 5, fittedNetworks: 4, heldOutNetworks: 2, countedNetworks: 20)
    var other = SyntheticDevice()
    other.device.threads = 2
    var foreign: [LatencyMeasurement] = []
    _ = try profile.run(other, budget: .seconds(1_000)) { foreign.append($0) }
    var busy = SyntheticDevice()
    busy.isBusy = true
    var ungated: [LatencyMeasurement] = []
    let doubtful = try profile.run(busy, budget: .seconds(1_000)) { ungated.append($0) }
    #expect(doubtful.gatedShare == 0)
    for known in [foreign, ungated] {
      var made = 0
      let predictor = try profile.run(SyntheticDevice(), budget: .seconds(1_000), known: known) { _ in made += 1 }
      #expect(made == known.count, "everything is measured again, as often")
      #expect(predictor.gatedShare == 1)
    }
  }

  @Test("A budget too small to measure anything is an error")
  func noBudget() throws {
    let hyperspace = try #require(Hyperspace.builtIn("mini32"))
    var device = SyntheticDevice()
    device.patience = 0
    let profile = LatencyProfile(hyperspace: hyperspace, countedNetworks: 5)
    let error = #expect(throws: LatencyProfileError.self) {
      try profile.run(device, budget: .seconds(1)) { _ in }
    }
    #expect(try #require(error).message.contains("mini32"))
  }

  @Test("A predictor's JSON is a table of kernels that reads back to the same predictions")
  func codable() throws {
    let hyperspace = try #require(Hyperspace.builtIn("mini32"))
    var profile = LatencyProfile(hyperspace: hyperspace, seed: 5, countedNetworks: 100)
    profile.passes = 1
    var device = SyntheticDevice()
    device.patience = 200
    let predictor = try profile.run(device, budget: .seconds(1_000)) { _ in }
    let json = try JSONEncoder().encode(predictor)
    let read = try JSONDecoder().decode(LatencyPredictor.self, from: json)
    for graph in try randomGraphs("mini32", count: 20) {
      #expect(read.milliseconds(of: graph) == predictor.milliseconds(of: graph))
    }
    #expect(read.heldOut == predictor.heldOut)
    #expect(read.device == predictor.device)

    let text = String(decoding: json, as: UTF8.self)
    for (old, new) in [(#""formatVersion":1"#, #""formatVersion":9"#), ("add 32x4x4", "subtract 32x4x4")] {
      let changed = text.replacingOccurrences(of: old, with: new)
      #expect(changed != text)
      #expect(throws: DecodingError.self) {
        try JSONDecoder().decode(LatencyPredictor.self, from: Data(changed.utf8))
      }
    }
  }
}
