/// One self-contained page: text, tables, charts and commands in a single file that needs no network.
///
/// It follows light and dark, prints, and reads on a narrow screen. Sections, tables and figures are numbered in order.
public struct ReportPage: Sendable {
  public struct Section: Sendable {
    public var title: String
    public var blocks: [Block]

    public init(_ title: String, _ blocks: [Block]) {
      self.title = title
      self.blocks = blocks
    }
  }

  public enum Block: Sendable {
    /// Running text. What stands between two backticks is set as code.
    case paragraph(String)
    /// A remark that must not be missed, such as a limit of what was measured.
    case note(String)
    /// A few figures, large, with what they mean.
    case highlights([Highlight])
    case table(Table)
    case figure(any Chart, caption: String)
    /// Names and what they stand for: versions, settings, the machine.
    case facts([Fact])
    /// Points of a list.
    case list([String])
    /// Blocks that are hidden until they are asked for; printed all the same.
    case details(String, [Block])
    /// Commands or a configuration, as they are typed.
    case code(String)
  }

  public struct Highlight: Hashable, Sendable {
    /// “90.8”.
    public var figure: String
    /// “%”.
    public var unit: String
    /// “top-1 accuracy of the exported file”.
    public var meaning: String

    public init(_ figure: String, unit: String = "", meaning: String) {
      self.figure = figure
      self.unit = unit
      self.meaning = meaning
    }
  }

  public struct Fact: Hashable, Sendable {
    public var name: String
    public var value: String
    public var isCode: Bool

    public init(_ name: String, _ value: String, isCode: Bool = false) {
      self.name = name
      self.value = value
      self.isCode = isCode
    }
  }

  public var title: String
  /// The result in one sentence.
  public var subtitle: String
  /// Stands under the title before the first section: the table of results, the front.
  public var opening: [Block]
  public var sections: [Section]
  /// What made the page, with versions, and when.
  public var footer: [Fact]
  /// The language of the text.
  public var language: String

  public init(
    title: String, subtitle: String, opening: [Block] = [], sections: [Section], footer: [Fact] = [],
    language: String = "en"
  ) {
    self.title = title
    self.subtitle = subtitle
    self.opening = opening
    self.sections = sections
    self.footer = footer
    self.language = language
  }

  /// The whole page as HTML, which is well-formed XML too.
  public func html() -> String {
    var renderer = PageRenderer()
    return renderer.html(of: self)
  }
}
