import DeviceLatency
import Foundation
import NetworkGraphs
import ONNXExport
import Pipeline
import RunFolders
import SearchSpaces
import SpaceEvolution

extension Parser {
  /// What a run folder holds.
  static var recordParsers: [Parser] {
    [
      Parser(name: "records", seeds: { [Array(latencyRecords.utf8), Array(evolutionRecords.utf8)] }) { bytes in
        try readRecords(bytes)
      },
      Parser(name: "manifest", seeds: { [try manifest()] }) { bytes in
        try Scratch.withFile(bytes, named: "manifest.json") { folder in
          let manifest = try RunFolder.manifest(of: folder)
          _ = try RunConfiguration(yaml: manifest.configuration, file: "configuration.yaml")
        }
      },
      Parser(name: "predictor", seeds: { [try predictor()] }) { bytes in
        let predictor = try JSONDecoder().decode(LatencyPredictor.self, from: Data(bytes))
        _ = predictor.prediction(of: smallGraph).milliseconds
        _ = (predictor.summary, predictor.warning)
      },
      Parser(name: "model-card", seeds: { [try card()] }) { bytes in
        _ = try Scratch.withFile(bytes, named: "a.json") {
          try ONNXModel.card(of: $0.appending(path: "a.onnx")).classes
        }
      },
      Parser(name: "report", seeds: { try reports() }) { bytes in try writeReport(bytes) },
    ]
  }

  private static let smallGraph: NetworkGraph = {
    var generator = SeededGenerator(seed: 3, stream: "records")
    let space = mini32.randomSpace(using: &generator)
    return try! NetworkGraph(mini32.randomSubnet(of: space, using: &generator), of: space, in: mini32)
  }()

  // MARK: - Records

  private static let device =
    #"{"name":"onnxruntime","version":"1.32.0","processor":"A","instructionSets":["avx2"],"threads":1}"#

  private static var latencyRecords: String {
    let subjects = [
      #"{"kernel":"conv-k3-s2-o32 16x16x16 relu"}"#, #"{"call":"empty"}"#, #"{"context":"map 8x8x8"}"#,
      #"{"model":"a.onnx"}"#, #"{"space":"\#(encodedSpace)","subnet":"\#(encodedSubnet)"}"#,
    ]
    return subjects.enumerated().map { index, subject in
      #"{"v":1,"device":\#(device),"subject":\#(subject),"nanoseconds":\#(12_345.5 + Double(index)),"spreadPercent":1.5,"#
        + #""slices":3,"rounds":4,"isGated":true,"probeNanoseconds":1000,"secondsSince1970":1700000000.25}"# + "\n"
    }.joined()
  }

  private static let score =
    #"{"space":"\#(encodedSpace)","score":2.5,"constraints":[{"latencyMilliseconds":0.05,"feasibleFraction":0.5,"tailLoss":0.4,"score":2.5}]}"#

  private static var evolutionRecords: String {
    (0..<3).map {
      #"{"v":1,"index":\#($0),"generation":0,"origin":"random","parent":"\#(encodedSpace)","score":\#(score)}"# + "\n"
    }.joined()
  }

  private static let encodedSpace: String = {
    var generator = SeededGenerator(seed: 3, stream: "records")
    return mini32.randomSpace(using: &generator).encoding
  }()
  private static let encodedSubnet: String = {
    var generator = SeededGenerator(seed: 4, stream: "records")
    return mini32.randomSubnet(of: try! mini32.space(encodedSpace), using: &generator).encoding
  }()

  private static func readRecords(_ bytes: [UInt8]) throws {
    try Scratch.withFile(bytes, named: "a.jsonl") { folder in
      let file = folder.appending(path: "a.jsonl")
      var measurements: [LatencyMeasurement] = []
      do {
        // Opening for writing cuts off an unfinished last line, and nothing else.
        let log = try RecordLog(at: file, of: LatencyMeasurement.self) { measurements.append($0) }
        guard log.count == measurements.count else { throw UnfaithfulParser(description: "\(log.count) records") }
      } catch is RunFolderError {
        guard try Array(Data(contentsOf: file)) == bytes else {
          throw UnfaithfulParser(description: "a file that was refused has changed")
        }
        var count = 0
        try RecordLog<EvolutionRecord>.read(file) { _ in count += 1 }
        return
      }
      guard let device = measurements.first?.device else { return }
      let profile = LatencyProfile(
        hyperspace: mini32, fittedNetworks: 1, heldOutNetworks: 1, singleTypeNetworks: 0, countedNetworks: 1)
      _ = profile.predictor(measurements, device: device).summary
    }
  }

  // MARK: - Manifests, predictors, cards

  private static func manifest() throws -> [UInt8] {
    try Scratch.withFile([], named: "unused") { folder in
      let run = folder.appending(path: "run")
      _ = try RunFolder(
        at: run, configuration: RunConfiguration.builtInText, seeds: ["run": 7], program: "spaceevo 0",
        libraries: ["libtorch": "2"])
      return Array(try Data(contentsOf: run.appending(path: "manifest.json")))
    }
  }

