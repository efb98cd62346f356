import SearchSpaces
import StrictYAML
import Testing

@Suite struct EncodingTests {
  @Test(arguments: [("onnxw", 95_551_488), ("mobilew", 1_185_901_920)])
  func `the paper's hyperspaces have as many spaces as it says`(name: String, count: Int) throws {
    #expect(try #require(Hyperspace.builtIn(name)).spaceCount == count)
  }

  @Test(arguments: Hyperspace.builtInNames)
  func `encodings of random spaces and subnets round-trip`(name: String) throws {
    let hyperspace = try #require(Hyperspace.builtIn(name))
    for seed in 0..<200 as Range<UInt64> {
      var generator = SeededGenerator(seed: seed)
      let space = hyperspace.randomSpace(using: &generator)
      #expect(try hyperspace.space(space.encoding) == space)
      let subnet = hyperspace.randomSubnet(of: space, using: &generator)
      #expect(try hyperspace.subnet(subnet.encoding, in: space) == subnet)
    }
  }

  @Test(arguments: [
    ("onnxw-151122", "is no search space"), ("onnxw-15112-023231", "5 block types and 6 width windows"),
    ("onnxw-951122-023231", "block type 9 is not among 0-5"),
    ("onnxw-151122-923231", "width window 9 is not among 0-1"),
    ("onnxw-1!1122-023231", "\"!\" is no choice"), ("mobilew-151122-023231", "is a space of mobilew"),
  ])
  func `a faulty space is refused with what would be right`(encoding: String, message: String) throws {
    let hyperspace = try #require(Hyperspace.builtIn("onnxw"))
    let error = #expect(throws: EncodingError.self) { try hyperspace.space(encoding) }
    #expect(error?.message.contains(message) == true, "\(error!)")
  }

  @Test(arguments: [
    ("kernels: [3, 5]", "kernels: [3, 4]", "odd"),
    ("classes: 10\n", "classes: 10\ncolour: red\n", "unknown key \"colour\""),
    ("window: 2", "window: 9", "out of range"), ("depths: [1, 2]", "depths: [2, 1]", "out of range"),
    ("activation: relu6", "activation: relu7", "not known"),
  ])
  func `a faulty hyperspace is refused with its line`(right: String, wrong: String, message: String) throws {
    let text = """
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
    #expect(try Hyperspace(yaml: text, file: "test.yaml").spaceCount == 2)
    let error = #expect(throws: YAMLError.self) {
      try Hyperspace(yaml: text.replacing(right, with: wrong, maxReplacements: 1), file: "test.yaml")
    }
    #expect(error?.message.contains(message) == true && error?.line != nil, "\(error!)")
  }
}
