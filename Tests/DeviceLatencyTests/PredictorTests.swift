import DeviceLatency
import Foundation
import NetworkGraphs
import SearchSpaces
import Testing

@Suite("Latency predictor")
struct PredictorTests {
  /// Parts of the kinds that dense, pointwise and depthwise convolutions are.
  func parts(_ microseconds: [Double], operations: Int, megabytes: Double) -> LatencyCorrection.Parts {
    var parts = LatencyCorrection.Parts()
    for (group, value) in zip([KernelSignature.Group.dense, .pointwise, .depthwise], microseconds) {
      parts.microseconds[group.rawValue] = value
    }
    parts.operations[KernelSignature.Group.dense.rawValue] = operations
    parts.weightMegabytes = megabytes
    return parts
  }

  /// Networks that follow a rule.
  func samples(_ count: Int, _ truth: LatencyCorrection, seed: UInt64) -> [LatencyCorrection.Sample] {
    var generator = SeededGenerator(seed: seed)
    return (0..<count).map { _ in
      let parts = parts(
        (0..<3).map { _ in 20 + 130 * generator.uniform() }, operations: 20 + generator.next(below: 60),
        megabytes: 0.05 + 2 * generator.uniform())
      return LatencyCorrection.Sample(
        parts: parts, measuredMicroseconds: truth.microseconds(parts) + truth.microsecondsPerCall)
    }
  }

  @Test(
    "The correction finds the rule that made the networks, an outlier notwithstanding",
    arguments: 1...5 as ClosedRange<UInt64>)
  func correction(seed: UInt64) {
    let truth = LatencyCorrection(
      scale: 1.04, microsecondsPerOperation: 0.6, microsecondsPerMegabyte: 18, microsecondsPerCall: 1.5)
    var samples = samples(24, truth, seed: seed)
    samples[4].measuredMicroseconds *= 1.4
    let found = LatencyCorrection(fitting: samples)
    for fresh in self.samples(20, truth, seed: seed + 100) {
      let predicted = found.microseconds(fresh.parts) + found.microsecondsPerCall
      #expect(abs(predicted / fresh.measuredMicroseconds - 1) < 0.01)
    }
  }

  @Test("Where a runtime treats kinds of operations differently, each kind gets its scale")
  func kinds() {
    var truth = LatencyCorrection(
      scale: 1, microsecondsPerOperation: 0.5, microsecondsPerMegabyte: 0, microsecondsPerCall: 0)
    truth.scales[KernelSignature.Group.depthwise.rawValue] = 0.6
    let found = LatencyCorrection(fitting: samples(40, truth, seed: 9))
    #expect(abs(found.scales[KernelSignature.Group.depthwise.rawValue] - 0.6) < 0.05)
    #expect(abs(found.scales[KernelSignature.Group.dense.rawValue] - 1) < 0.05)
    for fresh in samples(20, truth, seed: 10) {
      #expect(abs(found.microseconds(fresh.parts) / fresh.measuredMicroseconds - 1) < 0.02)
    }
  }

  @Test("The correction has no cost that makes no sense")
  func nonNegative() {
    // Networks that get faster with every operation, which no device does.
    let samples = (1...12).map { count in
      LatencyCorrection.Sample(
        parts: parts([100 + Double(count)], operations: 10 * count, megabytes: Double(count % 3)),
        measuredMicroseconds: 200 - 5 * Double(count))
    }
    let found = LatencyCorrection(fitting: samples)
    #expect(found.scales.allSatisfy { $0 >= 0 })
    #expect(found.microsecondsPerOperation.allSatisfy { $0 >= -3 })
    #expect(found.microsecondsPerMegabyte >= 0)
    #expect(found.microsecondsPerCall >= -2)
    #expect(LatencyCorrection(fitting: []) == .none)
  }

  @Test("A profile predicts networks that it has not seen, kernels never measured included")
  func profile() throws {
    let hyperspace = try #require(Hyperspace.builtIn("mini32"))
    var profile = LatencyProfile(hyperspace: hyperspace, seed: 5, countedNetworks: 300)
    var device = SyntheticDevice()
    let full = try profile.run(device, budget: .seconds(1_000)) { _ in }
    let accuracy = try #require(full.heldOut)
    #expect(accuracy.pairs.count == 12 + 4, "random networks, and those of one block type")
    #expect(Set(profile.heldOut.suffix(4).map(\.space.blockTypes)).allSatisfy { Set($0).count == 1 })
    #expect(accuracy.meanPercent < 1)
    #expect(full.gatedShare == 1)

    device.patience = 400
    profile.passes = 1
    let short = try profile.run(device, budget: .seconds(1_000)) { _ in }
    #expect((300..<400).contains(short.kernels.count))
    #expect(try #require(short.heldOut).meanPercent < 5)
    #expect(try #require(short.estimateErrorPercent) < 15)
  }

