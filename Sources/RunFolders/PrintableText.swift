extension String {
  /// The text with what a terminal would obey, and not show, written out: control characters other than line ends and
  /// tabs, and the characters that turn the direction of writing, as `\u{1B}`.
  ///
  /// Messages quote what stands in files. A file of a stranger could clear the screen, or make a line read as another.
  public var printable: String {
    guard unicodeScalars.contains(where: \.isObeyed) else { return self }
    var result = String.UnicodeScalarView()
    for scalar in unicodeScalars {
      if scalar.isObeyed {
        result.append(contentsOf: "\\u{\(String(scalar.value, radix: 16, uppercase: true))}".unicodeScalars)
      } else {
        result.append(scalar)
      }
    }
    return String(result)
  }
}

extension Unicode.Scalar {
  fileprivate var isObeyed: Bool {
    switch value {
    case 0x09, 0x0A: false
    case 0..<0x20, 0x7F..<0xA0: true
    case 0x200E, 0x200F, 0x202A...0x202E, 0x2066...0x2069: true
    default: false
    }
  }
}
