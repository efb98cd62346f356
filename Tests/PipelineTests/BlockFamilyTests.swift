import Datasets
import InferenceRuntimes
import Pipeline
import SearchSpaces
import Testing

/// Every family of blocks, those that are added later too: trained, exported and run in both runtimes.
@Suite struct BlockFamilyTests {
  /// A hyperspace of the family's blocks alone, with an activation that is a range and with one that is not, and with
  /// squeeze and excitation where it has a place for it.
  private func text(of family: BlockFamily) -> String {
    let expansions = family.hasExpansion ? "expansions: [1, 2], " : ""
    let plain = "{name: plain, family: \(family.rawValue), kernels: [3, 5], \(expansions)activation: relu}"
    let smooth = plain.replacing("plain", with: "smooth").replacing("relu", with: "hard-swish")
    let excited = plain.replacing("plain", with: "excited").replacing(
      "relu}", with: "swish, squeeze-excitation: true}")
    return """
      name: family
      image: {channels: 1, resolutions: [32]}
      classes: 10
      blocks: [\([plain, smooth, family.canSqueezeAndExcite ? excited : nil].compactMap(\.self).joined(separator: ", "))]
      stem: {name: stem, widths: [8], kernel: 3, stride: 2, activation: relu}
      stages:
        - {name: stage1, widths: [8, 16], window: 2, depths: [1, 2], stride: 1}
        - {name: stage2, widths: [16, 24], window: 2, depths: [1, 2], stride: 2}
      head:
        - {layer: global-average-pool, name: pool}
        - {layer: linear, name: logits}
      """
  }

  @Test(arguments: BlockFamily.allCases, LocalRuntime.allCases)
  func `trainer, integers and runtime agree in every logit`(family: BlockFamily, runtime: LocalRuntime) throws {
    let images = try ImageSource(name: "fashion-mnist", folder: nil, size: nil).load(.test)
    let result = try AgreementCheck(
      hyperspace: Hyperspace(yaml: text(of: family), file: family.rawValue).computed(in: runtime.arithmetic),
      data: images,
      settings: .init(subnets: 8, images: 25, steps: 8, batch: 16, runtime: runtime)
    ).run()
    #expect(result.integersAndRuntime.identical == 200 && result.trainerAndRuntime.identical == 200)
    #expect(result.floatProducts ?? 0 == 0)
  }

  @Test(arguments: BlockFamily.allCases.filter { !$0.canSqueezeAndExcite })
  func `a family without a place for squeeze and excitation refuses it`(family: BlockFamily) throws {
    let text = text(of: family)
    #expect(try Hyperspace(yaml: text, file: "mine.yaml").blockTypes.count == 2)
    let excited = text.replacing("{name: plain,", with: "{name: plain, squeeze-excitation: true,")
    #expect {
      try Hyperspace(yaml: excited, file: "mine.yaml")
    } throws: {
      "\($0)".contains("\(family.rawValue) has no place for squeeze and excitation")
    }
  }
}
