import DeviceLatency
import Foundation
import NetworkGraphs
import RunFolders
import SearchSpaces

/// How long a run folder with 100,000 records takes to open: half of them measured kernels, half measured subnets, as a
/// run's `records/latency.jsonl` holds them.
func reportRecordFiles() throws {
  let url = FileManager.default.temporaryDirectory.appending(path: "spaceevo-records-\(UUID().uuidString)")
  defer { try? FileManager.default.removeItem(at: url) }
  let count = 100_000
  func open() throws -> (folder: RunFolder, log: RecordLog<LatencyMeasurement>, records: [LatencyMeasurement]) {
    var records: [LatencyMeasurement] = []
    let folder = try RunFolder(at: url, configuration: "seed: 1\n", program: "benchmark")
    let log = try folder.records("latency", of: LatencyMeasurement.self) { records.append($0) }
    return (folder, log, records)
  }
  do {
    let begun = try open()
    try begun.log.append(contentsOf: try measurements(count))
  }
  let size = try Data(contentsOf: RunFolderPaths(root: url).recordFile("latency"), options: .mappedIfSafe).count
  let before = processorSeconds()
  let opened = try measure { try open().records.count }
  report(
    "open a run folder of \(opened.result) records", opened.seconds, "s",
    String(format: "%.1f MB, %.2f s of the processors", Double(size) / 1e6, processorSeconds() - before))
}

private func measurements(_ count: Int) throws -> [LatencyMeasurement] {
  guard let hyperspace = Hyperspace.builtIn("onnxw") else { return [] }
  var generator = SeededGenerator(seed: 1)
  let device = DeviceIdentity(
    name: "benchmark", version: "1", processor: "made up", instructionSets: ["avx2", "avx512_vnni"], threads: 1)
  return (0..<count).map { index in
    let subject: LatencySubject
    if index.isMultiple(of: 2) {
      let shape = TensorShape(channels: 8 * (1 + generator.next(below: 64)), height: 14, width: 14)
      subject = .kernel(
        KernelSignature(kind: .convolution(kernel: 3, stride: 1, outputChannels: 64), input: shape, range: .relu))
    } else {
      let space = hyperspace.randomSpace(using: &generator)
      subject = .subnet(space, hyperspace.randomSubnet(of: space, using: &generator))
    }
    return LatencyMeasurement(
      device: device, subject: subject, nanoseconds: 1e6 * generator.uniform(), spreadPercent: generator.uniform(),
      slices: 8, rounds: 9, isGated: true, probeNanoseconds: 1e5 * generator.uniform(),
      secondsSince1970: 1.7e9 + generator.uniform())
  }
}
