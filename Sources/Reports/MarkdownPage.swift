/// A ``ReportPage`` as Markdown, for a repository: tables as tables, each figure an `.svg` file beside it.
public struct MarkdownPage: Sendable {
  public var page: ReportPage
  /// Begins the names of the figures' files.
  public var figurePrefix: String

  /// A file that the text refers to.
  public struct Figure: Sendable {
    /// Without a folder.
    public var name: String
    /// The `.svg` file's text.
    public var svg: String
  }

  public init(_ page: ReportPage, figurePrefix: String) {
    self.page = page
    self.figurePrefix = figurePrefix
  }

  /// The text, and its figures in order.
  public func rendered() -> (text: String, figures: [Figure]) {
    var writer = Writer(prefix: figurePrefix)
    writer.add("# \(page.title)")
    writer.add(page.subtitle)
    writer.add(page.opening)
    for section in page.sections {
      writer.add("## \(section.title)")
      writer.add(section.blocks)
    }
    if !page.footer.isEmpty {
      writer.add(page.footer.map { "\($0.name): \($0.value)" }.joined(separator: " · "))
    }
    return (writer.parts.joined(separator: "\n\n") + "\n", writer.figures)
  }

  private struct Writer {
    let prefix: String
    var parts: [String] = []
    var figures: [Figure] = []

    init(prefix: String) { self.prefix = prefix }

    mutating func add(_ text: String) { parts.append(text) }

    mutating func add(_ blocks: [ReportPage.Block]) {
      for block in blocks { add(block) }
    }

    private mutating func add(_ block: ReportPage.Block) {
      switch block {
      case .paragraph(let text): add(text)
      case .note(let text): add("> \(text)")
      case .highlights(let highlights):
        add(highlights.map { "- **\($0.figure)** \($0.unit) \($0.meaning)" }.joined(separator: "\n"))
      case .table(let table): add(table.markdown())
      case .figure(let chart, let caption):
        let name = "\(prefix)-\(figures.count + 1).svg"
        figures.append(Figure(name: name, svg: chart.svg()))
        add("![\(chart.title)](\(name))")
        add(caption)
      case .facts(let facts):
        add(facts.map { "- \($0.name): \($0.isCode ? "`\($0.value)`" : $0.value)" }.joined(separator: "\n"))
      case .list(let items): add(items.map { "- \($0)" }.joined(separator: "\n"))
      case .details(let title, let blocks):
        add("<details><summary>\(title)</summary>")
        add(blocks)
        add("</details>")
      case .code(let text): add("```\n\(text)\n```")
      }
    }
  }
}

extension Table {
  /// The caption, then the table with its figures to the right.
  public func markdown() -> String {
    func line(_ cells: [String]) -> String { "| \(cells.joined(separator: " | ")) |" }
    func text(_ cell: Cell) -> String {
      let text = cell.text.replacing("|", with: "\\|").replacing("\n", with: " ")
      if text.isEmpty { return "" }
      let face = cell.isCode ? "`\(text)`" : text
      return cell.isEmphasised ? "**\(face)**" : face
    }
    var lines = caption.isEmpty ? [] : [caption, ""]
    lines.append(line(columns.map(\.heading)))
    lines.append(line(columns.map { $0.alignment == .number ? "---:" : "---" }))
    lines += rows.indices.map { row in line(columns.indices.map { text(cell(row, $0)) }) }
    return lines.joined(separator: "\n")
  }
}
