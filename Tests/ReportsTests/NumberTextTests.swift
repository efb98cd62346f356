import Reports
import Testing

@Suite("Numbers as text")
struct NumberTextTests {
  @Test(
    "Fixed decimals round half away from zero on the decimal that is written",
    arguments: [
      (2.675, 2, "2.68"), (0.125, 2, "0.13"), (-0.125, 2, "-0.13"), (0.7, 0, "1"), (0.4, 0, "0"), (-0.001, 2, "0.00"),
      (999.995, 2, "1\u{202F}000.00"), (0, 3, "0.000"), (1e-9, 2, "0.00"), (12_345.678, 1, "12\u{202F}345.7"),
      (0.05, 2, "0.05"), (9.96, 1, "10.0"), (.nan, 2, "n/a"), (.infinity, 2, "inf"), (-.infinity, 2, "-inf"),
    ])
  func fixed(value: Double, decimals: Int, expected: String) {
    #expect(NumberText.fixed(value, decimals: decimals) == expected)
  }

  @Test("Fixed decimals agree with whole-number arithmetic", arguments: 0..<300)
  func fixedAgreesWithIntegers(seed: Int) {
    var numbers = SeededNumbers(seed: seed)
    let decimals = Int.random(in: 1...4, using: &numbers)
    let scale = (0..<decimals).reduce(1) { power, _ in power * 10 }
    let whole = Int.random(in: 0..<1000, using: &numbers)
    let rest = Int.random(in: 0..<scale, using: &numbers)
    let padded = String(repeating: "0", count: decimals - String(rest).count) + String(rest)
    let value = Double(whole * scale + rest) / Double(scale)
    #expect(NumberText.fixed(value, decimals: decimals) == "\(whole).\(padded)")
  }

  @Test(
    "Milliseconds have three significant digits",
    arguments: [
      (0.1234, "0.123"), (12.34, "12.3"), (123.4, "123"), (1.0, "1.00"), (0.9996, "1.00"), (0.05, "0.0500"),
      (1234.5, "1\u{202F}235"), (0, "0"), (1e-8, "1×10⁻⁸"),
    ])
  func milliseconds(value: Double, expected: String) {
    #expect(NumberText.milliseconds(value) == expected + "\u{A0}ms")
  }

  @Test(
    "Parameters are in thousands, then in millions",
    arguments: [
      (96_310, "96.3\u{A0}k"), (999_400, "999\u{A0}k"), (999_950, "1.00\u{A0}M"), (7_795_000, "7.80\u{A0}M"),
      (0, "0\u{A0}k"),
    ])
  func parameters(count: Int, expected: String) {
    #expect(NumberText.parameters(count) == expected)
  }

  @Test("MACs are in millions")
  func macs() {
    #expect(NumberText.macs(14_412_800) == "14.4\u{A0}M")
    #expect(NumberText.macs(163_480_000) == "163\u{A0}M")
    #expect(NumberText.millions(981_540_000) == "982")
  }

  @Test("A fraction becomes a percentage")
  func percentages() {
    #expect(NumberText.percentage(of: 0.8734) == "87.3\u{A0}%")
    #expect(NumberText.percentage(of: 0.98765, decimals: 2) == "98.77\u{A0}%")
  }

  @Test(
    "Counts are in groups of three",
    arguments: [
      (0, "0"), (999, "999"), (1000, "1 000"), (-95_551_488, "-95 551 488"), (Int.min, "-9 223 372 036 854 775 808"),
    ])
  func counts(count: Int, expected: String) {
    #expect(NumberText.count(count) == expected.split(separator: " ").joined(separator: NumberText.thinSpace))
  }
}
