/// Numbers as text: one form a quantity, the same on every machine, with no locale.
///
/// What is not a number comes out as `n/a`, infinities as `inf` and `-inf`.
public enum NumberText {
  /// Stands between groups of three digits: a thin space that does not break.
  public static let thinSpace = "\u{202F}"

  /// Exactly `decimals` digits after the point; `fixed(2.675, decimals: 2)` is `2.68`.
  public static func fixed(_ value: Double, decimals: Int) -> String {
    guard value.isFinite else { return notFinite(value) }
    var digits = DecimalDigits(value)
    digits.round(decimals: decimals)
    return digits.text(decimals: decimals, groupSeparator: digits.exponent > 3 ? thinSpace : "")
  }

  /// At least `digits` significant digits: `0.123`, `12.3`, `123`, and all of the whole part beyond (`12 346`).
  public static func significant(_ value: Double, digits: Int = 3) -> String {
    guard value.isFinite else { return notFinite(value) }
    var rounded = DecimalDigits(value)
    // Rounding may add a digit in front (0.9996 -> 1.00), so the count of decimals comes after it.
    rounded.round(significantDigits: max(digits, rounded.exponent))
    if rounded.digits.isEmpty { return "0" }
    // A value this small would be a row of zeros.
    guard rounded.exponent > -6 else { return scientific(value, digits: digits) }
    return rounded.text(
      decimals: max(0, digits - rounded.exponent), groupSeparator: rounded.exponent > 3 ? thinSpace : "")
  }

  /// Milliseconds with three significant digits and the unit: `0.123 ms`, `12.3 ms`.
  public static func milliseconds(_ value: Double) -> String { withUnit(significant(value), "ms") }

  /// A count in millions with three significant digits, and no unit: 14,412,800 is `14.4`. For a column headed “MACs (M)”.
  public static func millions(_ count: Int) -> String { significant(Double(count) / 1e6) }

  /// Multiply-accumulates in millions: `14.4 M`.
  public static func macs(_ count: Int) -> String { withUnit(millions(count), "M") }

  /// Parameters in thousands below a million, in millions from there: `96.3 k`, `7.80 M`.
  public static func parameters(_ count: Int) -> String {
    // 999,950 rounds to a million: it is written as one.
    count.magnitude < 999_500 ? withUnit(significant(Double(count) / 1e3), "k") : withUnit(millions(count), "M")
  }

  /// A fraction as a percentage: `percentage(of: 0.8734)` is `87.3 %`.
  public static func percentage(of fraction: Double, decimals: Int = 1) -> String {
    withUnit(fixed(fraction * 100, decimals: decimals), "%")
  }

  /// A count with thin spaces between groups of three, `1 000`.
  public static func count(_ count: Int) -> String {
    let digits = String(count.magnitude)
    guard digits.count > 3 else { return String(count) }
    var text = count < 0 ? "-" : ""
    for (place, digit) in digits.enumerated() {
      if place > 0 && (digits.count - place).isMultiple(of: 3) { text += thinSpace }
      text.append(digit)
    }
    return text
  }

  /// Figures that stand beside one another, all with the decimals that the largest wants for `digits` significant digits.
  static func aligned(_ values: some Collection<Double>, digits: Int = 3) -> (Double) -> String {
    let finite = values.filter { $0.isFinite && $0 != 0 }.map(\.magnitude)
    guard let largest = finite.max() else { return { fixed($0, decimals: 0) } }
    var rounded = DecimalDigits(largest)
    rounded.round(significantDigits: digits)
    guard rounded.exponent <= 6, rounded.exponent > -4 else { return { scientific($0, digits: 2) } }
    let decimals = max(0, digits - max(rounded.exponent, 1))
    // Decimals that no value needs are left out.
    let needed =
      finite.lazy.map { value -> Int in
        var shown = DecimalDigits(value)
        shown.round(decimals: decimals)
        return max(0, shown.digits.count - shown.exponent)
      }.max() ?? 0
    return { fixed($0, decimals: min(decimals, needed)) }
  }

  /// A power of ten in front: `1.23×10⁹`.
  public static func scientific(_ value: Double, digits: Int = 3) -> String {
    guard value.isFinite else { return notFinite(value) }
    var rounded = DecimalDigits(value)
    rounded.round(significantDigits: digits)
    if rounded.digits.isEmpty { return "0" }
    let power = rounded.exponent - 1
    rounded.exponent = 1
    return rounded.text(decimals: max(0, rounded.digits.count - 1)) + "×10" + superscript(power)
  }

  static func superscript(_ number: Int) -> String {
    let digits = Array("⁰¹²³⁴⁵⁶⁷⁸⁹")
    return (number < 0 ? "⁻" : "") + String(String(number.magnitude).map { digits[$0.wholeNumberValue ?? 0] })
  }

  private static func withUnit(_ text: String, _ unit: String) -> String { "\(text)\u{A0}\(unit)" }

  private static func notFinite(_ value: Double) -> String { value.isNaN ? "n/a" : value < 0 ? "-inf" : "inf" }
}
