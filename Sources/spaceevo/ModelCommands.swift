import ArgumentParser
import Datasets
import DeviceLatency
import Foundation
import InferenceRuntimes
import NetworkGraphs
import ONNXExport
import Pipeline
import Quantization
import RunFolders
import SearchSpaces

struct ExportCommand: ParsableCommand, KeepingNothing {
  static let configuration = CommandConfiguration(
    commandName: "export", abstract: "Write a subnet as an ONNX file that takes uint8 pixels.")

  enum Precision: String, ExpressibleByArgument, CaseIterable { case int8, float32 }

  @Option(
    help:
      "The hyperspace: \(Hyperspace.builtInNames.joined(separator: ", ")), or a YAML file; a checkpoint's run knows it."
  )
  var hyperspace: String?

  @Option(help: "The search space, such as onnxw-151122-023231.")
  var space: String

  @Option(help: "The subnet, such as d1#1#2_k…")
  var subnet: String

  @Option(help: "random:SEED, or a file in the checkpoints folder of a run.")
  var weights = "random:1"

  @Option(
    help: ArgumentHelp(
      "The runtime that random weights are exported for: \(Device.builtInNames.joined(separator: " or ")); "
        + "a checkpoint's run knows it. (default: \(LocalRuntime.onnxRuntime.rawValue))"))
  var device: String?

  @Option(help: "int8 or float32.")
  var precision = Precision.int8

  @Option(help: "The file to write.", completion: .file(extensions: ["onnx"]))
  var output: String

  func validate() throws { try checkPlace(of: output, option: "--output") }

  func run() throws {
    let url = URL(filePath: output)
    let (bytes, card) =
      weights.hasPrefix("random:") ? try random(url.lastPathComponent) : try trained(url.lastPathComponent)
    try ONNXModel.write(bytes, card: card, to: url)
    print(url.path(percentEncoded: false))
  }

  private func random(_ file: String) throws -> ([UInt8], ModelCard) {
    guard let spaceName = self.hyperspace else { throw ValidationError("Random weights need --hyperspace.") }
    let name = device ?? LocalRuntime.onnxRuntime.rawValue
    guard let runtime = LocalRuntime(rawValue: name) else {
      throw ValidationError("--device \(name): \(Device.builtInNames.joined(separator: " or ")) is right here.")
    }
    let hyperspace = try Program.hyperspace(spaceName).computed(in: runtime.arithmetic)
    let space = try hyperspace.space(space)
    let subnet = try hyperspace.subnet(subnet, in: space)
    guard let seed = UInt64(weights.dropFirst("random:".count)) else {
      throw ValidationError("--weights \(weights): write random:SEED with a whole number.")
    }
    let network = IntegerNetwork(randomWeights: seed, for: try NetworkGraph(subnet, of: space, in: hyperspace))
    let card = card(
      file, network.graph, network.quantizers[0], (0..<hyperspace.classes).map { "class \($0)" }, space, subnet)
    return switch precision {
    case .int8: (try ONNXModel.bytes(network), card)
    case .float32: (try ONNXModel.bytes(FloatNetwork(dequantizing: network)), card)
    }
  }

  private func trained(_ name: String) throws -> ([UInt8], ModelCard) {
    if let device {
      throw ValidationError("--device \(device): a checkpoint is exported for its run's device; leave it out.")
    }
    let weights = try TrainedWeights(checkpoint: URL(filePath: weights))
    if let hyperspace, try Program.hyperspace(hyperspace) != weights.hyperspace.computed(in: .onnxRuntime) {
      throw ValidationError(
        "--hyperspace \(hyperspace) is not that of the checkpoint's run, \(weights.hyperspace.name).")
    }
    let space = try weights.hyperspace.space(space)
    let subnet = try weights.hyperspace.subnet(subnet, in: space)
    switch precision {
    case .int8:
      let network = try weights.integerNetwork(subnet, of: space)
      return (
        try ONNXModel.bytes(network),
        card(name, network.graph, network.quantizers[0], weights.classNames, space, subnet)
      )
    case .float32:
      let network = try weights.floatNetwork(subnet, of: space)
      return (
        try ONNXModel.bytes(network), card(name, network.graph, network.input, weights.classNames, space, subnet)
      )
    }
  }

