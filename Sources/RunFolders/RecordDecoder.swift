internal import Foundation

/// Decodes lines of JSON as this program writes them, in a fraction of the time that `JSONDecoder` takes.
///
/// It knows objects, arrays, numbers, true, false, null, and strings without escapes. Whatever else it meets, and whatever
/// a type refuses, it throws `Unknown`: the line is then decoded by `JSONDecoder`, whose word is the last.
struct RecordDecoder {
  /// Something that is left to `JSONDecoder`.
  struct Unknown: Error {}

  private let text: JSONText

  /// - Throws: `Unknown` where the line is not one object of the known kind.
  init(_ line: ArraySlice<UInt8>) throws(Unknown) {
    var parser = JSONParser(line)
    text = try parser.text()
  }

  func decode<Record: Decodable>(_: Record.Type) throws -> Record { try Record(from: NodeDecoder(text: text, node: 0)) }
}

/// A line of JSON and the values in it, in the order of the text; the children of a value follow it.
private final class JSONText {
  typealias Node = JSONParser.Node
  let bytes: [UInt8]
  let nodes: [Node]

  init(bytes: [UInt8], nodes: [Node]) { (self.bytes, self.nodes) = (bytes, nodes) }

  func string(_ node: Int) -> String { String(decoding: bytes[nodes[node].start..<nodes[node].end], as: UTF8.self) }
}

/// Finds the values of a line.
private struct JSONParser {
  enum Kind { case object, array, string, number, yes, no, null }

  struct Node {
    var kind: Kind
    /// Of a string without its quotes, or of any other value's text.
    var start: Int
    var end = 0
    /// The first node behind this one and its children.
    var next = 0
  }

  private let bytes: [UInt8]
  private var nodes: [Node] = []
  private var position = 0

  /// Deeper than any record.
  private static let deepest = 32

  init(_ line: ArraySlice<UInt8>) {
    // A zero at the end: it ends every number, and is no part of any value.
    bytes = Array(unsafeUninitializedCapacity: line.count + 1) { buffer, count in
      _ = buffer.initialize(fromContentsOf: line)
      buffer.initializeElement(at: line.count, to: 0)
      count = line.count + 1
    }
    nodes.reserveCapacity(40)
  }

  mutating func text() throws(RecordDecoder.Unknown) -> JSONText {
    try value(depth: 0)
    guard position == bytes.count - 1, nodes[0].kind == .object else { throw .init() }
    return JSONText(bytes: bytes, nodes: nodes)
  }

  private mutating func value(depth: Int) throws(RecordDecoder.Unknown) {
    let index = nodes.count
    switch bytes[position] {
    case UInt8(ascii: "{"):
      nodes.append(Node(kind: .object, start: position))
      try members(depth: depth, end: UInt8(ascii: "}"), hasKeys: true)
    case UInt8(ascii: "["):
      nodes.append(Node(kind: .array, start: position))
      try members(depth: depth, end: UInt8(ascii: "]"), hasKeys: false)
    case UInt8(ascii: "\""): return try quoted()
    case UInt8(ascii: "t"): try word("true", .yes)
    case UInt8(ascii: "f"): try word("false", .no)
    case UInt8(ascii: "n"): try word("null", .null)
    default: try number()
    }
    nodes[index].end = position
    nodes[index].next = nodes.count
  }

  private mutating func members(depth: Int, end: UInt8, hasKeys: Bool) throws(RecordDecoder.Unknown) {
    guard depth < Self.deepest else { throw .init() }
    position += 1
    if bytes[position] == end {
      position += 1
      return
    }
    while true {
      if hasKeys {
        guard bytes[position] == UInt8(ascii: "\"") else { throw .init() }
        try quoted()
        guard bytes[position] == UInt8(ascii: ":") else { throw .init() }
        position += 1
      }
      try value(depth: depth + 1)
      let byte = bytes[position]
      position += 1
      if byte == end { return }
      guard byte == UInt8(ascii: ",") else { throw .init() }
    }
  }

  /// A string; one with an escape, a control character or a byte beyond ASCII is left to others.
  private mutating func quoted() throws(RecordDecoder.Unknown) {
    position += 1
    let start = position
    while bytes[position] != UInt8(ascii: "\"") {
      let byte = bytes[position]
      guard byte >= 0x20, byte < 0x80, byte != UInt8(ascii: "\\") else { throw .init() }
      position += 1
    }
    nodes.append(Node(kind: .string, start: start, end: position, next: nodes.count + 1))
    position += 1
  }

  private mutating func word(_ word: StaticString, _ kind: Kind) throws(RecordDecoder.Unknown) {
    nodes.append(Node(kind: kind, start: position))
    for offset in 0..<word.utf8CodeUnitCount {
      guard bytes[position] == word.utf8Start[offset] else { throw .init() }
      position += 1
    }
  }

