/// Axes, grid, ticks and their titles around a plot.
struct PlotFrame {
  var plot: Box
  var x: AxisScale
  var y: AxisScale
  var hasXGrid = true

  var content: Markup {
    var parts: [Markup] = []
    let bottom = plot.y + plot.height
    let right = plot.x + plot.width
    for tick in y.ticks {
      let place = y.position(tick.value)
      parts.append(Shape.line(plot.x, place, right, place, class: "grid"))
      parts.append(Shape.text(tick.label, x: plot.x - 7, y: place + 4, anchor: .end, class: "tick"))
    }
    for tick in x.ticks {
      let place = x.position(tick.value)
      if hasXGrid { parts.append(Shape.line(place, plot.y, place, bottom, class: "grid")) }
      parts.append(Shape.line(place, bottom, place, bottom + 4, class: "axis"))
      parts.append(Shape.text(tick.label, x: place, y: bottom + 17, anchor: .middle, class: "tick"))
    }
    parts.append(Shape.line(plot.x, bottom, right, bottom, class: "axis"))
    // Both titles read level; the one of the y axis stands on top of it.
    parts.append(heading(y.axis, x: 0, y: plot.y - 9, anchor: .start, limit: plot.x + plot.width))
    parts.append(heading(x.axis, x: plot.x + plot.width / 2, y: bottom + 36, anchor: .middle, limit: plot.width))
    return Shape.group("frame", parts)
  }

  private func heading(_ axis: Axis, x: Double, y: Double, anchor: Shape.Anchor, limit: Double) -> Markup {
    let unit = axis.unit.isEmpty ? "" : " (\(axis.unit))"
    // The unit stays whole, however long the title.
    let room = max(limit - TextMetrics.width(unit, size: 12), 40)
    let text = TextMetrics.shortened(axis.title, size: 12, limit: room) + unit
    let note = axis.scale == .logarithmic && limit > 260 ? ", logarithmic" : ""
    return Shape.text(text + note, x: x, y: y, anchor: anchor, class: "axis-title", full: axis.heading + note)
  }
}
