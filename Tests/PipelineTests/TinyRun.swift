import Foundation
import Pipeline

/// A job that is whole but small: four stages of two block types, few steps, real images and the real runtime.
enum TinyRun {
  static let hyperspace = """
    name: tiny32
    image: {channels: 1, resolutions: [32]}
    classes: 10
    blocks:
      - {name: bottleneck, family: residual-bottleneck, kernels: [3], expansions: [0.5, 1], activation: relu}
      - {name: mbconv-se, family: mbconv, kernels: [3], expansions: [2], activation: hard-swish, squeeze-excitation: true}
    stem: {name: first_conv, widths: [8], kernel: 3, stride: 2, activation: relu}
    stages:
      - {name: stage1, widths: [8, 16], window: 1, depths: [1, 2], stride: 2}
      - {name: stage2, widths: [16, 24], window: 1, depths: [1, 2], stride: 2}
    head:
      - {layer: convolution, name: final_expand, width: 32, activation: hard-swish}
      - {layer: global-average-pool, name: pool}
      - {layer: linear, name: logits}
    """

  /// - Parameters:
  ///   - hyperspaceFile: Where `hyperspace` was written.
  ///   - profileSeconds: OpenVINO takes some for compiling, on a busy machine more.
  static func configuration(
    hyperspaceFile: URL, constraints: String = "{quantiles: [0.3, 0.8]}", profileSeconds: Int = 10
  ) -> String {
    """
    seed: 3
    jobs: 2
    data: {name: fashion-mnist, folder: default, validation-images: 500, augmentation: {shift: 1, flip: true}}
    hyperspace: \(hyperspaceFile.path(percentEncoded: false))
    device: {name: onnxruntime, threads: 1}
    profile: {seconds: \(profileSeconds), fitting-networks: 6, held-out-networks: 2}
    constraints: \(constraints)
    teacher: {block: bottleneck, widths: [16, 24], depths: [1, 1], steps: 40, batch: 32, learning-rate: 0.1}
    distillation: {images: 128, batch: 16, float-steps: 12, integer-steps: 6, learning-rate: 0.004,
      random-substages: 1, smallest-in-every-step: false, rows: 6, evaluation-images: 32}
    evolution: {population: 4, tournament: 2, spaces: 12, fraction: 0.08, exponent: 0.01}
    supernet: {float-steps: 40, integer-steps: 20, epoch: 10, batch: 32, learning-rate: 0.1,
      integer-learning-rate: 0.02, random-subnets: 1, smallest-in-every-step: false, label-smoothing: 0.1,
      distillation: {divergence: alpha, label-share: 0.5}}
    search: {population: 6, generations: 1, mutations: 3, crossovers: 3, images: 200, recalibration-images: 64}
    fine-tuning: {models: 3, steps: 20, batch: 32, learning-rate: 0.02}
    """
  }

  /// A folder with the two files, and room for run folders.
  static func makeFolder() throws -> URL {
    let folder = FileManager.default.temporaryDirectory.appending(path: "spaceevo-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    let file = folder.appending(path: "tiny32.yaml")
    try Data(hyperspace.utf8).write(to: file)
    try Data(configuration(hyperspaceFile: file).utf8).write(to: folder.appending(path: "run.yaml"))
    return folder
  }

  static func open(_ name: String, in folder: URL, configuration: String = "run.yaml") throws -> Run {
    try Run(
      folder: folder.appending(path: name),
      configurationFile: folder.appending(path: configuration).path(percentEncoded: false), isQuiet: true)
  }
}
