/// Points and lines over two axes: fronts, training curves, scores by generation.
///
/// Series are told apart by marker, dash and colour, and lines carry their names at their right ends where there is room;
/// where there is not, a legend stands above. Values that an axis cannot show are left out, and the description says how many.
public struct XYChart: Chart, Hashable {
  public struct Point: Hashable, Sendable {
    public var x: Double
    public var y: Double
    /// Written beside the point, and first in what the pointer shows.
    public var label: String?

    public init(x: Double, y: Double, label: String? = nil) {
      self.x = x
      self.y = y
      self.label = label
    }
  }

  public enum Style: Hashable, Sendable {
    case points
    /// A line through the points in the order given, and no markers.
    case line
    case lineAndPoints
    /// What is reached up to each x: level until the next point, then up or down to it. Drawn on to the right edge.
    case front
  }

  public struct Series: Hashable, Sendable {
    public var name: String
    public var style: Style
    public var points: [Point]

    public init(_ name: String, style: Style, points: [Point]) {
      self.name = name
      self.style = style
      self.points = points
    }
  }

  /// A straight line across the plot at one value, such as a latency constraint.
  public struct Rule: Hashable, Sendable {
    public enum Direction: Hashable, Sendable {
      /// Upright, at a value of the x axis.
      case vertical
      /// Level, at a value of the y axis.
      case horizontal
    }

    public var direction: Direction
    public var value: Double
    public var label: String

    public init(_ direction: Direction, at value: Double, label: String) {
      self.direction = direction
      self.value = value
      self.label = label
    }
  }

  public var title: String
  public var x: Axis
  public var y: Axis
  public var series: [Series]
  public var rules: [Rule]

  public init(_ title: String, x: Axis, y: Axis, series: [Series], rules: [Rule] = []) {
    self.title = title
    self.x = x
    self.y = y
    self.series = series
    self.rules = rules
  }

  /// Where set, both axes have one range, the diagonal is drawn, and a band of this fraction on both sides of it.
  var diagonalTolerance: Double?
  /// Words that the description starts with.
  var finding = ""
  /// Lines of text for each series, which stand beside a square plot where there is room.
  var notes: [[String]] = []

  public func drawing(width: Double) -> Drawing {
    var layout = XYLayout(self, width: max(width, minimumWidth))
    return layout.draw()
  }

  // MARK: - What is shown

  func shows(_ point: Point) -> Bool { x.canShow(point.x) && y.canShow(point.y) }

  /// The description: what is on the axes, how much is drawn, what is left out.
  func summary(unlabelled: Int) -> String {
    var sentences: [String] = []
    if !finding.isEmpty { sentences.append(finding) }
    sentences.append("\(y.heading) against \(x.heading).")
    let shown = series.map { series in (series, series.points.count(where: shows)) }
    let drawn = shown.reduce(0) { $0 + $1.1 }
    if drawn == 0 {
      sentences.append("There are no values to draw.")
    } else {
      sentences.append(shown.map { "\($0.name): \(Quantity.of($1, "point"))" }.joined(separator: "; ") + ".")
    }
    let leftOut = series.reduce(0) { $0 + $1.points.count } - drawn
    if leftOut > 0 { sentences.append("\(Quantity.of(leftOut, "point")) left out: \(reasonForLeavingOut).") }
    if unlabelled > 0 { sentences.append("\(Quantity.of(unlabelled, "label")) left out for want of room.") }
    return sentences.joined(separator: " ")
  }

  private var reasonForLeavingOut: String {
    x.scale == .logarithmic || y.scale == .logarithmic
      ? "not a finite number, or not positive on a logarithmic axis" : "not a finite number"
  }
}

/// Counts with their nouns.
enum Quantity {
  static func of(_ count: Int, _ noun: String) -> String {
    "\(NumberText.count(count)) \(noun)\(count == 1 ? "" : "s")"
  }
}
