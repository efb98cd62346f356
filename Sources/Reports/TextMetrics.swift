/// How wide text will be, about: the font is the reader's own, so every width here is on the generous side.
enum TextMetrics {
  /// The width of text in a sans-serif font of `size` pixels.
  static func width(_ text: String, size: Double, isBold: Bool = false) -> Double {
    var ems = 0.0
    for scalar in text.unicodeScalars { ems += advance(scalar) }
    return ems * size * (isBold ? 1.08 : 1.02)
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
    case "i", "j", "l", "'", "|": 0.26
    case ".", ",", ":", ";", "!", " ", "I", "f", "t", "/", "\u{A0}": 0.32
    case "\u{202F}", "\u{2009}": 0.2
    case "r", "-", "(", ")", "[", "]", "\"": 0.37
    case "m", "M", "W", "w", "%", "@", "—", "…": 0.93
    case "A"..."Z", "&", "×", "+", "=", "~", "<", ">", "≤", "≥", "±": 0.7
    case "c", "k", "s", "v", "x", "y", "z": 0.53
    case "\u{300}"..."\u{36F}": 0
    case _ where scalar.value > 0x2E80: 1.05
    default: 0.58
    }
  }
}
