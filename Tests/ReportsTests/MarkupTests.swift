import Reports
import Testing

@Suite("Markup")
struct MarkupTests {
  @Test("Text is escaped, quotes in text are not")
  func textIsEscaped() {
    #expect(Markup.element("p", text: "a < b & \"c\" > 'd'").rendered() == "<p>a &lt; b &amp; \"c\" &gt; 'd'</p>")
  }

  @Test("Attributes keep their order, are escaped, and are left out where there is no value")
  func attributes() {
    let markup = Markup.element("rect", ["y": "1", "x": "\"<&>\"\n", "rx": nil])
    #expect(markup.rendered() == "<rect y=\"1\" x=\"&quot;&lt;&amp;&gt;&quot;&#10;\"></rect>")
  }

  @Test("Void elements close themselves; others never do")
  func voidElements() {
    #expect(Markup.element("br").rendered() == "<br/>")
    #expect(Markup.element("td").rendered() == "<td></td>")
  }

  @Test("A parser reads back every text, whatever characters it has", arguments: 0..<200)
  func anyTextSurvives(seed: Int) throws {
    var numbers = SeededNumbers(seed: seed)
    let scalars: [Unicode.Scalar] = [
      "<", ">", "&", "\"", "'", "]", "é", "✓", "日", "\u{0}", "\u{B}", "\u{FFFE}", " ", "a",
    ]
    var text = ""
    for _ in 0..<24 { text.unicodeScalars.append(scalars.randomElement(using: &numbers) ?? "a") }
    let tree = try MarkupTree(parsing: Markup.element("p", ["title": text], [.text(text)]).rendered())
    var expected = ""
    for scalar in text.unicodeScalars {
      expected.unicodeScalars.append(["\u{0}", "\u{B}", "\u{FFFE}"].contains(scalar) ? "\u{FFFD}" : scalar)
    }
    let element = try #require(tree.elements.first)
    #expect(element.text == expected)
    #expect(element.attributes["title"] == expected)
  }
}
