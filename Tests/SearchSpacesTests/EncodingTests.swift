import SearchSpaces
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
    ("d1#1", "is no subnet"), ("d1#1_k3#3_w8#8_e0#2.0", "is no subnet"), ("d1#1_k3_w8#8_e0#2.0_r32", "add up to 2"),
    ("d1#x_k3#3_w8#8_e0#2.0_r32", "no whole number"), ("d1#1_k3#3_w8#8_e0#two_r32", "no expansion ratio"),
    ("d1#1_k3#3_w8#8_e0#nan_r32", "no expansion ratio"), ("d2#1_k3#3#3_w8#8#8_e0#0#2.0_r32", "the stem is one"),
    ("d1#1_k3#3_w8#8_e0#2.0_r33", "resolution 33 is not among 32"), ("d1#1_k5#3_w8#8_e0#2.0_r32", "kernel 5 is not 3"),
    ("d1#1_k3#3_w9#8_e0#2.0_r32", "width 9 is not among 8"), ("d1#3_k3#3#3#3_w8#8#8#8_e0#2.0#2.0#2.0_r32", "depth 3"),
    ("d1#1_k3#7_w8#8_e0#2.0_r32", "kernel 7 is not among 3 5"),
    ("d1#1_k3#3_w8#24_e0#2.0_r32", "width 24 is not among 8 16"),
    ("d1#1_k3#3_w8#8_e0#3.0_r32", "expansion 3.0 is not among"), ("d1_k3_w8_e0_r32", "has 0 stages"),
    ("d1#1_k3#3_w8#8_e0#0_r32", "expansion 0.0 is not among"), ("d99999999999999999999_k_w_e_r", "no whole number"),
  ])
  func `a faulty subnet is refused with what would be right`(encoding: String, message: String) throws {
    let hyperspace = try Hyperspace(yaml: HyperspaceFileTests.text, file: "test.yaml")
    let space = try hyperspace.space("test-0-0")
    #expect(throws: Never.self) { try hyperspace.subnet("d1#1_k3#3_w8#16_e0#2.0_r32", in: space) }
    let error = #expect(throws: EncodingError.self) { try hyperspace.subnet(encoding, in: space) }
    #expect(error?.message.contains(message) == true, "\(error!)")
  }
}
