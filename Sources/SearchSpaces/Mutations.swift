extension Hyperspace {
  /// A space with another block type in one stage; `nil` where there is one block type only.
  ///
  /// Stage and type are drawn uniformly.
  public func blockMutation(of space: SearchSpace, using generator: inout SeededGenerator) -> SearchSpace? {
    guard blockTypes.count > 1 else { return nil }
    var child = space
    let stage = generator.next(below: space.blockTypes.count)
    let other = generator.next(below: blockTypes.count - 1)
    child.blockTypes[stage] = other < space.blockTypes[stage] ? other : other + 1
    return child
  }

  /// A space with another width window in one stage; `nil` where no stage has two.
  ///
  /// The stage is drawn uniformly among those with several windows, then the window.
  public func widthMutation(of space: SearchSpace, using generator: inout SeededGenerator) -> SearchSpace? {
    let counts = searchedStages.map(\.windowCount)
    let open = counts.indices.filter { counts[$0] > 1 }
    guard !open.isEmpty else { return nil }
    var child = space
    let stage = generator.choose(open)
    let other = generator.next(below: counts[stage] - 1)
    child.windows[stage] = other < space.windows[stage] ? other : other + 1
    return child
  }

  /// The space at a position in the order of the encodings' choices: block types first, windows last.
  ///
  /// - Precondition: `index` is in `0 ..< spaceCount`.
  public func space(at index: Int) -> SearchSpace {
    precondition((0..<spaceCount).contains(index), "there are \(spaceCount) spaces")
    let stages = searchedStages
    var rest = index
    var windows = [Int](repeating: 0, count: stages.count)
    var blocks = windows
    for stage in stages.indices.reversed() {
      windows[stage] = rest % stages[stage].windowCount
      rest /= stages[stage].windowCount
    }
    for stage in stages.indices.reversed() {
      blocks[stage] = rest % blockTypes.count
      rest /= blockTypes.count
    }
    return SearchSpace(hyperspace: name, blockTypes: blocks, windows: windows)
  }
}