  private mutating func number() throws(RecordDecoder.Unknown) {
    nodes.append(Node(kind: .number, start: position))
    func digits(_ bytes: [UInt8], _ position: inout Int) throws(RecordDecoder.Unknown) {
      let first = position
      while bytes[position] &- UInt8(ascii: "0") < 10 { position += 1 }
      if position == first { throw .init() }
    }
    if bytes[position] == UInt8(ascii: "-") { position += 1 }
    let leading = position
    try digits(bytes, &position)
    if bytes[leading] == UInt8(ascii: "0"), position - leading > 1 { throw .init() }
    if bytes[position] == UInt8(ascii: ".") {
      position += 1
      try digits(bytes, &position)
    }
    if bytes[position] | 0x20 == UInt8(ascii: "e") {
      position += 1
      if bytes[position] == UInt8(ascii: "+") || bytes[position] == UInt8(ascii: "-") { position += 1 }
      try digits(bytes, &position)
    }
  }
}

/// One value of a line, as `Decodable` asks for it.
private struct NodeDecoder: Decoder, SingleValueDecodingContainer {
  let text: JSONText
  let node: Int

  var codingPath: [any CodingKey] { [] }
  var userInfo: [CodingUserInfoKey: Any] { [:] }

  private var kind: JSONParser.Kind { text.nodes[node].kind }

  func container<Key: CodingKey>(keyedBy _: Key.Type) throws -> KeyedDecodingContainer<Key> {
    guard kind == .object else { throw RecordDecoder.Unknown() }
    return KeyedDecodingContainer(Members(text: text, node: node))
  }

  func unkeyedContainer() throws -> any UnkeyedDecodingContainer {
    guard kind == .array else { throw RecordDecoder.Unknown() }
    return Elements(text: text, node: node)
  }

  func singleValueContainer() throws -> any SingleValueDecodingContainer { self }

  func decodeNil() -> Bool { kind == .null }

  func decode(_: Bool.Type) throws -> Bool {
    guard kind == .yes || kind == .no else { throw RecordDecoder.Unknown() }
    return kind == .yes
  }

  func decode(_: String.Type) throws -> String {
    guard kind == .string else { throw RecordDecoder.Unknown() }
    return text.string(node)
  }

  func decode(_: Double.Type) throws -> Double {
    let (start, end) = (text.nodes[node].start, text.nodes[node].end)
    guard kind == .number else { return try named() }
    let value = text.bytes.withUnsafeBufferPointer { bytes in
      bytes.baseAddress!.withMemoryRebound(to: CChar.self, capacity: bytes.count) { characters -> Double? in
        var last: UnsafeMutablePointer<CChar>?
        let value = strtod(characters + start, &last)
        return last == UnsafeMutablePointer(mutating: characters + end) ? value : nil
      }
    }
    guard let value, value.isFinite else { throw RecordDecoder.Unknown() }
    return value
  }

  /// Numbers for which JSON has no form.
  private func named<Value: BinaryFloatingPoint>() throws -> Value {
    guard kind == .string else { throw RecordDecoder.Unknown() }
    switch text.string(node) {
    case "inf": return .infinity
    case "-inf": return -.infinity
    case "nan": return .nan
    default: throw RecordDecoder.Unknown()
    }
  }

  // Twice rounded would not be rightly rounded.
  func decode(_: Float.Type) throws -> Float { try kind == .number ? { throw RecordDecoder.Unknown() }() : named() }

  private func integer<Value: FixedWidthInteger>() throws -> Value {
    guard kind == .number else { throw RecordDecoder.Unknown() }
    var digits = text.bytes[text.nodes[node].start..<text.nodes[node].end]
    // Nine digits fit into every sum below; longer ones are rare.
    guard digits.count <= 9, digits.first != UInt8(ascii: "-") else {
      guard let value = Value(text.string(node)) else { throw RecordDecoder.Unknown() }
      return value
    }
    var sum: Int32 = 0
    while let byte = digits.popFirst() {
      guard byte &- UInt8(ascii: "0") < 10 else { throw RecordDecoder.Unknown() }
      sum = sum * 10 + Int32(byte - UInt8(ascii: "0"))
    }
    guard let value = Value(exactly: sum) else { throw RecordDecoder.Unknown() }
    return value
  }