  private func card(
    _ name: String, _ graph: NetworkGraph, _ pixels: AffineQuantizer, _ classes: [String], _ space: SearchSpace,
    _ subnet: Subnet
  ) -> ModelCard {
    ModelCard(
      model: name, precision: precision.rawValue, graph: graph, scale: pixels.scale, zeroPoint: pixels.zeroPoint,
      classes: classes, space: space, subnet: subnet, versions: ["program": Program.name])
  }
}

struct EvaluateCommand: ParsableCommand, KeepingNothing {
  static let configuration = CommandConfiguration(
    commandName: "evaluate", abstract: "Accuracy of a model file on a data set's test images, by the runtime.")

  @Option(help: "The ONNX file.", completion: .file(extensions: ["onnx"]))
  var model: String

  @Option(
    help: "fashion-mnist, cifar10, cifar100, or folder: one with a folder of JPEG and PNG files for each class.")
  var data = "fashion-mnist"

  @Option(
    help:
      "The folder of the data set, where it is not where set-up puts it. One with parts is judged by its test part, one without by all its images.",
    completion: .directory)
  var folder: String?

  @Flag(help: "Leave out files of a folder that cannot be read, and name them, in place of an error.")
  var skipBrokenFiles = false

  @OptionGroup var device: DeviceOptions
  @OptionGroup var output: OutputOptions

  private struct Answer: Encodable {
    var images: Int
    var correct: Int
    var top1: Double
    var runtime: String
  }

  func validate() throws {
    guard data == "folder" || !skipBrokenFiles else {
      throw ValidationError("--skip-broken-files is for --data folder; \(data) is read whole or not at all.")
    }
  }

  func run() throws {
    let bytes = try Program.bytes(ofFile: model)
    let runtime = try device.load().evaluationRuntime
    let session: any InferenceSession
    do { session = try runtime.session(bytes, .init(threads: device.threads)) } catch { throw error.naming(model) }
    let shape = session.inputs.first?.shape ?? []
    if let size = shape.last ?? nil, size > 4_096 {
      throw ValidationError("\(model) takes images of \(size) pixels a side; at most 4096 are served.")
    }
    let display = ProgressDisplay(isQuiet: output.quiet)
    let source = ImageSource(
      name: data, folder: folder.map { URL(filePath: $0) }, size: shape.last ?? nil,
      channels: data == "folder" && shape.count == 4 ? shape[1] : nil, skipsBrokenFiles: skipBrokenFiles)
    let test = try source.load(.test, whole: true, note: display.note)
    if shape.count == 4, let channels = shape[1], channels != test.channels {
      throw ValidationError(
        "\(model) takes images of \(channels) channels, and those of \(test.name) have \(test.channels).")
    }
    if let classes = session.outputs.first?.elementsPerImage, classes != test.classNames.count {
      throw ValidationError(
        "\(model) tells \(classes) classes apart, and \(test.name) has \(test.classNames.count).")
    }
    let progress = display.begin("Evaluate", unit: "images", total: test.count)
    var done = 0
    let evaluation: Evaluation
    do {
      evaluation = try session.evaluate(test.pixels, labels: test.labels) {
        progress.advance(by: $0 - done)
        done = $0
      }
    } catch {
      throw error.naming(model)
    }
    progress.finish()
    let answer = Answer(
      images: evaluation.images, correct: evaluation.correct, top1: evaluation.accuracy,
      runtime: "\(runtime.rawValue) \(try runtime.load())")
    if output.json {
      try printJSON(answer)
    } else {
      print(
        "\(answer.correct) of \(answer.images) right: top-1 \((100 * answer.top1).formatted(.number.precision(.fractionLength(2)))) % in \(answer.runtime)"
      )
    }
  }
}