  @Test("In a hyperspace of few networks none judges the fit that it was part of")
  func fewNetworks() throws {
    let hyperspace = try Hyperspace(
      yaml: """
        name: few
        image: {channels: 1, resolutions: [16]}
        classes: 10
        blocks: [{family: mbconv, kernels: [3, 5], expansions: [1, 2], activation: relu}]
        stem: {name: stem, widths: [8], kernel: 3, stride: 1, activation: relu}
        stages: [{name: stage1, widths: [8, 16], window: 2, depths: [1, 1], stride: 1}]
        head: [{layer: global-average-pool, name: pool}, {layer: linear, name: logits}]
        """, file: "few.yaml")
    let profile = LatencyProfile(hyperspace: hyperspace, seed: 1, fittedNetworks: 4, heldOutNetworks: 12)
    let fitted = Set(profile.fitted.map(\.subject))
    let heldOut = profile.heldOut.map(\.subject)
    #expect(!heldOut.isEmpty && fitted.isDisjoint(with: heldOut) && Set(heldOut).count == heldOut.count)
  }

  @Test("Where kernels are timed in a context, what stands around them is taken off")
  func contexts() throws {
    let hyperspace = try #require(Hyperspace.builtIn("mini32"))
    let profile = LatencyProfile(hyperspace: hyperspace, seed: 5, countedNetworks: 300)
    var device = SyntheticDevice()
    device.kernelMethod = .inContext
    var records: [LatencyMeasurement] = []
    let predictor = try profile.run(device, budget: .seconds(1_000)) { records.append($0) }
    #expect(try #require(predictor.heldOut).meanPercent < 1)
    // The sink's own work differs a little between the kernel's input and its output.
    let errors = predictor.kernels.filter { $0.key.place == .inside }.map { kernel, microseconds in
      abs(microseconds - SyntheticDevice.microseconds(kernel))
    }
    #expect(Statistics.median(errors) < 0.1)
    let again = profile.predictor(records, device: device.device, method: .inContext)
    #expect(again.milliseconds(of: profile.heldOut[0].graph) == predictor.milliseconds(of: profile.heldOut[0].graph))
  }

