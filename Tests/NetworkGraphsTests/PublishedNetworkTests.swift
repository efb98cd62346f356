import NetworkGraphs
import Testing

@Suite("Published networks")
struct PublishedNetworkTests {
  /// Millions of MACs and of parameters (without those of quantisers) by the networks' papers and repositories; where our
  /// graph has something in the place of what it lacks, so much more may it be.
  @Test(
    "They have the MACs and parameters that their papers tell",
    arguments: [
      ("SEQnet@vnni-A0", 163.48, 7.795, 0.001), ("SEQnet@vnni-A1", 358.17, 11.965, 0.001),
      ("SEQnet@vnni-A3", 981.54, 15.930, 0.001), ("MobileNetV2", 300.8, 3.505, 0.003),
      ("MobileNetV3-Large", 217, 5.48, 0.01), ("EfficientNet-B0", 386, 5.29, 0.01), ("ResNet-18", 1_814, 11.69, 0.003),
      ("ResNet-50", 4_089, 25.56, 0.003),
    ])
  func costs(name: String, macs: Double, parameters: Double, tolerance: Double) throws {
    let network = try #require(PublishedNetwork.all.first { $0.name == name })
    #expect(abs(Double(network.graph.cost.macs) / 1e6 / macs - 1) < tolerance)
    #expect(abs(Double(network.graph.cost.parameters) / 1e6 / parameters - 1) < max(tolerance, 0.005))
    #expect(network.graph.outputShape.count == 1_000)
  }

  @Test("There are no others")
  func count() { #expect(PublishedNetwork.all.count == 8) }
}
