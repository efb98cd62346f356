import Datasets
import DeviceLatency
import Foundation
import InferenceRuntimes
import NetworkGraphs
import ONNXExport
import Quantization
import RunFolders
import SearchSpaces
import TorchTraining

extension RunContext {
  /// The device that the configuration names.
  var device: Device { get throws { try Device(configuration.device.name) } }

  /// What times models on the device.
  ///
  /// - Parameter earlierLevel: Of earlier measurements of this run: a machine that is slower now is then known to be.
  func meter(earlierLevel: Double? = nil) throws -> any LatencyMeter {
    try device.meter(threads: configuration.device.threads, earlierLevel: earlierLevel) { [display] in
      display.note("The machine is busy: waiting for its full speed")
    } check: {
      try Interruption.check()
    }
  }

  /// Writes an exported model's card: how to feed the file, and what was measured on it.
  func writeCard(_ record: ModelRecord, network: IntegerNetwork, space: SearchSpace, timing: LatencyMeasurement) throws
  {
    var versions = folder.manifest.libraries
    versions["program"] = Program.name
    var card = ModelCard(
      model: record.file, precision: "int8", graph: network.graph, scale: network.quantizers[0].scale,
      zeroPoint: network.quantizers[0].zeroPoint, classes: data.training.classNames, space: space,
      subnet: record.subnet, versions: versions)
    card.accuracy = .init(
      dataSet: configuration.data.name, split: "test", images: record.images, correct: record.correct,
      runtime: try "\(device.evaluationRuntime.rawValue) \(device.evaluationRuntime.load())")
    card.latency = .init(
      device: "\(timing.device)", milliseconds: timing.milliseconds,
      statistic: "minimum of \(timing.slices) slices of \(timing.rounds)", spreadPercent: timing.spreadPercent,
      gated: timing.isGated, predictedMilliseconds: record.predictedMilliseconds)
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    try AtomicFile.write(
      try encoder.encode(card), to: ONNXModel.cardURL(of: folder.paths.models.appending(path: record.file)))
  }
}