  func decode(_: Int.Type) throws -> Int { try integer() }
  func decode(_: Int8.Type) throws -> Int8 { try integer() }
  func decode(_: Int16.Type) throws -> Int16 { try integer() }
  func decode(_: Int32.Type) throws -> Int32 { try integer() }
  func decode(_: Int64.Type) throws -> Int64 { try integer() }
  func decode(_: UInt.Type) throws -> UInt { try integer() }
  func decode(_: UInt8.Type) throws -> UInt8 { try integer() }
  func decode(_: UInt16.Type) throws -> UInt16 { try integer() }
  func decode(_: UInt32.Type) throws -> UInt32 { try integer() }
  func decode(_: UInt64.Type) throws -> UInt64 { try integer() }

  func decode<Value: Decodable>(_ type: Value.Type) throws -> Value {
    // What JSONDecoder reads in forms of its own.
    if type == Date.self || type == Data.self || type == URL.self || type == Decimal.self {
      throw RecordDecoder.Unknown()
    }
    return try Value(from: self)
  }
}

/// The members of an object.
private struct Members<Key: CodingKey>: KeyedDecodingContainerProtocol {
  let text: JSONText
  let node: Int

  var codingPath: [any CodingKey] { [] }

  var allKeys: [Key] {
    var keys: [Key] = []
    var key = node + 1
    while key < text.nodes[node].next {
      if let found = Key(stringValue: text.string(key)) { keys.append(found) }
      key = text.nodes[key + 1].next
    }
    return keys
  }

  /// The value of a key. Members are few: they are looked through.
  private func find(_ key: Key) -> NodeDecoder? {
    var name = key.stringValue
    return name.withUTF8 { name in
      var member = node + 1
      while member < text.nodes[node].next {
        let (start, end) = (text.nodes[member].start, text.nodes[member].end)
        if end - start == name.count, (0..<name.count).allSatisfy({ text.bytes[start + $0] == name[$0] }) {
          return NodeDecoder(text: text, node: member + 1)
        }
        member = text.nodes[member + 1].next
      }
      return nil
    }
  }

  private func value(_ key: Key) throws -> NodeDecoder {
    guard let value = find(key) else { throw RecordDecoder.Unknown() }
    return value
  }

  func contains(_ key: Key) -> Bool { find(key) != nil }
  func decodeNil(forKey key: Key) throws -> Bool { try value(key).decodeNil() }
  func decode(_ type: Bool.Type, forKey key: Key) throws -> Bool { try value(key).decode(type) }
  func decode(_ type: String.Type, forKey key: Key) throws -> String { try value(key).decode(type) }
  func decode(_ type: Double.Type, forKey key: Key) throws -> Double { try value(key).decode(type) }
  func decode(_ type: Int.Type, forKey key: Key) throws -> Int { try value(key).decode(type) }
  func decode<Value: Decodable>(_ type: Value.Type, forKey key: Key) throws -> Value { try value(key).decode(type) }

  func nestedContainer<Nested: CodingKey>(
    keyedBy type: Nested.Type, forKey key: Key
  ) throws -> KeyedDecodingContainer<Nested> { try value(key).container(keyedBy: type) }

  func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer {
    try value(key).unkeyedContainer()
  }

  func superDecoder() throws -> any Decoder { throw RecordDecoder.Unknown() }
  func superDecoder(forKey key: Key) throws -> any Decoder { try value(key) }
}

/// The elements of an array.
private struct Elements: UnkeyedDecodingContainer {
  private let text: JSONText
  private let end: Int
  private var node: Int
  private(set) var currentIndex = 0
  let count: Int?

  init(text: JSONText, node: Int) {
    self.text = text
    self.node = node + 1
    end = text.nodes[node].next
    var (count, element) = (0, node + 1)
    while element < end {
      count += 1
      element = text.nodes[element].next
    }
    self.count = count
  }

  var codingPath: [any CodingKey] { [] }
  var isAtEnd: Bool { node >= end }

  private mutating func next() throws -> NodeDecoder {
    guard !isAtEnd else { throw RecordDecoder.Unknown() }
    defer {
      node = text.nodes[node].next
      currentIndex += 1
    }
    return NodeDecoder(text: text, node: node)
  }

  mutating func decodeNil() throws -> Bool {
    guard !isAtEnd, text.nodes[node].kind == .null else { return false }
    _ = try next()
    return true
  }

  mutating func decode<Value: Decodable>(_ type: Value.Type) throws -> Value { try next().decode(type) }

  mutating func nestedContainer<Nested: CodingKey>(
    keyedBy type: Nested.Type
  ) throws -> KeyedDecodingContainer<Nested> { try next().container(keyedBy: type) }

  mutating func nestedUnkeyedContainer() throws -> any UnkeyedDecodingContainer { try next().unkeyedContainer() }
  mutating func superDecoder() throws -> any Decoder { try next() }
}

#if canImport(Glibc)
  private import Glibc
#else
  private import Darwin
#endif
