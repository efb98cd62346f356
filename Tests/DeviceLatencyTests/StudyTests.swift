import DeviceLatency
import NetworkGraphs
import SearchSpaces
import Testing

@Suite("Study of a device")
struct StudyTests {
  let blockTypes: [BlockType]

  init() throws { blockTypes = try #require(Hyperspace.builtIn("onnxw")).blockTypes }

  @Test("It finds what the device was made to be: no gain in depthwise, steps of 16 channels")
  func findings() throws {
    let findings = try DeviceStudy(blockTypes: blockTypes).run(SyntheticDevice(), budget: .seconds(1_000))
    #expect(findings.gatedShare == 1)
    for gain in findings.gains {
      switch gain.name {
      case "convolution 1x1", "convolution 3x3", "convolution 5x5":
        #expect(gain.isWorthwhile)
        #expect(abs(gain.median - 2) < 0.01)
      case "depthwise 3x3", "depthwise 5x5", "depthwise 7x7":
        #expect(!gain.isWorthwhile)
        #expect(abs(gain.median - 0.7) < 0.01)
      default: #expect(gain.median >= 0.99 && gain.median <= 2)
      }
    }
    #expect(findings.gains.count == 10)
    for step in findings.widthSteps where step.name.hasPrefix("depthwise") {
      #expect(step.multiple == 16)
      let excess = try #require(step.oddMultiplesOf8)
      #expect(excess > 1.1)
    }
    #expect(findings.blockCosts.count == blockTypes.count)
    let deserving = findings.blockCosts.count { $0.deservesPlace }
    #expect(deserving > 0 && deserving < blockTypes.count)
    let text = findings.sentences.joined(separator: "\n")
    #expect(text.contains("gains nothing for: depthwise 3x3"))
    #expect(text.contains("Widths of depthwise 3x3 should be multiples of 16"))
  }

  @Test("A budget that ends early leaves gaps, and one that measures nothing is an error")
  func shortBudgets() throws {
    var device = SyntheticDevice()
    device.patience = 100
    let findings = try DeviceStudy(blockTypes: blockTypes).run(device, budget: .seconds(1_000))
    #expect(!findings.gains.isEmpty)
    #expect(findings.blockCosts.isEmpty)
    #expect(findings.operations.contains { $0.microseconds.int8 == nil })
    device.patience = 0
    #expect(throws: LatencyProfileError.self) {
      try DeviceStudy(blockTypes: blockTypes).run(device, budget: .seconds(1))
    }
  }

  @Test("A chain is its unit several times over")
  func chains() {
    for kind in [StudyUnit.Kind.convolution(kernel: 3), .depthwise(kernel: 5), .squeezeExcitation, .residual] {
      let unit = StudyUnit(kind, width: 24, size: 7)
      #expect(unit.chain(5).cost.macs == 5 * unit.chain(1).cost.macs)
      #expect(unit.chain(5).outputShape == unit.chain(5).inputShape)
    }
  }
}
