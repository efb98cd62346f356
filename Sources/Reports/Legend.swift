/// The names of series with their marks, in rows above a plot.
struct Legend {
  struct Entry {
    var name: String
    var seriesIndex: Int
    var style: XYChart.Style?
  }

  private(set) var content: [Markup] = []
  private(set) var height = 0.0

  /// - Parameter width: what a row may take.
  init(_ entries: [Entry], width: Double) {
    guard !entries.isEmpty else { return }
    let sample = 26.0
    var x = 0.0
    var y = 0.0
    for entry in entries {
      let name = TextMetrics.shortened(entry.name, size: 12, limit: width - sample - 8)
      let needed = sample + 6 + TextMetrics.width(name, size: 12) + 20
      if x > 0 && x + needed - 20 > width {
        x = 0
        y += ChartStyle.lineHeight + 3
      }
      let middle = y + 8
      var parts: [Markup] = []
      switch entry.style {
      case .points?: parts = [Shape.marker(entry.seriesIndex, x: x + sample / 2, y: middle, radius: 4)]
      case nil:
        parts = [Shape.rectangle(x: x + 4, y: middle - 5, width: sample - 8, height: 10, class: "bar")]
      case .line?, .lineAndPoints?, .front?:
        parts = [
          Shape.path(
            Shape.polyline([(x, middle), (x + sample, middle)]), class: "line",
            dashes: ChartStyle.dashes(entry.seriesIndex))
        ]
        if entry.style != .line {
          parts.append(Shape.marker(entry.seriesIndex, x: x + sample / 2, y: middle, radius: 4))
        }
      }
      parts.append(Shape.text(name, x: x + sample + 6, y: middle + 4, class: "legend-name", full: entry.name))
      content.append(Shape.group(ChartStyle.seriesClass(entry.seriesIndex), parts))
      x += needed
    }
    height = y + ChartStyle.lineHeight + 10
  }
}
