import Reports
import Testing

@Suite("The page")
struct PageTests {
  private static let html = SampleReport.page.html()

  @Test("It is well-formed, in a language, with landmarks and one title")
  func isWellFormed() throws {
    let tree = try MarkupTree(parsing: Self.html)
    #expect(tree.elements.first?.attributes["lang"] == "en")
    for name in ["main", "header", "footer", "nav", "h1"] { #expect(tree.all(name).count == 1) }
    #expect(tree.all("title").contains { $0.path == ["html", "head"] && $0.text == SampleReport.page.title })
  }

  @Test("It fetches nothing")
  func isSelfContained() throws {
    for forbidden in ["http", "//", "url(", "@import", "<script", " src=", "<link"] {
      #expect(!Self.html.contains(forbidden), "\(forbidden)")
    }
  }

  @Test("It follows light and dark, narrow screens and print")
  func mediaQueries() {
    for query in ["prefers-color-scheme:dark", "max-width", "@media print"] { #expect(Self.html.contains(query)) }
  }

  @Test("Every colour that is used is defined for light and for dark")
  func coloursAreDefined() {
    let used = Set(Self.html.matches(of: /var\((--[a-z0-9]+)\)/).map { String($0.output.1) })
    let defined = Self.html.matches(of: /(--[a-z0-9]+):/).map { String($0.output.1) }
    #expect(used.count > 10)
    for name in used {
      let isFont = ["--serif", "--sans", "--mono"].contains(name)
      #expect(defined.count { $0 == name } >= (isFont ? 1 : 2), "\(name)")
    }
  }

  @Test("Ids are unique, and what refers to them finds them")
  func idsResolve() throws {
    let tree = try MarkupTree(parsing: Self.html)
    let ids = tree.elements.compactMap { $0.attributes["id"] }
    #expect(Set(ids).count == ids.count)
    for element in tree.elements {
      for id in (element.attributes["aria-labelledby"] ?? "").split(separator: " ") {
        #expect(ids.contains(String(id)))
      }
      if let target = element.attributes["href"] {
        #expect(target.hasPrefix("#") && ids.contains(String(target.dropFirst())))
      }
    }
    #expect(tree.all("a").count == SampleReport.page.sections.count + 1)
  }

  @Test("Tables have captions, scoped headers with units, and figures to the right")
  func tables() throws {
    let tree = try MarkupTree(parsing: Self.html)
    #expect(tree.all("table").count == 1 && tree.all("table")[0].attributes["aria-labelledby"] == "table-1")
    #expect(tree.all("b").contains { $0.text == "Table 1." })
    let headers = tree.all("th").filter { $0.attributes["scope"] == "col" }
    #expect(headers.count == 6 && headers.count { $0.classes.contains("number") } == 5)
    #expect(tree.all("td", class: "number").count == 15)
    #expect(tree.all("span", class: "unit").contains { $0.text == "(ms)" })
    #expect(tree.all("strong").map(\.text) == ["90.81"])
  }

  @Test("Figures are numbered in order and drawn for wide and for narrow pages")
  func figures() throws {
    let tree = try MarkupTree(parsing: Self.html)
    let count = tree.all("figure").count { !$0.classes.contains("tabular") }
    #expect(count == SampleReport.charts.count)
    #expect(tree.all("svg").count == 2 * count)
    let numbers = tree.all("b").map(\.text).filter { $0.hasPrefix("Figure") }
    #expect(numbers == (1...count).map { "Figure \($0)." })
  }

  @Test("Text between backticks is code; a lone backtick stays; everything is escaped")
  func prose() throws {
    let page = ReportPage(
      title: "<t>", subtitle: "s",
      sections: [.init("One", [.paragraph("run `a<b` now"), .paragraph("lone ` here"), .paragraph("`x` and ` too")])])
    let tree = try MarkupTree(parsing: page.html())
    #expect(tree.all("code").map(\.text) == ["a<b", "x"])
    #expect(tree.all("p").map(\.text).contains("lone ` here"))
    #expect(tree.all("p").map(\.text).contains(" and ` too"))
    #expect(tree.all("h1").map(\.text) == ["<t>"])
  }

  @Test("A page with nothing in it is still a page")
  func emptyPage() throws {
    let tree = try MarkupTree(parsing: ReportPage(title: "", subtitle: "", sections: []).html())
    #expect(tree.all("main").count == 1)
    let odd = ReportPage(
      title: "t", subtitle: "s",
      sections: [.init("Empty", [.table(Table(columns: [], rows: [])), .facts([]), .highlights([]), .list([])])])
    #expect(try MarkupTree(parsing: odd.html()).all("section").count == 1)
  }

  @Test("Pages of any charts are well-formed", arguments: 0..<40)
  func anyCharts(seed: Int) throws {
    let figures = DegenerateData.charts(seed: seed).map { ReportPage.Block.figure($0, caption: "a `b") }
    let page = ReportPage(title: "t", subtitle: "s", sections: [.init("One", figures)])
    #expect(try MarkupTree(parsing: page.html()).all("figure").count == figures.count)
  }
}
