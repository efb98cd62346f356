import Foundation
import Pipeline
import SearchSpaces
import SpaceEvolution
import StrictYAML
import Testing
import TorchTraining

@Suite struct RunConfigurationTests {
  @Test func `the built-in configuration is right`() throws {
    let configuration = try RunConfiguration(yaml: RunConfiguration.builtInText, file: "built-in")
    #expect(configuration.hyperspace == "mini32")
    #expect(configuration.data.name == "fashion-mnist")
  }

  @Test func `the configuration of the documented comparison is one that this program reads`() throws {
    let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    let file = root.appending(path: "Documentation/Comparison/comparison.yaml")
    let configuration = try RunConfiguration(
      yaml: String(contentsOf: file, encoding: .utf8), file: file.path(percentEncoded: false))
    #expect(configuration.data.name == "fashion-mnist")
  }

  @Test func `the ImageNet preset has the paper's values, and a run is for one of the hyperspace's resolutions`() throws
  {
    let text = try #require(RunConfiguration.preset("imagenet"))
    let configuration = try RunConfiguration(yaml: text, file: "imagenet")
    #expect(configuration.supernet.dropout == 0.2 && configuration.supernet.divergence == .alpha)
    #expect(configuration.optimizer.momentum == 0.9 && configuration.optimizer.nesterov)
    let search = configuration.search
    #expect(
      [search.population, search.generations, search.mutations, search.crossovers] == [512, 20, 128, 128]
        && search.selection == .accuracy)
    // 360 epochs of the images that are left for training.
    let images = 1_281_167 - configuration.data.validationImages
    #expect(abs(configuration.supernet.floatSteps * configuration.supernet.batch / images - 360) <= 1)
    let hyperspace = try configuration.loadHyperspace()
    #expect(hyperspace.name == "onnxw" && hyperspace.resolutions == [224])
    let other = try RunConfiguration(yaml: text.replacing("resolution: 224", with: "resolution: 300"), file: "mine")
    #expect {
      try other.loadHyperspace()
    } throws: {
      "\($0)".contains("no 300") && "\($0)".contains("160, 176, 192, 208, 224")
    }
    #expect(RunConfiguration.presetNames.allSatisfy { RunConfiguration.preset($0) != nil })
    #expect(RunConfiguration.preset("cifar") == nil)
  }

  @Test func `a configuration of an earlier version, without an optimizer, has the values that it had`() throws {
    let text = RunConfiguration.builtInText
    let demo = try RunConfiguration(yaml: text, file: "demo")
    let start = try #require(text.range(of: "optimizer: {")).lowerBound
    let end = try #require(text.range(of: "\nsupernet:")).lowerBound
    let earlier = try RunConfiguration(yaml: text.replacingCharacters(in: start..<end, with: ""), file: "earlier")
    #expect(earlier.optimizer == demo.optimizer)
  }

  @Test(arguments: [
    ("seed: 1", "sead: 1", "unknown key \"sead\"; did you mean \"seed\"?"),
    ("seed: 1\n", "", "the key \"seed\" is missing"),
    ("jobs: 2", "jobs: 0", "jobs: 0 is out of range"),
    ("jobs: 2", "jobs: two", "a whole number from 1 to 256 is right here"),
    ("name: onnxruntime", "name: toaster", "right would be one of onnxruntime"),
    ("quantiles: [0.05, 0.15, 0.3]", "quantiles: [0.3, 0.1]", "must ascend"),
    ("quantiles: [0.05, 0.15, 0.3]", "percent: [1]", "unknown key \"percent\""),
    ("images: 2000", "images: 9000", "more than data.validation-images"),
    ("tournament: 125", "tournament: 1250", "out of range"),
    ("label-smoothing: 0.1", "label-smoothing: nan", "a number from 0.0 to 0.9"),
    ("flip: false", "flip: yes", "true or false"),
    ("momentum: 0.9", "momentum: 1", "out of range"),
    ("restart-rate: 0.5", "restart-rate: 2", "out of range"),
    ("nesterov: true, ", "", "the key \"nesterov\" is missing"),
    ("dropout: 0", "dropout: 1", "a number from 0.0 to 0.9"),
    ("selection: front", "selection: best", "right would be one of front, accuracy"),
    ("choice: front", "choice: best", "right would be one of front, latencies"),
    ("divergence: kullback-leibler", "divergence: beta", "right would be one of kullback-leibler, alpha"),
  ])
  func `a faulty configuration is refused with its line`(right: String, wrong: String, message: String) throws {
    let text = RunConfiguration.builtInText
    #expect(text.contains(right), "the demo no longer says \(right)")
    let error = #expect(throws: YAMLError.self) {
      try RunConfiguration(yaml: text.replacing(right, with: wrong, maxReplacements: 1), file: "mine.yaml")
    }
    #expect(
      error.map { "\($0)".contains(message) && "\($0)".hasPrefix("mine.yaml:") } == true, "\(String(describing: error))"
    )
    #expect(error?.line != nil)
  }
}
