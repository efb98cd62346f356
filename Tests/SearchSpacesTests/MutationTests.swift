import SearchSpaces
import Testing

@Suite struct MutationTests {
  @Test(arguments: Hyperspace.builtInNames)
  func `every mutation is another space of the hyperspace that differs in one choice`(name: String) throws {
    let hyperspace = try #require(Hyperspace.builtIn(name))
    for seed in 0..<500 as Range<UInt64> {
      var generator = SeededGenerator(seed: seed)
      let space = hyperspace.randomSpace(using: &generator)
      let block = try #require(hyperspace.blockMutation(of: space, using: &generator))
      let width = try #require(hyperspace.widthMutation(of: space, using: &generator))
      #expect(hyperspace.contains(block) && hyperspace.contains(width))
      #expect(zip(space.blockTypes, block.blockTypes).count { $0 != $1 } == 1 && block.windows == space.windows)
      #expect(zip(space.windows, width.windows).count { $0 != $1 } == 1 && width.blockTypes == space.blockTypes)
      #expect(try hyperspace.space(block.encoding) == block)
      #expect(try hyperspace.space(width.encoding) == width)
    }
  }

  @Test(arguments: Hyperspace.builtInNames)
  func `mutations reach every choice`(name: String) throws {
    let hyperspace = try #require(Hyperspace.builtIn(name))
    var generator = SeededGenerator(seed: 1)
    let space = hyperspace.space(at: 0)
    var seen: Set<SearchSpace> = []
    for _ in 0..<4_000 {
      seen.insert(try #require(hyperspace.blockMutation(of: space, using: &generator)))
      seen.insert(try #require(hyperspace.widthMutation(of: space, using: &generator)))
    }
    let stages = hyperspace.searchedStages
    #expect(
      seen.count == stages.count * (hyperspace.blockTypes.count - 1) + stages.reduce(0) { $0 + $1.windowCount - 1 })
  }

  @Test(arguments: Hyperspace.builtInNames)
  func `positions count the spaces in the order of their encodings`(name: String) throws {
    let hyperspace = try #require(Hyperspace.builtIn(name))
    var generator = SeededGenerator(seed: 2)
    for _ in 0..<200 {
      let index = generator.next(below: hyperspace.spaceCount - 1)
      let (a, b) = (hyperspace.space(at: index), hyperspace.space(at: index + 1))
      #expect(hyperspace.contains(a) && a < b && a.encoding < b.encoding)
    }
    #expect(hyperspace.contains(hyperspace.space(at: hyperspace.spaceCount - 1)))
  }

  @Test func `where there is nothing to change there is no mutation`() throws {
    let text = """
      name: single
      image: {channels: 1, resolutions: [32]}
      classes: 2
      blocks:
        - {family: dual-depthwise, kernels: [3], activation: relu}
      stem: {name: stem, widths: [8], kernel: 3, stride: 2, activation: relu}
      stages:
        - {name: stage1, widths: [8, 16], window: all, depths: [1, 1], stride: 1}
      head:
        - {layer: global-average-pool, name: pool}
        - {layer: linear, name: logits}
      """
    let hyperspace = try Hyperspace(yaml: text, file: "single.yaml")
    var generator = SeededGenerator(seed: 0)
    let space = hyperspace.randomSpace(using: &generator)
    #expect(hyperspace.blockMutation(of: space, using: &generator) == nil)
    #expect(hyperspace.widthMutation(of: space, using: &generator) == nil)
  }
}
