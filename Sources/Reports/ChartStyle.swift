/// Colours and type of every chart, as custom properties, so that a drawing follows the page it stands in.
enum ChartStyle {
  /// How many colours, markers and dashes there are before they repeat.
  static let seriesCount = 8

  /// Colours are told apart by people who see few of them, and have a contrast of at least 3 to the paper; marker shapes,
  /// dashes and patterns say the same again without colour.
  static let lightColours = """
    --paper:#fdfcfa;--ink:#22252a;--muted:#5f656e;--rule:#8d939b;--grid:#e6e3dd;--tint:#f3f1ec;\
    --s1:#1b62a8;--s2:#b6480c;--s3:#17785a;--s4:#8a3f97;--s5:#8b6700;--s6:#b8305f;--s7:#23788c;--s8:#5a6068;\
    --below:#b0663a;--above:#2a72b5;
    """

  static let darkColours = """
    --paper:#16181c;--ink:#e3e1dc;--muted:#a0a4ab;--rule:#6c727b;--grid:#2b2f35;--tint:#1f2227;\
    --s1:#74b0ee;--s2:#f0935a;--s3:#58c39a;--s4:#cf97de;--s5:#d8b64a;--s6:#f289ab;--s7:#62c3d6;--s8:#b3b8bf;\
    --below:#c97b4c;--above:#4a92d8;
    """

  static let fontFamily = "system-ui,-apple-system,\"Segoe UI\",Roboto,\"Helvetica Neue\",Arial,sans-serif"

  /// What the classes of a drawing mean. A page has it once.
  static let css: String = {
    let series = (1...seriesCount).map { ".chart .s\($0){color:var(--s\($0))}" }.joined(separator: "\n")
    return """
      .chart{font-family:\(fontFamily);font-size:\(Int(labelSize))px;font-variant-numeric:tabular-nums;color:var(--ink)}
      .chart text{fill:var(--ink);stroke:none}
      .chart .paper{fill:var(--paper)}
      .chart .heading{font-size:15px;font-weight:600}
      .chart .tick{fill:var(--muted)}
      .chart .axis-title{fill:var(--muted);font-weight:500}
      .chart .note{fill:var(--muted)}
      .chart .strong{font-weight:600}
      .chart .series-name{fill:currentColor;font-weight:600}
      .chart .halo{paint-order:stroke;stroke:var(--paper);stroke-width:3.5px;stroke-linejoin:round}
      .chart .point-label{font-size:\(Int(pointLabelSize))px}
      .chart .grid{stroke:var(--grid);stroke-width:1;fill:none}
      .chart .axis{stroke:var(--rule);stroke-width:1;fill:none}
      .chart .rule{stroke:var(--ink);stroke-width:1.1;stroke-dasharray:5 3;fill:none}
      .chart .diagonal{stroke:var(--muted);stroke-width:1.1;fill:none}
      .chart .band{fill:var(--ink);fill-opacity:.07;stroke:none}
      .chart .leader{stroke:var(--rule);stroke-width:.8;fill:none}
      .chart .line{fill:none;stroke:currentColor;stroke-width:1.9;stroke-linejoin:round;stroke-linecap:round}
      .chart .faint{stroke-opacity:.45;stroke-width:1.2}
      .chart .mark{fill:currentColor;stroke:var(--paper);stroke-width:.9}
      .chart .mark.many{fill-opacity:.62;stroke-width:.4}
      .chart .stroke-mark{fill:none;stroke:currentColor;stroke-width:2;stroke-linecap:round}
      .chart .bar{fill:currentColor;fill-opacity:.82}
      .chart .bar.weak{fill-opacity:.26}
      .chart .slot{fill:var(--tint);stroke:var(--grid);stroke-width:1}
      .chart .window{fill:currentColor;fill-opacity:.2;stroke:currentColor;stroke-width:1.4}
      .chart .badge{fill:var(--paper);stroke:currentColor;stroke-width:1.2}
      .chart .badge-text{fill:currentColor;font-weight:700}
      .chart .code{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;font-size:11px}
      .chart .cell-above{fill:var(--above)}
      .chart .cell-below{fill:var(--below)}
      .chart .cell-none{fill:none;stroke:var(--grid)}
      \(series)
      """
  }()

  static let standalone = """
    .chart{\(lightColours)}
    @media (prefers-color-scheme:dark){.chart{\(darkColours)}}
    \(css)
    """

  /// The size of type, and the distance of its lines, in pixels.
  static let labelSize = 12.0
  static let lineHeight = 15.0
  /// The size of labels of points.
  static let pointLabelSize = 11.0

  static func seriesClass(_ index: Int) -> String { "s\(index % seriesCount + 1)" }

  /// How a line of a series is broken; the first is whole.
  static func dashes(_ index: Int) -> String? {
    let patterns: [String?] = [nil, "7 3.5", "2 3.2", "9 3 2 3", "13 4", "5 2.5 2 2.5 2 2.5", "4 2", "1.5 5"]
    return patterns[index % patterns.count]
  }
}
