/// A tree of elements and text that renders as HTML and as XML alike.
///
/// Every tag and every escape of this module is written here and nowhere else. The text it renders is the common ground of
/// the two syntaxes, so a whole page can be checked with an XML parser and an SVG drawing can stand in a page unchanged.
public struct Markup: Hashable, Sendable {
  indirect enum Node: Hashable, Sendable {
    case text(String)
    case element(name: String, attributes: [Attribute], children: [Markup])
    case group([Markup])
    case styleSheet(String)
  }

  struct Attribute: Hashable, Sendable {
    var name: String
    var value: String
  }

  var node: Node

  /// Text, escaped when it is rendered.
  public static func text(_ text: String) -> Markup { Markup(node: .text(text)) }

  /// Several nodes in a row, with no element around them.
  public static func group(_ children: [Markup]) -> Markup { Markup(node: .group(children)) }

  /// Nothing at all.
  public static var empty: Markup { group([]) }

  /// An element. Attributes keep the order in which they are written; one whose value is `nil` is left out.
  ///
  /// - Precondition: `name` and the names of attributes consist of ASCII letters, digits, `-`, `_` and `:`.
  public static func element(
    _ name: String, _ attributes: KeyValuePairs<String, String?> = [:], _ children: [Markup] = []
  ) -> Markup {
    precondition(isName(name), "“\(name)” is no element name")
    var kept: [Attribute] = []
    for (name, value) in attributes {
      precondition(isName(name), "“\(name)” is no attribute name")
      if let value { kept.append(Attribute(name: name, value: value)) }
    }
    return Markup(node: .element(name: name, attributes: kept, children: children))
  }

  /// An element that holds text only.
  public static func element(
    _ name: String, _ attributes: KeyValuePairs<String, String?> = [:], text: String
  ) -> Markup {
    element(name, attributes, [.text(text)])
  }

  /// A `style` element. Its text is not escaped, since HTML would not undo the escapes.
  ///
  /// - Precondition: `css` has neither `<` nor `&`, so that HTML and XML read the same text.
  public static func styleSheet(_ css: String) -> Markup {
    precondition(!css.contains("<") && !css.contains("&"), "a style sheet must do without < and &")
    return Markup(node: .styleSheet(css))
  }

  private static func isName(_ name: String) -> Bool {
    !name.isEmpty
      && name.utf8.allSatisfy { byte in
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
          UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: ":"):
          true
        default: false
        }
      }
  }
}

extension Markup: ExpressibleByStringLiteral {
  public init(stringLiteral value: String) { self = .text(value) }
}

// MARK: - Rendering

extension Markup {
  /// The markup as text.
  public func rendered() -> String {
    var output = ""
    render(into: &output)
    return output
  }

  /// Elements that close themselves: HTML's void elements and the shapes of SVG that never have children here.
  private static let selfClosing: Set<String> = [
    "br", "col", "hr", "link", "meta", "wbr", "line", "path", "polygon", "polyline", "use",
  ]

  /// Elements that start a line, so that the file can be read and compared; no white space is added where it would show.
  private static let startsLine: Set<String> = [
    "aside", "body", "details", "div", "dl", "figcaption", "figure", "footer", "g", "h1", "h2", "h3", "head",
    "header", "html", "li", "main", "meta", "nav", "ol", "p", "section", "style", "svg", "table", "tbody", "thead",
    "title", "tr",
  ]

  private func render(into output: inout String) {
    switch node {
    case .text(let text): Self.escape(text, into: &output, quotes: false)
    case .group(let children): for child in children { child.render(into: &output) }
    case .styleSheet(let css):
      output += "\n<style>\n"
      output += css
      output += "\n</style>"
    case .element(let name, let attributes, let children):
      if Self.startsLine.contains(name) && !output.isEmpty && !output.utf8.last!.isNewline { output += "\n" }
      output += "<"
      output += name
      for attribute in attributes {
        output += " "
        output += attribute.name
        output += "=\""
        Self.escape(attribute.value, into: &output, quotes: true)
        output += "\""
      }
      if children.isEmpty && Self.selfClosing.contains(name) {
        output += "/>"
        return
      }
      output += ">"
      for child in children { child.render(into: &output) }
      output += "</"
      output += name
      output += ">"
    }
  }

  private static func escape(_ text: String, into output: inout String, quotes: Bool) {
    for scalar in text.unicodeScalars {
      switch scalar {
      case "&": output += "&amp;"
      case "<": output += "&lt;"
      case ">": output += "&gt;"
      case "\"" where quotes: output += "&quot;"
      case "\n" where quotes: output += "&#10;"
      case "\t" where quotes: output += "&#9;"
      case "\n", "\t": output.unicodeScalars.append(scalar)
      case "\u{0}"..."\u{1F}", "\u{7F}"..."\u{9F}", "\u{FFFE}", "\u{FFFF}":
        // XML has no way to write these.
        output += "\u{FFFD}"
      default: output.unicodeScalars.append(scalar)
      }
    }
  }
}

extension UInt8 {
  fileprivate var isNewline: Bool { self == UInt8(ascii: "\n") }
}
