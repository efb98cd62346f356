import DeviceLatency
import Foundation
import Pipeline
import RunFolders
import SearchSpaces
import Testing

@Suite struct ComparisonTests {
  @Test func `every space of a comparison is trained, exported and measured alike, and none twice`() throws {
    let folder = try TinyRun.makeFolder()
    defer { try? FileManager.default.removeItem(at: folder) }
    try Data(
      TinyRun.configuration(hyperspaceFile: folder.appending(path: "tiny32.yaml"), profileSeconds: 45).utf8
    ).write(to: folder.appending(path: "run.yaml"))
    let (text, page) = try TinyRun.open("run", in: folder).compare(repetitions: 1, randomSpaces: 1)

    let file = RunFolderPaths(root: folder.appending(path: "run")).recordFile("comparison")
    var records: [ComparisonRecord] = []
    try RecordLog<ComparisonRecord>.read(file) { records.append($0) }
    // The tiny hyperspace has two of the four hand-designed block types.
    #expect(records.map(\.arm.name) == ["found", "mbconv-se", "bottleneck", "random-1"])
    for record in records {
      #expect(text.contains(record.arm.title))
      if record.arm.kind == .handDesigned { #expect(Set(record.arm.space.blockTypes).count == 1) }
      for case let model? in record.entries.map(\.model) {
        #expect(model.images == 10_000)
        #expect(model.predictedMilliseconds <= record.entries.map(\.constraintMilliseconds).max()!)
        let models = folder.appending(path: "run/comparison/\(record.arm.name)-1/models")
        #expect(FileManager.default.fileExists(atPath: models.appending(path: model.file).path(percentEncoded: false)))
      }
    }
    // The found space has the best score: that is how it was found.
    #expect(records[0].score == records.map(\.score).max())
    #expect(try String(contentsOf: page, encoding: .utf8).contains("Kendall"))
    // The exported subnets of all spaces are judged by their stage losses, each once.
    var losses: [RankedSubnet] = []
    let lossesFile = RunFolderPaths(root: folder.appending(path: "run")).recordFile("comparison-losses")
    try RecordLog<RankedSubnet>.read(lossesFile) { losses.append($0) }
    let exported = Set(
      records.flatMap { record in
        record.entries.compactMap(\.model).map { [record.arm.space.encoding, $0.subnet.encoding] }
      })
    #expect(Set(losses.map { [$0.space!.encoding, $0.subnet.encoding] }) == exported && losses.count == exported.count)
    #expect(losses.allSatisfy { $0.stageLosses.count == 2 && $0.stageLosses.allSatisfy { $0 > 0 && $0 < 10 } })
    #expect(try String(contentsOf: page, encoding: .utf8).contains("judged by the losses of their distilled stages"))

    // The same command again repeats nothing, and makes a file again that is gone; a second device is added to what is there.
    #expect {
      try TinyRun.open("run", in: folder).compare(repetitions: 1, randomSpaces: 1, otherDevice: "onnxruntime")
    } throws: {
      "\($0)".contains("this is the run's own device")
    }
    let removed = folder.appending(path: "run/comparison/found-1/models/model-1.onnx")
    let bytes = try Data(contentsOf: removed)
    try FileManager.default.removeItem(at: removed)
    let crossed = try TinyRun.open("run", in: folder).compare(
      repetitions: 1, randomSpaces: 1, otherDevice: "openvino")
    #expect(try Data(contentsOf: removed) == bytes)
    var again = 0
    try RecordLog<ComparisonRecord>.read(file) { _ in again += 1 }
    #expect(again == records.count + 1)
    again = 0
    try RecordLog<RankedSubnet>.read(lossesFile) { _ in again += 1 }
    #expect(again == losses.count)

    let paths = RunFolderPaths(root: folder.appending(path: "run"))
    var cells: [CrosswiseRecord] = []
    try RecordLog<CrosswiseRecord>.read(paths.recordFile("crosswise")) { cells.append($0) }
    #expect(cells.map { [$0.designedFor, $0.timedOn] } == [[.other, .own], [.own, .other], [.other, .other]])
    #expect(cells.map(\.device.name) == ["onnxruntime", "openvino", "openvino"])
    #expect(cells[1].space == records[0].arm.space && cells[0].space == cells[2].space)
    for (name, device) in [("comparison", "onnxruntime"), ("crosswise", "onnxruntime"), ("crosswise", "openvino")] {
      let side = name == "comparison" ? "" : device == "onnxruntime" ? "-own" : "-other"
      var timings: [ComparisonTiming] = []
      try RecordLog<ComparisonTiming>.read(paths.recordFile("\(name)-timings\(side)")) { timings.append($0) }
      #expect(!timings.isEmpty && timings.allSatisfy { $0.device.name == device && $0.milliseconds > 0 })
    }
    #expect(try String(contentsOf: crossed.page, encoding: .utf8).contains("On another device"))
    let markdown = try String(contentsOf: folder.appending(path: "run/comparison.md"), encoding: .utf8)
    #expect(markdown.contains("On another device") && markdown.contains("](comparison-1.svg)"))
    #expect(
      FileManager.default.fileExists(
        atPath: folder.appending(path: "run/comparison-1.svg").path(percentEncoded: false)))

