/// A drawing of some values. A chart is a plain value; the same one stands in a report and on its own as an `.svg` file.
public protocol Chart: Sendable {
  /// What the chart shows, in a few words. Read out by screen readers, drawn above the chart where it stands on its own.
  var title: String { get }

  /// The narrowest drawing in which nothing overlaps, in pixels.
  var minimumWidth: Double { get }

  /// Lays the chart out for a width in pixels.
  func drawing(width: Double) -> Drawing
}

extension Chart {
  public var minimumWidth: Double { 340 }

  /// The chart as the text of an `.svg` file, with its title drawn and its style inside; it follows light and dark.
  public func svg(width: Double = 720) -> String { drawing(width: max(width, minimumWidth)).standalone() }
}

/// A chart laid out for one width.
public struct Drawing: Sendable {
  /// The size in pixels.
  public var width: Double
  public var height: Double
  public var title: String
  /// What the chart says, in words, with everything that had to be left out.
  public var summary: String
  var content: [Markup]

  /// The `svg` element for a page that has ``ChartStyle/css`` in its style sheet.
  ///
  /// - Parameter id: a prefix that no other drawing of the page has.
  func inline(id: String) -> Markup {
    .element(
      "svg",
      [
        "class": "chart", "viewBox": "0 0 \(coordinate(width)) \(coordinate(height))", "role": "img",
        "aria-labelledby": "\(id)-title \(id)-desc",
      ], names(id: id) + content)
  }

  func standalone() -> String {
    let margin = 14.0
    let head = 34.0
    let fullWidth = width + 2 * margin
    let fullHeight = height + head + margin
    let title = TextMetrics.shortened(self.title, size: 15, limit: width)
    return Markup.element(
      "svg",
      [
        "xmlns": "http://www.w3.org/2000/svg", "class": "chart", "width": coordinate(fullWidth),
        "height": coordinate(fullHeight),
        "viewBox": "\(coordinate(-margin)) \(coordinate(-head)) \(coordinate(fullWidth)) \(coordinate(fullHeight))",
        "role": "img", "aria-labelledby": "chart-title chart-desc",
      ],
      names(id: "chart") + [
        .styleSheet(ChartStyle.standalone),
        Shape.rectangle(
          x: -margin, y: -head, width: fullWidth, height: fullHeight, class: "paper"),
        Shape.text(title, x: 0, y: -13, class: "heading"),
      ] + content
    ).rendered() + "\n"
  }

  private func names(id: String) -> [Markup] {
    [
      .element("title", ["id": "\(id)-title"], text: title),
      .element("desc", ["id": "\(id)-desc"], text: summary),
    ]
  }
}

/// A length or a place in a drawing, to a hundredth of a pixel.
func coordinate(_ value: Double) -> String {
  guard value.isFinite else { return "0" }
  let hundredths = Int((min(max(value, -1e7), 1e7) * 100).rounded())
  let (whole, rest) = hundredths.magnitude.quotientAndRemainder(dividingBy: 100)
  let sign = hundredths < 0 ? "-" : ""
  if rest == 0 { return "\(sign)\(whole)" }
  return rest % 10 == 0 ? "\(sign)\(whole).\(rest / 10)" : "\(sign)\(whole).\(rest < 10 ? "0" : "")\(rest)"
}
