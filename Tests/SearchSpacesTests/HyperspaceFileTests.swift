import SearchSpaces
import StrictYAML
import Testing

@Suite struct HyperspaceFileTests {
  static let text = """
    name: test
    image: {channels: 1, resolutions: [32]}
    classes: 10
    blocks:
      - {family: mbconv, kernels: [3, 5], expansions: [2], activation: relu6}
    stem: {name: stem, widths: [8], kernel: 3, stride: 2, activation: relu}
    stages:
      - {name: stage1, widths: [8, 16, 24], window: 2, depths: [1, 2], stride: 1}
    head:
      - {layer: global-average-pool, name: pool}
      - {layer: linear, name: logits}
    """

  @Test func `a file of one's own is as good as a built-in one`() throws {
    let hyperspace = try Hyperspace(yaml: HyperspaceFileTests.text, file: "test.yaml")
    #expect(hyperspace.spaceCount == 2 && hyperspace.searchedStages.map(\.widths) == [[8, 16, 24]])
  }

  /// What stands instead of what, with the line of the fault and a part of the message.
  @Test(arguments: [
    ("name: test", "name: te-st", 1, "characters besides letters"),
    ("image: {channels: 1", "image: {channels: 0", 2, "out of range"),
    ("resolutions: [32]", "resolutions: []", 2, "has 0 items"),
    ("resolutions: [32]", "resolutions: [64, 32]", 2, "must ascend"),
    ("resolutions: [32]", "resolutions: 32", 2, "a list is right here"),
    ("classes: 10", "classes: ten", 3, "a whole number"),
    ("classes: 10\n", "", 1, "the key \"classes\" is missing"),
    ("classes: 10\n", "classes: 10\ncolour: red\n", 4, "unknown key \"colour\""),
    ("classes: 10\n", "classes: 10\nclases: 10\n", 4, "did you mean \"classes\""),
    ("classes: 10\n", "classes: 10\nclasses: 10\n", 3, "stands twice"),
    ("family: mbconv", "family: mbconf", 5, "not known here"),
    ("kernels: [3, 5]", "kernels: [3, 4]", 5, "odd"),
    ("kernels: [3, 5]", "kernels: [5, 3]", 5, "must ascend"),
    ("kernels: [3, 5]", "kernels: [3, 17]", 5, "out of range"),
    ("expansions: [2]", "expansions: [0]", 5, "out of range"),
    ("expansions: [2]", "expansions: [.nan]", 5, "a number from"),
    ("expansions: [2], ", "", 5, "needs it"),
    ("activation: relu6", "activation: relu7", 5, "not known here"),
    ("activation: relu6", "activation: hard-sigmoid", 5, "gate of SE"),
    ("activation: relu6}", "activation: relu6, squeeze-excitation: yes}", 5, "true or false"),
    (
      "family: mbconv, kernels: [3, 5], expansions: [2]", "family: dual-depthwise, kernels: [3], expansions: [2]", 5,
      "leave it out"
    ),
    (
      "blocks:\n", "blocks:\n  - {family: mbconv, kernels: [3], expansions: [2], activation: relu}\n", 6,
      "second block type"
    ),
    ("kernel: 3", "kernel: 2", 6, "is even"),
    ("stride: 2", "stride: 9", 6, "out of range"),
    ("stages:\n", "stages: []\nother:\n", 8, "unknown key \"other\""),
    ("window: 2", "window: 9", 8, "a whole number from 1 to 3, or all"),
    ("window: 2", "window: some", 8, "a whole number"),
    ("depths: [1, 2]", "depths: [2, 1]", 8, "out of range"),
    ("depths: [1, 2]", "depths: [1]", 8, "has 1 items"),
    ("widths: [8, 16, 24]", "widths: {first: 8, last: 25, step: 8}", 8, "not reached"),
    ("widths: [8, 16, 24]", "widths: [8, 8, 24]", 8, "must ascend"),
    ("widths: [8, 16, 24]", "widths: [8, 16, -24]", 8, "out of range"),
    (
      "stride: 1}", "stride: 1, block: {family: mbconv, kernels: [3], expansions: [2], activation: relu}}", 8,
      "is \"all\""
    ),
    ("{name: stage1,", "{name: stem,", 8, "a second stage named"),
    ("- {layer: linear, name: logits}", "- {layer: linear, name: stage1}", 10, "must all differ"),
    ("- {layer: linear, name: logits}", "- {layer: linear, name: logits, width: 8}", 11, "takes no width"),
    ("  - {layer: global-average-pool, name: pool}\n", "", 10, "needs one global-average-pool"),
    ("- {layer: linear", "- {layer: dense", 11, "not known here"),
    ("name: test", "name: [", 3, "no valid YAML"),
    ("image: {channels: 1", "image: &a {channels: 1", 2, "anchors"),
  ])
  func `a faulty file is refused with its line and what would be right`(
    right: String, wrong: String, line: Int, message: String
  ) throws {
    let text = HyperspaceFileTests.text.replacing(right, with: wrong, maxReplacements: 1)
    #expect(text != HyperspaceFileTests.text)
    let error = #expect(throws: YAMLError.self) { try Hyperspace(yaml: text, file: "test.yaml") }
    #expect(error?.message.contains(message) == true && error?.line == line, "\(error!)")
    #expect(error?.file == "test.yaml")
  }

  @Test(arguments: ["", "# nothing", "just a word", "- a list", "name: test\0", "\u{FEFF}"])
  func `a text that is no hyperspace is refused`(text: String) {
    #expect(throws: YAMLError.self) { try Hyperspace(yaml: text, file: "test.yaml") }
  }

  @Test(arguments: 0..<300 as Range<UInt64>)
  func `a file with some bytes changed is read or refused with its name, and never traps`(seed: UInt64) {
    var generator = SeededGenerator(seed: seed)
    var bytes = Array(HyperspaceFileTests.text.utf8)
    for _ in 0..<(1 + generator.next(below: 4)) {
      bytes[generator.next(below: bytes.count)] = generator.choose(Array("0 9-[]{}:,#x\n".utf8))
    }
    do {
      _ = try Hyperspace(yaml: String(decoding: bytes, as: UTF8.self), file: "test.yaml")
    } catch {
      #expect(error.file == "test.yaml" && !error.message.isEmpty)
    }
  }
}
