/// Reads the items of a stage table from bytes and keeps count of line and column, so that a refusal can name both.
struct TableScanner {
  private let bytes: [UInt8]
  private let file: String
  private var index = 0
  private var line = 1
  private var lineStart = 0

  init(bytes: [UInt8], file: String) {
    self.bytes = bytes
    self.file = file
    // The mark that some editors put before UTF-8 text.
    if bytes.starts(with: [0xEF, 0xBB, 0xBF]) {
      index = 3
      lineStart = 3
    }
  }

  var isAtEnd: Bool { index == bytes.count }
  var peek: UInt8? { index < bytes.count ? bytes[index] : nil }
  /// One-based column of the next byte.
  var column: Int { index - lineStart + 1 }

  func error(_ message: String) -> TableError { error(line: line, column: column, message) }
  func error(column: Int, _ message: String) -> TableError { error(line: line, column: column, message) }
  func error(line: Int, column: Int, _ message: String) -> TableError {
    TableError(file: file, line: line, column: column, message: message)
  }

  /// The text up to the line's end, which is skipped.
  mutating func restOfLine() -> String {
    let start = index
    while index < bytes.count, bytes[index] != UInt8(ascii: "\n") { index += 1 }
    let end = index > start && bytes[index - 1] == UInt8(ascii: "\r") ? index - 1 : index
    let text = String(decoding: bytes[start..<end], as: UTF8.self)
    if index < bytes.count { nextLine() }
    return text
  }

  private mutating func nextLine() {
    index += 1
    line += 1
    lineStart = index
  }

  mutating func skip(_ character: Character) -> Bool {
    guard peek == character.asciiValue else { return false }
    index += 1
    return true
  }

  mutating func expect(_ character: Character, after what: String) throws(TableError) {
    guard skip(character) else { throw error("\(found) where \"\(character)\" is right, after \(what)") }
  }

  mutating func expectLineEnd() throws(TableError) {
    // Lines may end as on Windows.
    if peek == UInt8(ascii: "\r"), index + 1 == bytes.count || bytes[index + 1] == UInt8(ascii: "\n") { index += 1 }
    guard index < bytes.count else { return }
    guard bytes[index] == UInt8(ascii: "\n") else { throw error("\(found) where the line should end") }
    nextLine()
  }

  /// What stands here, for a message: up to the next separator.
  private var found: String {
    guard let first = peek else { return "the file ends" }
    if first == UInt8(ascii: "\n") { return "the line ends" }
    var end = index + 1
    while end < bytes.count, end < index + 24, !",#_\n".utf8.contains(bytes[end]) { end += 1 }
    return "\"\(String(decoding: bytes[index..<end], as: UTF8.self))\""
  }

  /// That something else stands where a `name` belongs.
  private func misses(_ name: String) -> String {
    switch peek {
    case nil, UInt8(ascii: "\n"): "\(found) where the \(name) belongs"
    default: "\(found) is no \(name)"
    }
  }

  private static func isDigit(_ byte: UInt8) -> Bool { byte &- 48 < 10 }

  /// A positive whole number without leading zeros.
  mutating func whole(named name: String) throws(TableError) -> Int {
    let start = index
    var value = 0
    while index < bytes.count, TableScanner.isDigit(bytes[index]), index - start < 7 {
      value = value * 10 + Int(bytes[index] &- 48)
      index += 1
    }
    guard value > 0, bytes[start] != UInt8(ascii: "0"), peek.map(TableScanner.isDigit) != true else {
      index = start
      throw error("\(misses(name)); a whole number from 1 to 9999999 is right here")
    }
    return value
  }

  mutating func whole(named name: String, among choices: [Int]) throws(TableError) -> Int {
    let start = index
    let value = try whole(named: name)
    guard choices.contains(value) else {
      index = start
      throw error("\(name) \(value) is not among \(choices.map { "\($0)" }.joined(separator: " "))")
    }
    return value
  }

  /// A number that is not negative. Strict: digits, a point, digits. Else an exponent is taken as well.
  mutating func decimal(named name: String, strict: Bool) throws(TableError) -> Double {
    let start = index
    var value = plainDecimal()
    if value == nil, !strict {
      index = start
      value = anyDecimal()
    }
    guard let value, value >= 0 else {
      index = start
      throw error("\(misses(name)); a plain decimal such as 0.3918 is right here")
    }
    guard value <= TableScanner.largestNumber else {
      index = start
      throw error("\(name) \(found) is too large; at most \(TableScanner.largestNumber) is right here")
    }
    return value
  }

  /// Sums and products of what tables hold stay exact, and become whole numbers, far beyond this.
  private static let largestNumber = 1e9

  private static let powersOf10: [Double] = [
    1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
  ]

  /// Digits, a point, digits, up to fifteen of them: then both parts of the quotient are exact, and it is the number
  /// nearest to the text.
  private mutating func plainDecimal() -> Double? {
    let start = index
    var digits = 0
    var decimals = -1
    while index < bytes.count {
      let byte = bytes[index]
      if TableScanner.isDigit(byte) {
        digits = digits &* 10 &+ Int(byte &- 48)
        if decimals >= 0 { decimals += 1 }
      } else if byte == UInt8(ascii: "."), decimals < 0, index > start {
        decimals = 0
      } else {
        break
      }
      index += 1
    }
    guard decimals > 0, index - start <= 16, peek.map({ ",\r\n".utf8.contains($0) }) ?? true else { return nil }
    return Double(digits) / TableScanner.powersOf10[decimals]
  }

  private mutating func anyDecimal() -> Double? {
    let start = index
    while index < bytes.count, !",\r\n".utf8.contains(bytes[index]), index - start < 40 { index += 1 }
    let text = String(decoding: bytes[start..<index], as: UTF8.self)
    guard text.allSatisfy({ $0.isNumber || ".eE-+".contains($0) }) else { return nil }
    return Double(text)
  }

  /// An expansion ratio, or `None` where the block type has none.
  mutating func expansion(among choices: [Double]) throws(TableError) -> Double? {
    let start = index
    while index < bytes.count, !",_\n".utf8.contains(bytes[index]), index - start < 16 { index += 1 }
    let text = String(decoding: bytes[start..<index], as: UTF8.self)
    let value = text.first?.isNumber == true ? Double(text) : nil
    if choices.isEmpty, text == "None" { return nil }
    guard let value, choices.contains(value) else {
      index = start
      let right = choices.isEmpty ? "None" : "one of \(choices.map { "\($0)" }.joined(separator: " "))"
      throw error("\"\(text)\" is no expansion of this block type; \(right) is right here")
    }
    return value
  }
}
