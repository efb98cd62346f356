import Foundation
import SearchSpaces
import SpaceEvolution

let clock = ContinuousClock()
let hyperspace = Hyperspace.builtIn("onnxw")!
let folder = URL(fileURLWithPath: CommandLine.arguments[1])
let start = clock.now
let tables = try StageTables(folder: folder, hyperspace: hyperspace)
print("load", clock.now - start, tables.rowCount, tables.resolutions)
let start2 = clock.now
let check = tables.checkCosts()
print("check", clock.now - start2, check.rows, check.mismatches.count, check.mismatches.prefix(5))
