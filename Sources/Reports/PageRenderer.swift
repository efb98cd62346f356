/// Turns a ``ReportPage`` into markup, counting tables and figures as it goes.
struct PageRenderer {
  private var tables = 0
  private var figures = 0

  /// The width of the page's column, and of a telephone's, for which charts are laid out once each.
  private static let widths = (wide: 720.0, narrow: 360.0)

  mutating func html(of page: ReportPage) -> String {
    var body: [Markup] = []
    let header = Markup.element(
      "header", [:],
      [
        .element("h1", text: page.title),
        .element("p", ["class": "subtitle"], Prose.inline(page.subtitle)),
      ])
    body.append(.element("a", ["class": "skip", "href": "#content"], text: "To the content"))
    body.append(header)
    if page.sections.count > 1 { body.append(contents(page.sections)) }
    var main = page.opening.map { block($0) }
    for (index, section) in page.sections.enumerated() { main.append(self.section(section, number: index + 1)) }
    body.append(.element("main", ["id": "content"], main))
    if !page.footer.isEmpty { body.append(.element("footer", [:], [facts(page.footer)])) }

    let head = Markup.element(
      "head", [:],
      [
        .element("meta", ["charset": "utf-8"]),
        .element("meta", ["name": "viewport", "content": "width=device-width, initial-scale=1"]),
        .element("meta", ["name": "color-scheme", "content": "light dark"]),
        .element("meta", ["name": "description", "content": page.subtitle]),
        .element("title", text: page.title),
        .styleSheet(PageStyle.css),
      ])
    let document = Markup.element("html", ["lang": page.language], [head, .element("body", [:], body)])
    return "<!DOCTYPE html>\n" + document.rendered() + "\n"
  }

  private func contents(_ sections: [ReportPage.Section]) -> Markup {
    let items = sections.enumerated().map { index, section in
      Markup.element("li", [:], [.element("a", ["href": "#section-\(index + 1)"], text: section.title)])
    }
    return .element(
      "nav", ["class": "contents", "aria-label": "Contents"],
      [.element("p", ["class": "nav-title"], text: "Contents"), .element("ol", [:], items)])
  }

  private mutating func section(_ section: ReportPage.Section, number: Int) -> Markup {
    let id = "section-\(number)"
    let heading = Markup.element(
      "h2", ["id": id], [.element("span", ["class": "number"], text: "\(number)"), .text(" " + section.title)])
    return .element("section", ["aria-labelledby": id], [heading] + section.blocks.map { block($0) })
  }

  private mutating func block(_ block: ReportPage.Block) -> Markup {
    switch block {
    case .paragraph(let text): return .element("p", [:], Prose.inline(text))
    case .note(let text):
      return .element("aside", ["class": "note", "role": "note"], [.element("p", [:], Prose.inline(text))])
    case .highlights(let highlights): return self.highlights(highlights)
    case .table(let table): return self.table(table)
    case .figure(let chart, let caption): return figure(chart, caption: caption)
    case .facts(let facts): return self.facts(facts)
    case .list(let points):
      return .element("ul", [:], points.map { .element("li", [:], Prose.inline($0)) })
    case .details(let summary, let blocks):
      return .element(
        "details", [:],
        [.element("summary", [:], Prose.inline(summary))] + blocks.map { self.block($0) })
    case .code(let text):
      return .element("pre", ["tabindex": "0"], [.element("code", text: text)])
    }
  }

  private func highlights(_ highlights: [ReportPage.Highlight]) -> Markup {
    .element(
      "dl", ["class": "highlights"],
      highlights.map { highlight in
        var figure: [Markup] = [.text(highlight.figure)]
        if !highlight.unit.isEmpty {
          figure.append("\u{202F}")
          figure.append(.element("span", ["class": "unit"], text: highlight.unit))
        }
        return .element(
          "div", [:], [.element("dt", text: highlight.meaning), .element("dd", [:], figure)])
      })
  }

