import Reports
import Testing

@Suite("The page as Markdown")
struct MarkdownTests {
  private static let rendered = MarkdownPage(SampleReport.page, figurePrefix: "sample").rendered()

  @Test("Every table has as many columns in each line as in its header")
  func tablesAreWhole() {
    let lines = Self.rendered.text.split(separator: "\n", omittingEmptySubsequences: false)
    let rules = lines.indices.filter { lines[$0].hasPrefix("| ---") }
    #expect(!rules.isEmpty)
    for rule in rules {
      func columns(_ line: Substring) -> Int {
        line.replacing("\\|", with: "").count { $0 == "|" }
      }
      let expected = columns(lines[rule])
      #expect(columns(lines[rule - 1]) == expected)
      for line in lines[(rule + 1)...].prefix(while: { $0.hasPrefix("|") }) { #expect(columns(line) == expected) }
    }
  }

  @Test("Every figure that the text names is there, as a drawing of its own")
  func figuresAreThere() {
    #expect(!Self.rendered.figures.isEmpty)
    for figure in Self.rendered.figures {
      #expect(Self.rendered.text.contains("](\(figure.name))"))
      #expect(figure.svg.hasPrefix("<svg") && figure.svg.contains("prefers-color-scheme"))
    }
    #expect(Self.rendered.text.ranges(of: "![").count == Self.rendered.figures.count)
  }

  @Test("A bar in a cell does not end it, and emphasis and code are kept")
  func cells() {
    let table = Table(
      columns: [.init("A"), .number("B", unit: "ms")], rows: [["x|y", .init("1", isEmphasised: true)], [.code("f")]])
    #expect(table.markdown() == "| A | B (ms) |\n| --- | ---: |\n| x\\|y | **1** |\n| `f` |  |")
  }
}
