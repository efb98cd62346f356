import Foundation
import Reports
import Testing

@Suite("The sample, for a person to look at")
struct SampleTests {
  @Test(
    "The page and the charts can be written to a folder",
    .enabled(if: ProcessInfo.processInfo.environment["SPACEEVO_SAMPLE_FOLDER"] != nil))
  func writesTheSample() throws {
    let folder = URL(
      fileURLWithPath: try #require(ProcessInfo.processInfo.environment["SPACEEVO_SAMPLE_FOLDER"]), isDirectory: true)
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    try Data(SampleReport.page.html().utf8).write(to: folder.appending(path: "report.html"))
    for (name, chart) in SampleReport.charts + [("crowded", SampleReport.crowded)] {
      try Data(chart.svg().utf8).write(to: folder.appending(path: "\(name).svg"))
    }
    let written = try FileManager.default.contentsOfDirectory(atPath: folder.path)
    #expect(written.count { $0.hasSuffix(".svg") } == SampleReport.charts.count + 1)
  }
}