    // Whether its losses and its supernet rank subnets as training alone does: with the supernet that the comparison has
    // trained, and on its page.
    let checkpoints = { try FileManager.default.subpathsOfDirectory(atPath: folder.path(percentEncoded: false)).count }
    let ranked = try TinyRun.open("run", in: folder).ranking(subnets: 6, alone: 4, repetitions: 2, steps: 6)
    let files = try checkpoints()
    let judges = ["Sum of stage losses", "Sum of their logarithms", "Accuracy in the supernet", "MACs", "Parameters"]
    #expect(ranked.withAlone.map(\.judge) == judges + ["Predicted latency"])
    // With six networks for two stages there are enough to fit weights to, with four there are not.
    #expect(
      ranked.withSupernet?.map(\.judge)
        == judges[..<2] + ["Sum of logarithms with fitted weights"] + judges[3...] + ["Predicted latency"])
    #expect(ranked.withAlone.allSatisfy { $0.networks == 4 })
    #expect(ranked.withSupernet?.allSatisfy { $0.networks == 6 } == true)
    for agreement in ranked.withAlone + (ranked.withSupernet ?? []) {
      #expect((-1...1).contains(agreement.tau))
      #expect(agreement.interval[0] <= agreement.tau && agreement.tau <= agreement.interval[1])
    }
    #expect(ranked.repeatability.map { (-1...1).contains($0) } == true)
    // Nothing is trained twice.
    #expect(try TinyRun.open("run", in: folder).ranking(subnets: 6, alone: 4, repetitions: 2, steps: 6) == ranked)
    #expect(try checkpoints() == files)
    var subnets: [RankedSubnet] = []
    try RecordLog<RankedSubnet>.read(paths.recordFile("ranking-subnets")) { subnets.append($0) }
    #expect(subnets.count == 6 && subnets.allSatisfy { $0.stageLosses.allSatisfy { $0 > 0 } && $0.macs > 0 })
    let ranking = try TinyRun.open("run", in: folder).compare(repetitions: 1, randomSpaces: 1, otherDevice: "openvino")
    #expect(try String(contentsOf: ranking.page, encoding: .utf8).contains("trained alone"))

    // The same over spaces: no supernet has all of them.
    let across = try TinyRun.open("run", in: folder).ranking(
      subnets: 8, alone: 6, repetitions: 1, steps: 6, acrossSpaces: true)
    #expect(across.withAlone.allSatisfy { $0.networks == 6 && (-1...1).contains($0.tau) })
    #expect(
      across.withAlone.map(\.judge) == judges[..<2] + ["Sum of logarithms with fitted weights"] + judges[3...]
        + ["Predicted latency"])
    #expect(across.withSupernet == nil && across.repeatability == nil)
    var ofSpaces: [RankedSubnet] = []
    try RecordLog<RankedSubnet>.read(paths.recordFile("ranking-hyperspace-subnets")) { ofSpaces.append($0) }
    #expect(ofSpaces.count == 8 && Set(ofSpaces.map(\.space)).count > 2)
    #expect(ofSpaces.allSatisfy { $0.supernetAccuracy == nil && $0.stageLosses.allSatisfy { $0 > 0 } })
    let both = try TinyRun.open("run", in: folder).compare(repetitions: 1, randomSpaces: 1, otherDevice: "openvino")
    #expect(try String(contentsOf: both.page, encoding: .utf8).contains("Random subnets of random spaces"))
  }
}
