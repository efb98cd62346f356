/// The shapes that charts are drawn with.
enum Shape {
  enum Anchor: String {
    case start, middle, end
  }

  static func text(
    _ text: String, x: Double, y: Double, anchor: Anchor = .start, class name: String? = nil, full: String? = nil
  ) -> Markup {
    var children: [Markup] = []
    // The whole text of a label that was cut shows when the pointer rests on it.
    if let full, full != text { children.append(.element("title", text: full)) }
    children.append(.text(text))
    return .element(
      "text",
      [
        "class": name, "x": coordinate(x), "y": coordinate(y),
        "text-anchor": anchor == .start ? nil : anchor.rawValue,
      ], children)
  }

  static func line(_ x1: Double, _ y1: Double, _ x2: Double, _ y2: Double, class name: String) -> Markup {
    .element(
      "line",
      [
        "class": name, "x1": coordinate(x1), "y1": coordinate(y1), "x2": coordinate(x2), "y2": coordinate(y2),
      ])
  }

  static func rectangle(
    x: Double, y: Double, width: Double, height: Double, radius: Double = 0, class name: String, opacity: Double? = nil,
    tip: String? = nil
  ) -> Markup {
    .element(
      "rect",
      [
        "class": name, "x": coordinate(x), "y": coordinate(y), "width": coordinate(max(0, width)),
        "height": coordinate(max(0, height)), "rx": radius > 0 ? coordinate(radius) : nil,
        "fill-opacity": opacity.map(coordinate),
      ], tipped(tip))
  }

  static func path(_ data: String, class name: String, dashes: String? = nil, tip: String? = nil) -> Markup {
    .element("path", ["class": name, "d": data, "stroke-dasharray": dashes], tipped(tip))
  }

  static func polyline(_ points: [(x: Double, y: Double)]) -> String {
    var data = ""
    for (index, point) in points.enumerated() {
      data += "\(index == 0 ? "M" : "L")\(coordinate(point.x)) \(coordinate(point.y))"
    }
    return data
  }

  /// The marker of a series, of about equal area for all: disc, square, triangle, diamond, triangle on its tip, ring,
  /// cross, and upright cross.
  static func marker(
    _ index: Int, x: Double, y: Double, radius r: Double, isOneOfMany: Bool = false, tip: String? = nil
  ) -> Markup {
    func at(_ dx: Double, _ dy: Double) -> (x: Double, y: Double) { (x + dx * r, y + dy * r) }
    func closed(_ points: [(x: Double, y: Double)]) -> Markup {
      path(polyline(points) + "Z", class: isOneOfMany ? "mark many" : "mark", tip: tip)
    }
    func strokes(_ points: [(x: Double, y: Double)]) -> Markup {
      path(polyline(Array(points[0...1])) + polyline(Array(points[2...3])), class: "stroke-mark", tip: tip)
    }
    func disc(_ name: String, _ radius: Double) -> Markup {
      .element(
        "circle", ["class": name, "cx": coordinate(x), "cy": coordinate(y), "r": coordinate(radius)], tipped(tip))
    }
    switch index % ChartStyle.seriesCount {
    case 0: return disc(isOneOfMany ? "mark many" : "mark", r)
    case 1: return closed([at(-0.9, -0.9), at(0.9, -0.9), at(0.9, 0.9), at(-0.9, 0.9)])
    case 2: return closed([at(0, -1.25), at(1.17, 0.85), at(-1.17, 0.85)])
    case 3: return closed([at(0, -1.3), at(1.3, 0), at(0, 1.3), at(-1.3, 0)])
    case 4: return closed([at(0, 1.25), at(1.17, -0.85), at(-1.17, -0.85)])
    case 5: return disc("stroke-mark", r * 0.8)
    case 6: return strokes([at(-0.8, -0.8), at(0.8, 0.8), at(-0.8, 0.8), at(0.8, -0.8)])
    default: return strokes([at(-1.05, 0), at(1.05, 0), at(0, -1.05), at(0, 1.05)])
    }
  }

  static func group(_ name: String, _ children: [Markup]) -> Markup { .element("g", ["class": name], children) }

  private static func tipped(_ tip: String?) -> [Markup] { tip.map { [.element("title", text: $0)] } ?? [] }
}
