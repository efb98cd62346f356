import NetworkGraphs
import SearchSpaces
import SpaceEvolution

/// Stage tables of a made-up device and teacher, for hyperspaces whose tables are not public.
///
/// Costs are those of the lowering. Latency is a block type's time per MAC and per block, with a tenth of noise; loss falls
/// with the logarithm of the MACs, by how much and from where depends on stage and block type: as in the published tables,
/// where block types differ in loss by about as much as sub-stages of one type do.
func syntheticTables(of hyperspace: Hyperspace, rows: Int, resolutions: [Int], seed: UInt64) throws -> StageTables {
  let searched = hyperspace.stages.indices.filter { hyperspace.stages[$0].isSearched }
  let tables = hyperspace.stageTableKeys.map { key in
    let stage = searched[key.stage]
    let choices = hyperspace.stageChoices(stage: hyperspace.stages[stage], block: key.block, window: key.window)
    let inputs = stage == 0 ? hyperspace.stem.widths : hyperspace.stages[stage - 1].widths
    let strides = [hyperspace.stem.stride] + hyperspace.stages[..<stage].map(\.stride)
    var ofType = SeededGenerator(seed: seed, stream: "type", key.stage, key.block)
    let millisecondsPerMegaMAC = 0.01 + 0.05 * ofType.uniform()
    let millisecondsPerBlock = 0.02 + 0.1 * ofType.uniform()
    let base = 0.25 + 0.12 * Double(key.stage) + 0.25 * ofType.uniform()
    let gain = 0.02 + 0.05 * ofType.uniform()
    var generator = SeededGenerator(seed: seed, stream: "rows", key.stage, key.block, key.window)
    var costs = StageCosts(key: key, hyperspace: hyperspace)
    let result = (0..<rows).map { _ in
      let resolution = generator.choose(resolutions)
      let edge = strides.reduce(resolution) { ($0 + $1 - 1) / $1 }
      let blocks = choices.randomBlocks(using: &generator)
      let input = TensorShape(channels: generator.choose(inputs), height: edge, width: edge)
      let cost = costs.cost(of: blocks, input: input)
      let megaMACs = Double(cost.macs) / 1e6
      let latency =
        (megaMACs * millisecondsPerMegaMAC + Double(blocks.count) * millisecondsPerBlock)
        * (1 + 0.1 * generator.normal())
      let loss = base - gain * logarithm(1 + megaMACs) + 0.015 * generator.normal()
      func published(_ value: Double, least: Double) -> Double { (max(least, value) * 1e4).rounded() / 1e4 }
      return StageRow(
        blocks: blocks, input: input, resolution: resolution, loss: published(loss, least: 0.01), megaMACs: megaMACs,
        megaParameters: Double(cost.parameters) / 1e6, latencyMilliseconds: published(latency, least: 0.01))
    }
    return StageTable(key: key, rows: result)
  }
  return try StageTables(tables, hyperspace: hyperspace)
}

#if canImport(Glibc)
  private import Glibc
#elseif canImport(Darwin)
  private import Darwin
#elseif canImport(Musl)
  private import Musl
#endif

private func logarithm(_ x: Double) -> Double { log(x) }

/// The most memory that this process had, in megabytes.
func peakMegabytes() -> Double {
  var usage = rusage()
  guard usageOfSelf(&usage) == 0 else { return .nan }
  #if os(Linux)
    return Double(usage.ru_maxrss) / 1024
  #else
    return Double(usage.ru_maxrss) / 1_048_576
  #endif
}

/// Time of all threads on a processor so far: on a busy machine it says more than the clock.
func processorSeconds() -> Double {
  var usage = rusage()
  guard usageOfSelf(&usage) == 0 else { return .nan }
  func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }
  return seconds(usage.ru_utime) + seconds(usage.ru_stime)
}

#if canImport(Glibc)
  private func usageOfSelf(_ usage: inout rusage) -> Int32 {
    unsafe getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
  }
#else
  private func usageOfSelf(_ usage: inout rusage) -> Int32 { unsafe getrusage(RUSAGE_SELF, &usage) }
#endif
