import Foundation
import Pipeline
import StrictYAML
import Testing

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
