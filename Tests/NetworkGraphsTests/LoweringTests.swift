import NetworkGraphs
import SearchSpaces
import Testing

@Suite struct LoweringTests {
  @Test(arguments: [
    (
      "d1#1#2#2#2#2#2#1_k3#3#3#3#3#3#3#3#3#3#3#3#3_w16#16#32#32#64#64#112#112#144#144#240#240#320_"
        + "e0#0.5#4.0#4.0#1.0#1.0#4.0#4.0#4.0#4.0#4.0#4.0#4.0_r160", 163.48, 7.795
    ),
    (
      "d1#1#2#2#3#4#4#1_k3#3#3#3#3#3#5#5#5#3#3#5#3#3#5#3#3#3_w16#32#32#48#80#80#144#128#112#144#176#144#144#272#288"
        + "#272#240#320_e0#0.5#4.0#8.0#4.0#2.0#6.0#6.0#6.0#6.0#8.0#4.0#4.0#8.0#6.0#4.0#6.0#6.0_r224", 981.54, 15.930
    ),
  ])
  func `published subnets cost what the paper's authors list`(encoding: String, macs: Double, parameters: Double) throws
  {
    let hyperspace = try #require(Hyperspace.builtIn("onnxw"))
    let space = try hyperspace.space("onnxw-151122-023231")
    let cost = try NetworkGraph(hyperspace.subnet(encoding, in: space), of: space, in: hyperspace).cost
    #expect(abs(Double(cost.macs) / 1e6 - macs) < 0.005)
    #expect(abs(Double(cost.parameters) / 1e6 - parameters) < 0.0005)
  }

  @Test(arguments: Hyperspace.builtInNames)
  func `the layout of a space holds every parameter of its subnets`(name: String) throws {
    let hyperspace = try #require(Hyperspace.builtIn(name))
    for seed in 0..<4 as Range<UInt64> {
      var generator = SeededGenerator(seed: seed)
      let space = hyperspace.randomSpace(using: &generator)
      let layout = ParameterLayout(space, in: hyperspace)
      for _ in 0..<20 {
        let graph = try NetworkGraph(
          hyperspace.randomSubnet(of: space, using: &generator), of: space, in: hyperspace)
        for node in graph.nodes {
          #expect(node.inputs.allSatisfy { $0 < graph.nodes.count })
          for parameter in node.parameters {
            let entry = try #require(layout.entries[parameter.name], "\(parameter.name)")
            #expect(zip(parameter.shape, entry.shape).allSatisfy { $0 <= $1 })
          }
        }
      }
    }
  }
}