  @Test("Kernels whose small differences were measured wrongly are put right by whole networks")
  func adjusted() throws {
    let hyperspace = try #require(Hyperspace.builtIn("mini32"))
    let profile = LatencyProfile(hyperspace: hyperspace, seed: 5, fittedNetworks: 160, countedNetworks: 300)
    var device = SyntheticDevice()
    device.kernelMethod = .inContext
    // Some kernels seem a fifth slower than they are, others a fifth faster, whatever they are.
    var generator = SeededGenerator(seed: 3)
    var records: [LatencyMeasurement] = []
    _ = try profile.run(device, budget: .seconds(1_000)) { measurement in
      var measurement = measurement
      if case .kernel(let kernel) = measurement.subject {
        let factor = generator.next(below: 2) == 0 ? 0.2 : -0.2
        measurement.nanoseconds += 1e3 * factor * SyntheticDevice.microseconds(kernel)
      }
      records.append(measurement)
    }
    let predictor = profile.predictor(records, device: device.device, method: .inContext)
    var without = profile
    without.fittedNetworks = 12
    let few = without.predictor(records, device: device.device, method: .inContext)
    let (many, bare) = (try #require(predictor.heldOut), try #require(few.heldOut))
    #expect(many.meanPercent < 0.8 * bare.meanPercent, "\(many.meanPercent) \(bare.meanPercent)")
  }

  @Test(
    "A kernel in its context is there with its cost, and the context is the rest",
    arguments: ["mini32", "onnxw", "mobilew"])
  func contextGraphs(name: String) throws {
    let kernels = Set(
      try randomGraphs(name, count: 5).flatMap { $0.kernelSignatures(isWhole: true).compactMap(\.self) })
    for kernel in kernels {
      let model = NetworkGraph(inContext: kernel)
      let alone = NetworkGraph(kernel)
      #expect(model.nodes.contains { $0.name == "kernel" && $0.shape == alone.outputShape && $0.range == kernel.range })
      #expect(KernelContext(kernel.context.description) == kernel.context)
      guard let context = NetworkGraph(kernel.context) else {
        #expect(kernel.place.readsPixels)
        continue
      }
      let extra = model.cost.macs - context.cost.macs
      // Besides the kernel's own only the sink's work differs, which is that of one position.
      let sinks = 8 * 9 * (kernel.input.channels + alone.outputShape.channels)
      #expect(abs(extra - alone.cost.macs) <= sinks, "\(kernel)")
    }
    for text in ["", "map", "map 3x4", "map 0x1x1", "sink 3x4x4", "call 1x1x1"] { #expect(KernelContext(text) == nil) }
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

  @Test("Subnets predicted without their graphs get the same latency", arguments: ["mini32", "onnxw", "mobilew"])
  func lookUps(name: String) throws {
    let hyperspace = try #require(Hyperspace.builtIn(name))
    let graphs = try randomGraphs(name, count: 20)
    let kernels = Set(graphs.flatMap { $0.kernelSignatures(isWhole: true).compactMap(\.self) })
    let predictor = LatencyPredictor(
      device: SyntheticDevice().device,
      kernels: Dictionary(uniqueKeysWithValues: kernels.map { ($0, SyntheticDevice.microseconds($0)) }),
      correction: SyntheticDevice().correction)
    var generator = SeededGenerator(seed: 21, stream: name)
    for _ in 0..<3 {
      let space = hyperspace.randomSpace(using: &generator)
      var latencies = SubnetLatencies(predictor, space: space, in: hyperspace)
      for _ in 0..<30 {
        let subnet = hyperspace.randomSubnet(of: space, using: &generator)
        let whole = predictor.milliseconds(of: try NetworkGraph(subnet, of: space, in: hyperspace))
        #expect(abs(latencies.milliseconds(subnet) / whole - 1) < 1e-12)
        #expect(abs(latencies.milliseconds(subnet) / whole - 1) < 1e-12, "and when it is asked again")
      }
    }
  }

  @Test("Networks measured more than once tell how well the device repeats itself")
  func repeatability() throws {
    let device = SyntheticDevice().device
    func measured(_ times: [(nanoseconds: Double, seconds: Double)]) -> [LatencyMeasurement] {
      times.map {
        LatencyMeasurement(
          device: device, subject: .emptyCall, nanoseconds: $0.nanoseconds, spreadPercent: 0, slices: 3, rounds: 3,
          isGated: true, probeNanoseconds: 100, secondsSince1970: $0.seconds)
      }
    }
    let found = try #require(
      Repeatability([
        measured([(100, 0), (300, 60), (102, 120)]), measured([(200, 0), (192, 180)]), measured([(50, 0)]),
      ]))
    #expect(found.networks == 2)
    #expect(abs(found.meanPercent - 3) < 1e-9)
    #expect(abs(found.percentile95 - 3.9) < 1e-9)
    #expect(found.secondsApart == 150)
    #expect(Repeatability([measured([(100, 0)])]) == nil)
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
    #expect(read.estimateErrorPercent == predictor.estimateErrorPercent)
    #expect(read.repeatability == predictor.repeatability)
    #expect(read.device == predictor.device)

    let text = String(decoding: json, as: UTF8.self)
    for (old, new) in [(#""formatVersion":3"#, #""formatVersion":9"#), ("add 32x4x4", "subtract 32x4x4")] {
      let changed = text.replacingOccurrences(of: old, with: new)
      #expect(changed != text)
      #expect(throws: DecodingError.self) {
        try JSONDecoder().decode(LatencyPredictor.self, from: Data(changed.utf8))
      }
    }

    // Format 2 had one cost of an operation for all kinds.
    let costs = try Regex(#""microsecondsPerOperation":\[[^\]]*\]"#)
    let old = text.replacing(#""formatVersion":3"#, with: #""formatVersion":2"#).replacing(
      costs, with: #""microsecondsPerOperation":0.5"#)
    let earlier = try JSONDecoder().decode(LatencyPredictor.self, from: Data(old.utf8))
    #expect(earlier.correction.microsecondsPerOperation == KernelSignature.Group.allCases.map { _ in 0.5 })
    #expect(earlier.kernels == predictor.kernels)
  }
}
