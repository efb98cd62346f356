import ArgumentParser
import Datasets
import Foundation
import InferenceRuntimes
import Pipeline
import RunFolders
import SearchSpaces

struct VerifyCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify",
    abstract: "Whether trainer, integers and runtime agree: on random subnets that are trained a little and exported.",
    discussion: """
      Each subnet is trained on some of the images, exported, and run on others in three ways: by the trainer, as \
      integers, and by the runtime on the file. Ends with status 1 where the runtime gives fewer than 99.9 % of the \
      images the same class as one of the others does, or a convolution is left in real numbers.
      """)

  @OptionGroup var hyperspace: HyperspaceOptions

  @Option(help: "How many subnets.")
  var subnets = 20

  @Option(help: "Images for each.")
  var images = 100

  @Option(help: "Resolution in pixels, in place of each subnet's own.")
  var resolution: Int?

  @Option(help: "Training steps in float; half as many follow with every quantiser in place.")
  var steps = 12

  @Option(help: "Images of a training step.")
  var batch = 16

  @Option(help: "The runtime: \(LocalRuntime.allCases.map(\.rawValue).joined(separator: ", ")).")
  var device = LocalRuntime.onnxRuntime.rawValue

  @Option(help: "Subnets side by side, with a thread each.")
  var threads = 1

  @Option(help: "The subnet of the seed's sequence to begin with, from 0.")
  var first = 0

  @Option(help: "Keep the files of subnets that do not agree in every logit in this folder.", completion: .directory)
  var keep: String?

  @Option(
    help: "Record each subnet in this file; the same command then goes on where it was stopped.", completion: .file())
  var record: String?

  @Option(parsing: .unconditional, help: "Draws subnets, weights and images.")
  var seed: UInt64 = 1

  @Option(help: "Labelled images: \(RunConfiguration.Data.names.joined(separator: ", ")).")
  var data = "fashion-mnist"

  @Option(help: "The folder of the data set, where it is not where set-up puts it.", completion: .directory)
  var folder: String?

  @OptionGroup var output: OutputOptions

  mutating func validate() throws {
    guard subnets > 0, images > 0, steps >= 0, first >= 0, batch > 1 else {
      throw ValidationError("--subnets, --images and --batch are positive, --batch at least 2, --first at least 0.")
    }
    guard LocalRuntime(rawValue: device) != nil else {
      throw ValidationError("--device \(device): \(Device.builtInNames.joined(separator: " or ")) is right here.")
    }
    guard (1...256).contains(threads) else { throw ValidationError("--threads is from 1 to 256.") }
  }

  func run() throws {
    let runtime = LocalRuntime(rawValue: device)!
    let hyperspace = try hyperspace.load().computed(in: runtime.arithmetic)
    if let resolution, !(8...1024).contains(resolution) {
      throw ValidationError("--resolution is from 8 to 1024 pixels.")
    }
    let size = resolution ?? hyperspace.resolutions.last!
    let display = ProgressDisplay(isQuiet: output.quiet)
    let images = try ImageSource(
      name: data, folder: folder.map { URL(filePath: $0) }, size: data == "folder" ? size : nil
    ).load(.test, whole: true, note: display.note)
    let check = try AgreementCheck(
      hyperspace: hyperspace, data: images,
      settings: .init(
        subnets: subnets, images: self.images, resolution: resolution, steps: steps, batch: batch, seed: seed,
        jobs: threads, runtime: runtime, first: first, folder: keep.map { URL(filePath: $0) },
        record: record.map { URL(filePath: $0) }))
    let progress = display.begin(
      "Train, export and compare", unit: "subnets", total: subnets, alreadyDone: check.alreadyDone)
    let result: AgreementCheck.Result
    do {
      result = try check.run { sum in
        let agreement = sum.integersAndRuntime
        progress.advance(detail: "\(agreement.identical) of \(agreement.images) images identical")
      }
    } catch is Interrupted where record == nil {
      progress.finish()
      display.warn("Nothing of this check is kept: with --record FILE the same command goes on where it was stopped.")
      throw ExitCode(Interrupted.exitStatus)
    }
    progress.finish()
    if output.json { try printJSON(result) } else { describe(result) }
    let agree = [result.integersAndRuntime, result.trainerAndRuntime].allSatisfy {
      $0.sameClass * 1_000 >= $0.images * 999
    }
    guard result.floatProducts ?? 0 == 0, agree else {
      throw ExitCode.failure
    }
  }

  private func describe(_ result: AgreementCheck.Result) {
    func percent(_ part: Int, _ all: Int) -> String {
      (100 * Double(part) / Double(max(1, all))).formatted(.number.precision(.fractionLength(3))) + " %"
    }
    for (name, agreement) in [
      ("integers and runtime", result.integersAndRuntime), ("trainer and runtime", result.trainerAndRuntime),
    ] {
      print(
        "\(name): same class \(percent(agreement.sameClass, agreement.images)), logits equal "
          + "\(percent(agreement.identical, agreement.images)), within two steps "
          + "\(percent(agreement.withinTwoSteps, agreement.images)), at most \(agreement.largestSteps) steps apart")
    }
    print(
      "\(result.subnets) subnets, \(result.integersAndRuntime.images) images in all, "
        + "\(percent(result.correct, result.integersAndRuntime.images)) of them named right"
        + (result.floatProducts.map { "; convolutions left in real numbers: \($0)" } ?? ""))
    for subnet in result.differing {
      print("subnet \(subnet.index): \(subnet.images) images differ; \(subnet.space) \(subnet.subnet)")
      if let first = subnet.firstDifference {
        print(
          "  first in \(first.node), \(first.operation): \(first.bytes) of \(first.of) bytes, by \(first.steps) at most"
        )
      }
    }
  }
}