  private static func predictor() throws -> [UInt8] {
    let texts = ["conv-k3-s2-o32 16x16x16 relu", "conv-k1-s1-o8 16x16x16", "depthwise-k3-s1 8x8x8", "add 8x8x8"]
    let kernels = Dictionary(uniqueKeysWithValues: texts.map { (KernelSignature($0)!, 3.5) })
    var predictor = LatencyPredictor(
      device: DeviceIdentity(name: "a", version: "1", processor: "p", instructionSets: ["avx2"], threads: 1),
      kernels: kernels, correction: .none, gatedShare: 0.5)
    predictor.estimate([KernelSignature("add 4x4x4")!])
    let pairs = (1...3).map {
      PredictionAccuracy.Pair(predictedMilliseconds: Double($0), measuredMilliseconds: 1.1 * Double($0), network: "n")
    }
    predictor.fitted = PredictionAccuracy(pairs)
    predictor.heldOut = PredictionAccuracy(pairs)
    return Array(try JSONEncoder().encode(predictor))
  }

  private static func card() throws -> [UInt8] {
    var card = ModelCard(
      model: "a.onnx", precision: "int8", graph: smallGraph, scale: 0.5, zeroPoint: 3, classes: ["a", "b"],
      space: SearchSpace(encodedSpace), subnet: Subnet(encodedSubnet), versions: ["program": "1"])
    card.accuracy = .init(dataSet: "d", split: "test", images: 10, correct: 5, runtime: "r")
    card.latency = .init(
      device: "d", milliseconds: 1, statistic: "s", spreadPercent: 2, gated: true, predictedMilliseconds: 1.5)
    return Array(try JSONEncoder().encode(card))
  }

  // MARK: - Reports

  /// Files of a run folder one after another, each under a line `== NAME`.
  private static func reports() throws -> [[UInt8]] {
    let model =
      #"{"v":1,"file":"model-1.onnx","subnet":"\#(encodedSubnet)","predictedMilliseconds":0.04,"measuredMilliseconds":0.05,"#
      + #""spreadPercent":1,"gated":true,"correct":90,"images":100,"supernetAccuracy":0.8,"macs":1000,"parameters":100}"#
    let subnet =
      #"{"v":1,"generation":0,"subnet":"\#(encodedSubnet)","predictedMilliseconds":0.04,"accuracy":0.8}"#
    let training =
      #"{"v":1,"network":"supernet","phase":"integer","step":10,"loss":1.5,"learningRate":0.1,"validation":{"largest":0.5}}"#
    let block = #"{"v":1,"stage":"stage1","block":"mbconv","floatLoss":0.5,"integerLoss":0.6,"attempts":1}"#
    let proof =
      #"{"evolved":\#(score),"isEvolvedBest":true,"excludedByTailLoss":5,"excludedByShare":6,"scored":7,"bestExcludedBound":1}"#
    let design =
      #"{"v":1,"constraintsMilliseconds":[0.05],"fixedMilliseconds":0.01,"best":[\#(score)],"evaluated":3,"candidates":9,"proof":\#(proof)}"#
    let step = #"{"v":1,"step":"profile","seconds":1.5}"#
    let text = """
      == models
      \(model)
      == subnets
      \(subnet)
      == training
      \(training)
      == blocks
      \(block)
      == design
      \(design)
      == steps
      \(step)
      == spaces
      \(evolutionRecords)
      == predictor.json
      """
    return [Array(text.utf8) + [10] + (try predictor())]
  }

  private static let validManifest = try! manifest()

  private static func writeReport(_ bytes: [UInt8]) throws {
    try Scratch.withFile(validManifest, named: "manifest.json") { folder in
      try FileManager.default.createDirectory(at: folder.appending(path: "records"), withIntermediateDirectories: false)
      let known = ["models", "subnets", "training", "blocks", "design", "steps", "spaces"]
      var file: URL?
      var content: [UInt8] = []
      func finish() throws {
        if let file, !content.isEmpty { try Data(content).write(to: file) }
        content = []
      }
      for line in bytes.split(separator: 10, omittingEmptySubsequences: false) {
        guard line.starts(with: Array("== ".utf8)) else {
          if !line.isEmpty { content += line + [10] }
          continue
        }
        try finish()
        let name = String(decoding: line.dropFirst(3), as: UTF8.self)
        file = known.contains(name) ? folder.appending(path: "records/\(name).jsonl") : nil
        if name == "predictor.json" { file = folder.appending(path: name) }
      }
      try finish()
      let page = try Data(contentsOf: Run.writeReport(of: folder))
      guard !page.contains(Data("<script".utf8)) else { throw UnfaithfulParser(description: "a script in the report") }
    }
  }
}

extension Data {
  fileprivate func contains(_ part: Data) -> Bool { range(of: part) != nil }
}