  private mutating func table(_ table: Table) -> Markup {
    tables += 1
    // Outside the table, so that it stays in view while a wide table is scrolled on a narrow screen.
    let id = "table-\(tables)"
    let caption = Markup.element(
      "figcaption", ["id": id],
      [.element("b", text: "Table \(tables)."), .text(" ")] + Prose.inline(table.caption))
    let head = table.columns.map { column in
      var children: [Markup] = [.text(column.header)]
      if !column.unit.isEmpty {
        children.append(" ")
        children.append(.element("span", ["class": "unit"], text: "(\(column.unit))"))
      }
      return Markup.element(
        "th", ["scope": "col", "class": column.alignment == .number ? "number" : nil], children)
    }
    let rows = table.rows.indices.map { row in
      Markup.element("tr", [:], table.columns.indices.map { cell(table, row, $0) })
    }
    let body: [Markup] = [
      .element("thead", [:], [.element("tr", [:], head)]), .element("tbody", [:], rows),
    ]
    return .element(
      "figure", ["class": "tabular"],
      [
        caption,
        .element(
          "div", ["class": "scroll", "role": "region", "tabindex": "0", "aria-labelledby": id],
          [.element("table", ["aria-labelledby": id], body)]),
      ])
  }

  private func cell(_ table: Table, _ row: Int, _ column: Int) -> Markup {
    let cell = table.cell(row, column)
    var content = cell.isCode ? Markup.element("code", text: cell.text) : .text(cell.text)
    if cell.isEmphasised { content = .element("strong", [:], [content]) }
    let name = table.columns[column].alignment == .number ? "number" : nil
    return column == 0
      ? .element("th", ["scope": "row", "class": name], [content]) : .element("td", ["class": name], [content])
  }

  private mutating func figure(_ chart: any Chart, caption: String) -> Markup {
    figures += 1
    let id = "figure-\(figures)"
    let wide = chart.drawing(width: max(Self.widths.wide, chart.minimumWidth))
    let narrow = chart.drawing(width: max(Self.widths.narrow, chart.minimumWidth))
    // One of the two is shown; the other is hidden from sight and from screen readers alike.
    let drawings = [("wide", wide), ("narrow", narrow)].map { name, drawing in
      Markup.element(
        "div",
        [
          "class": "drawing \(name)",
          "style": "max-width:\(coordinate(drawing.width))px;min-width:\(coordinate(minimum(chart, drawing)))px",
        ], [drawing.inline(id: "\(id)-\(name)")])
    }
    return .element(
      "figure", ["id": id],
      [
        .element("div", ["class": "scroll"], drawings),
        .element(
          "figcaption", [:],
          [.element("b", text: "Figure \(figures)."), .text(" ")] + Prose.inline(caption)),
      ])
  }

  /// A drawing may shrink a little before it scrolls.
  private func minimum(_ chart: any Chart, _ drawing: Drawing) -> Double {
    min(drawing.width, Self.widths.narrow, chart.minimumWidth) * 0.8
      + max(0, min(drawing.width, chart.minimumWidth) - Self.widths.narrow) * 0.9
  }

  private func facts(_ facts: [ReportPage.Fact]) -> Markup {
    .element(
      "dl", ["class": "facts"],
      facts.map { fact in
        .element(
          "div", [:],
          [
            .element("dt", text: fact.name),
            .element("dd", [:], [fact.isCode ? .element("code", text: fact.value) : .text(fact.value)]),
          ])
      })
  }
}

/// Running text with code between backticks. A backtick without a partner stays as it is.
enum Prose {
  static func inline(_ text: String) -> [Markup] {
    let parts = text.split(separator: "`", omittingEmptySubsequences: false)
    guard parts.count > 2 else { return [.text(text)] }
    var nodes: [Markup] = []
    for (index, part) in parts.enumerated() {
      let isLastUnpaired = parts.count.isMultiple(of: 2) && index == parts.count - 1
      if isLastUnpaired {
        nodes.append(.text("`" + part))
      } else if !index.isMultiple(of: 2) {
        nodes.append(.element("code", text: String(part)))
      } else if !part.isEmpty {
        nodes.append(.text(String(part)))
      }
    }
    return nodes
  }
}
