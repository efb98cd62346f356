import Datasets
import InferenceRuntimes
import Pipeline
import SearchSpaces
import Testing

@Suite struct AgreementTests {
  @Test(arguments: [("mini32", 32, 3), ("onnxw", 32, 1), ("mobilew", 32, 1)])
  func `trainer, integers and runtime agree in every logit, and no convolution is left in real numbers`(
    name: String, resolution: Int, subnets: Int
  ) throws {
    let hyperspace = try #require(Hyperspace.builtIn(name))
    let images = try ImageSource(name: "fashion-mnist", folder: nil, size: nil).load(.test)
    let result = try AgreementCheck(
      hyperspace: hyperspace, data: images,
      settings: .init(subnets: subnets, images: 20, resolution: resolution, steps: 4, batch: 8)
    ).run()
    #expect(result.subnets == subnets && result.integersAndRuntime.images == 20 * subnets)
    #expect(result.integersAndRuntime.identical == 20 * subnets)
    #expect(result.integersAndRuntime.sameClass == 20 * subnets && result.integersAndRuntime.largestSteps == 0)
    #expect(result.floatProducts == 0)
    #expect(result.trainerAndRuntime == result.integersAndRuntime)
  }

  @Test func `too few images are refused`() throws {
    let hyperspace = try #require(Hyperspace.builtIn("mini32"))
    let images = try ImageSource(name: "fashion-mnist", folder: nil, size: nil).load(.test)
    #expect {
      try AgreementCheck(hyperspace: hyperspace, data: images, settings: .init(subnets: 1, images: 10_000))
    } throws: {
      "\($0)".contains("256 to train on")
    }
  }
}
