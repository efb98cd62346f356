import Foundation
import Pipeline
import Testing

/// Reports as a browser shows them. Left out where no Chromium is installed (Debian's package `chromium`).
@Suite struct ReportInBrowserTests {
  private static let chromium = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].first {
    FileManager.default.isExecutableFile(atPath: $0)
  }

  @Test(.enabled(if: chromium != nil, "no Chromium is installed"))
  func `a browser without a network shows a run's figures, in light and in dark, and complains of nothing`() throws {
    let folder = try TinyRun.makeFolder()
    defer { try? FileManager.default.removeItem(at: folder) }
    try TinyRun.open("run", in: folder).through(.report)
    let report = folder.appending(path: "run/report.html")

    let (page, complaints) = try Self.open(report, ["--dump-dom"], in: folder)
    // The front, the space, the search, the predictor and the training each have a figure.
    #expect(page.ranges(of: "<svg").count >= 5)
    #expect(page.ranges(of: "<figure").count >= 5)
    #expect(page.contains("Accuracy against latency"))
    #expect(complaints == [])

    var pictures: [Data] = []
    for scheme in ["light", "dark"] {
      let picture = folder.appending(path: "\(scheme).png")
      let (_, complaints) = try Self.open(
        report,
        ["--screenshot=\(picture.path(percentEncoded: false))", "--window-size=1000,1400"]
          + (scheme == "dark"
            ? ["--blink-settings=preferredColorScheme=0"] : ["--blink-settings=preferredColorScheme=1"]),
        in: folder)
      #expect(complaints == [])
      pictures.append(try Data(contentsOf: picture))
    }
    // An empty page of this size is a few kilobytes.
    #expect(pictures.allSatisfy { $0.count > 20_000 })
    #expect(pictures[0] != pictures[1])
  }

  /// What the browser prints, and what the page made it complain of.
  private static func open(_ page: URL, _ arguments: [String], in folder: URL) throws -> (String, [String]) {
    let process = Process()
    process.executableURL = URL(filePath: chromium!)
    process.arguments =
      [
        "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--enable-logging=stderr",
        "--host-resolver-rules=MAP * ~NOTFOUND", "--virtual-time-budget=5000",
        "--user-data-dir=\(folder.appending(path: "browser").path(percentEncoded: false))",
      ] + arguments + [page.absoluteString]
    // Files, since a pipe that nobody reads in time stops the browser.
    let output = folder.appending(path: "output")
    let errors = folder.appending(path: "errors")
    for file in [output, errors] { try Data().write(to: file) }
    process.standardOutput = try FileHandle(forWritingTo: output)
    process.standardError = try FileHandle(forWritingTo: errors)
    try process.run()
    process.waitUntilExit()
    #expect(process.terminationStatus == 0)
    // Chromium complains of much in its surroundings; of a page, in lines that name its console or the file.
    let complaints = try String(contentsOf: errors, encoding: .utf8).split(separator: "\n").filter {
      $0.contains("CONSOLE") || $0.contains("ERR_")
    }
    return (try String(contentsOf: output, encoding: .utf8), complaints.map(String.init))
  }
}
