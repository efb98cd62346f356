/// The names of series with their marks, in rows above a plot or one below the other beside it.
struct Legend {
  struct Entry {
    var name: String
    var seriesIndex: Int
    var style: XYChart.Style?
  }

  private(set) var content: [Markup] = []
  private(set) var height = 0.0

  private static let sample = 26.0

  /// - Parameter width: what a row may take.
  init(_ entries: [Entry], width: Double) {
    guard !entries.isEmpty else { return }
    let sample = Self.sample
    var x = 0.0
    var y = 0.0
    for entry in entries {
      let name = TextMetrics.shortened(entry.name, size: 12, limit: width - sample - 8)
      let needed = sample + 6 + TextMetrics.width(name, size: 12) + 20
      if x > 0 && x + needed - 20 > width {
        x = 0
        y += ChartStyle.lineHeight + 3
      }
      let mark = Self.mark(of: entry, x: x, middle: y + 8)
      let text = Shape.text(name, x: x + sample + 6, y: y + 12, class: "legend-name", full: entry.name)
      content.append(Shape.group(ChartStyle.seriesClass(entry.seriesIndex), mark + [text]))
      x += needed
    }
    height = y + ChartStyle.lineHeight + 10
  }

  /// One entry below the other, each with lines of text under its name.
  static func column(_ entries: [(entry: Entry, notes: [String])], x: Double, y: Double, width: Double) -> [Markup] {
    var content: [Markup] = []
    var top = y
    for (entry, notes) in entries {
      let left = x + sample
      let name = TextMetrics.shortened(entry.name, size: 12, limit: width - sample)
      var parts = mark(of: entry, x: x - 4, middle: top + 8)
      parts.append(Shape.text(name, x: left, y: top + 12, class: "strong", full: entry.name))
      for (line, note) in notes.enumerated() {
        let text = TextMetrics.shortened(note, size: 12, limit: width - sample)
        let baseline = top + 12 + Double(line + 1) * (ChartStyle.lineHeight + 1)
        parts.append(Shape.text(text, x: left, y: baseline, class: "note", full: note))
      }
      content.append(Shape.group(ChartStyle.seriesClass(entry.seriesIndex), parts))
      top += Double(notes.count + 1) * (ChartStyle.lineHeight + 1) + 14
    }
    return content
  }

  private static func mark(of entry: Entry, x: Double, middle: Double) -> [Markup] {
    switch entry.style {
    case .points?: return [Shape.marker(entry.seriesIndex, x: x + sample / 2, y: middle, radius: 4)]
    case nil: return [Shape.rectangle(x: x, y: middle - 5, width: sample, height: 10, class: "bar")]
    case .line?, .lineAndPoints?, .front?:
      let line = Shape.path(
        Shape.polyline([(x, middle), (x + sample, middle)]), class: "line",
        dashes: ChartStyle.dashes(entry.seriesIndex))
      return entry.style == .line
        ? [line] : [line, Shape.marker(entry.seriesIndex, x: x + sample / 2, y: middle, radius: 4)]
    }
  }
}
