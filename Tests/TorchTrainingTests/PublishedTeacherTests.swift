import Datasets
import Foundation
import NetworkGraphs
import Testing
import TorchTraining

@Suite("EfficientNet-Lite")
struct PublishedTeacherTests {
  /// MACs and parameters as published (github.com/tensorflow/tpu, EfficientNet-Lite): 407 M and 4.7 M, 631 M and 5.4 M,
  /// 899 M (at 260 pixels) and 6.1 M; kernels of stride 2 are two pixels larger here.
  @Test("The graph has the published size", arguments: [(0, 224, 407.0, 4.7), (1, 240, 631, 5.4), (2, 256, 872, 6.1)])
  func size(variant: Int, resolution: Int, megaMACs: Double, megaParameters: Double) {
    // 240 is no multiple of 32, so variant 1 is taken at 256 and its MACs scaled by the area.
    let rounded = (resolution + 31) / 32 * 32
    let graph = EfficientNetLite(variant: variant, resolution: rounded).graph
    let scale = Double(resolution * resolution) / Double(rounded * rounded)
    #expect(abs(Double(graph.cost.macs) / 1e6 * scale / megaMACs - 1) < 0.1)
    #expect(abs(Double(graph.cost.parameters) / 1e6 / megaParameters - 1) < 0.03)
    #expect(graph.outputShape.channels == 1000)
    #expect(graph.stageOutputs.map { graph.nodes[$0].shape.height * 32 / rounded } == [16, 16, 8, 4, 2, 2, 1, 1, 0])
  }

  @Test("Every convolution of the graph has one published name, and each name is used once")
  func names() {
    for variant in 0...2 {
      let network = EfficientNetLite(variant: variant, resolution: 224)
      let convolutions = network.graph.nodes.filter { $0.convolution != nil }.map(\.name)
      let names = network.publishedNames
      #expect(Set(convolutions) == Set(names.keys))
      #expect(Set(names.values.map(\.weight)).count == convolutions.count)
    }
  }

  @Test("A file of something else is refused with the tensor that is missing")
  func refusal() throws {
    let url = FileManager.default.temporaryDirectory.appending(path: "none-\(UUID()).pth")
    #expect(throws: TorchError.self) { try LegacyTorchFile(contentsOf: url) }
    try Data("PK zip archive, as newer versions write".utf8).write(to: url)
    defer { try? FileManager.default.removeItem(at: url) }
    let message = #expect(throws: TorchError.self) { try LegacyTorchFile(contentsOf: url) }
    #expect(message?.message.contains(url.path(percentEncoded: false)) == true)
  }
}

/// Where set-up puts the weights and the photographs.
private let folder = URL(
  filePath: ProcessInfo.processInfo.environment["SPACEEVO_DATA"]
    ?? URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    .appending(path: ".deps/data").path(percentEncoded: false)
).appending(path: "teachers")

@Suite("EfficientNet-Lite with its ImageNet weights")
struct PhotographTests {
  @Test(
    "It names at least 16 of 20 photographs right",
    .enabled(
      if: FileManager.default.fileExists(atPath: folder.appending(path: "imagenet_00_243.jpg").path),
      "the weights and photographs are not there; `make setup` fetches them"), arguments: 0...2)
  func photographs(variant: Int) throws {
    let network = EfficientNetLite(variant: variant, resolution: 224)
    let file = try LegacyTorchFile(
      contentsOf: folder.appending(path: "efficientnet-lite\(variant).pth"))
    let (store, statistics) = try network.parameters(from: file, seed: 1)
    let names = try FileManager.default.contentsOfDirectory(atPath: folder.path(percentEncoded: false))
      .filter { $0.hasSuffix(".jpg") }.sorted()
    #expect(names.count == 20)
    let pixels = try names.flatMap { name in
      try Picture(decoding: [UInt8](Data(contentsOf: folder.appending(path: name)))).square(side: 224)
        .with(channels: 3).pixels
    }
    let labels = names.compactMap { Int($0.dropLast(4).split(separator: "_").last ?? "") }
    let images = try Tensor.bytes(pixels, shape: [20, 3, 224, 224]).pixelsAsFloats(
      shift: Float(EfficientNetLite.publishedZeroPoint), factor: EfficientNetLite.publishedScale)
    let classes = try withoutGradients { () throws(TorchError) in
      try store.forward(images, through: network.graph, precision: .float, normalization: .given(statistics))
        .flattened().argmax()
    }
    let correct = zip(classes, labels).count { $0 == $1 }
    print("EfficientNet-Lite\(variant): \(correct) of 20 photographs right at 224 pixels")
    #expect(correct >= 16)
  }
}
