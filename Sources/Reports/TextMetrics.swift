/// How wide text will be, about. The font is the reader's own; these are the widths of a wide one (DejaVu Sans), so that
/// there is room with any.
enum TextMetrics {
  /// The width of text in a sans-serif font of `size` pixels.
  static func width(_ text: String, size: Double, isBold: Bool = false) -> Double {
    var ems = 0.0
    for scalar in text.unicodeScalars { ems += advance(scalar) }
    return ems * size * (isBold ? 1.13 : 1)
  }

  /// The text, cut at the end with `…` where it would be wider than `limit`.
  static func shortened(_ text: String, size: Double, limit: Double) -> String {
    guard width(text, size: size) > limit else { return text }
    var kept = ""
    for character in text {
      if width(kept + String(character) + "…", size: size) > limit { break }
      kept.append(character)
    }
    while kept.last == " " { kept.removeLast() }
    return kept + "…"
  }

  private static func advance(_ scalar: Unicode.Scalar) -> Double {
    switch scalar {
    case "i", "j", "l", "'", "|", "I", "J": 0.3
    case ".", ",", ":", ";", "!", " ", "/", "\u{A0}": 0.33
    case "\u{202F}", "\u{2009}": 0.22
    case "f", "t", "r", "-", "(", ")", "[", "]", "\"": 0.4
    case "c", "s", "z", "L": 0.56
    case "w", "×", "+", "=", "~", "<", ">", "≤", "≥", "±": 0.84
    case "m", "M", "W", "%", "@", "—", "…": 1
    case "A"..."Z", "&": 0.72
    case "\u{300}"..."\u{36F}": 0
    case _ where scalar.value > 0x2E80: 1.05
    default: 0.63
    }
  }
}
