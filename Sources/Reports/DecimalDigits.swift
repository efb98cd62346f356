/// A finite number as decimal digits, rounded the way a person rounds: half away from zero, on the shortest decimal that
/// stands for the value. It needs no locale and no C formatting, so the same value gives the same text everywhere.
struct DecimalDigits: Hashable {
  var isNegative: Bool
  /// Digits 0-9, the first one not 0; empty stands for zero.
  var digits: [UInt8]
  /// The place of the first digit: the value is 0.d₁d₂d₃… × 10^`exponent`.
  var exponent: Int

  /// - Precondition: `value` is finite.
  init(_ value: Double) {
    precondition(value.isFinite, "only finite numbers have digits")
    isNegative = value < 0
    var read: [UInt8] = []
    var exponent = 0
    var pointSeen = false
    let text = Array(value.magnitude.description.utf8)
    var index = 0
    while index < text.count {
      let byte = text[index]
      if byte == UInt8(ascii: ".") {
        pointSeen = true
      } else if byte == UInt8(ascii: "e") {
        exponent += Int(String(decoding: text[(index + 1)...], as: UTF8.self)) ?? 0
        break
      } else {
        read.append(byte - UInt8(ascii: "0"))
        if !pointSeen { exponent += 1 }
      }
      index += 1
    }
    let leadingZeros = read.prefix { $0 == 0 }.count
    digits = Array(read.dropFirst(leadingZeros))
    self.exponent = exponent - leadingZeros
    trim()
  }

  /// Keeps the digits down to 10^`-decimals`.
  mutating func round(decimals: Int) { keep(exponent + decimals) }

  /// Keeps this many digits from the first one that is not 0.
  mutating func round(significantDigits: Int) { keep(max(1, significantDigits)) }

  private mutating func keep(_ count: Int) {
    guard count < digits.count else { return }
    if count < 0 {
      digits = []
      trim()
      return
    }
    let roundsUp = digits[count] >= 5
    digits.removeSubrange(count...)
    if roundsUp {
      var index = count - 1
      while index >= 0 && digits[index] == 9 {
        digits[index] = 0
        index -= 1
      }
      if index >= 0 {
        digits[index] += 1
      } else {
        digits.insert(1, at: 0)
        exponent += 1
      }
    }
    trim()
  }

  private mutating func trim() {
    while digits.last == 0 { digits.removeLast() }
    if digits.isEmpty {
      exponent = 0
      isNegative = false
    }
  }

  /// The text with exactly this many decimals, the whole part grouped in threes when a separator is given.
  func text(decimals: Int, groupSeparator: String = "") -> String {
    var text = isNegative ? "-" : ""
    let wholeCount = max(exponent, 0)
    if wholeCount == 0 {
      text += "0"
    } else {
      for place in 0..<wholeCount {
        if place > 0 && (wholeCount - place).isMultiple(of: 3) { text += groupSeparator }
        text += digit(at: place)
      }
    }
    if decimals > 0 {
      text += "."
      for decimal in 0..<decimals { text += digit(at: exponent + decimal) }
    }
    return text
  }

  private func digit(at place: Int) -> String {
    digits.indices.contains(place) ? String(digits[place]) : "0"
  }
}
