import Foundation

#if canImport(FoundationXML)
  import FoundationXML
#endif

/// What an XML parser makes of a document: its elements in order, each with its attributes, its text and its place.
struct MarkupTree {
  struct Element {
    var name: String
    var attributes: [String: String]
    /// The text directly inside.
    var text: String
    /// Names of the elements around it, outermost first.
    var path: [String]

    var classes: [String] { (attributes["class"] ?? "").split(separator: " ").map(String.init) }

    func number(_ attribute: String) -> Double? { attributes[attribute].flatMap(Double.init) }
  }

  struct NotWellFormed: Error, CustomStringConvertible {
    var description: String
  }

  var elements: [Element]

  init(parsing text: String) throws(NotWellFormed) {
    let reader = Reader()
    let parser = XMLParser(data: Data(text.utf8))
    parser.delegate = reader
    guard parser.parse() else {
      let reason = parser.parserError.map { "\($0)" } ?? "no reason"
      throw NotWellFormed(description: "line \(parser.lineNumber), column \(parser.columnNumber): \(reason)")
    }
    elements = reader.elements
  }

  func all(_ name: String, class wanted: String? = nil) -> [Element] {
    elements.filter { element in
      element.name == name && (wanted.map { element.classes.contains($0) } ?? true)
    }
  }

  private final class Reader: NSObject, XMLParserDelegate {
    var elements: [Element] = []
    private var open: [Int] = []

    func parser(
      _ parser: XMLParser, didStartElement name: String, namespaceURI: String?, qualifiedName: String?,
      attributes: [String: String]
    ) {
      let path = open.map { elements[$0].name }
      open.append(elements.count)
      elements.append(Element(name: name, attributes: attributes, text: "", path: path))
    }

    func parser(_ parser: XMLParser, didEndElement: String, namespaceURI: String?, qualifiedName: String?) {
      open.removeLast()
    }

    func parser(_ parser: XMLParser, foundCharacters string: String) {
      if let last = open.last { elements[last].text += string }
    }
  }
}
