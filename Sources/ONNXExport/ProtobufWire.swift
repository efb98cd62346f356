/// Writes the wire format of protocol buffers, the container of ONNX files.
///
/// Written by hand, because the part that is needed fits on a page: with swift-protobuf a clone's first test run also
/// compiles the whole of protoc, which takes longer than the rest of the build.
/// Source: protobuf.dev, "Encoding".
struct ProtobufWriter {
  private(set) var bytes: [UInt8] = []

  mutating func field(_ number: Int, _ value: Int) {
    key(number, .varint)
    varint(UInt64(bitPattern: Int64(value)))
  }

  mutating func field(_ number: Int, _ value: Float) {
    key(number, .fixed32)
    let word = value.bitPattern
    for shift in stride(from: 0, to: 32, by: 8) { bytes.append(UInt8(truncatingIfNeeded: word >> UInt32(shift))) }
  }

  mutating func field(_ number: Int, _ value: String) { field(number, Array(value.utf8)) }

  mutating func field(_ number: Int, _ value: [UInt8]) {
    key(number, .delimited)
    varint(UInt64(value.count))
    bytes += value
  }

  /// A message inside this one.
  mutating func field(_ number: Int, _ message: (inout ProtobufWriter) -> Void) {
    var writer = ProtobufWriter()
    message(&writer)
    field(number, writer.bytes)
  }

  private mutating func key(_ number: Int, _ type: WireType) { varint(UInt64(number << 3 | type.rawValue)) }

  private mutating func varint(_ value: UInt64) {
    var rest = value
    while rest >= 0x80 {
      bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    bytes.append(UInt8(rest))
  }
}

/// How a field's value is laid out.
private enum WireType: Int {
  case varint = 0
  case fixed64 = 1
  case delimited = 2
  case fixed32 = 5
}

/// Reads the fields of one message in the order in which they stand. Hostile bytes are an error, never a trap.
struct ProtobufReader {
  enum Value {
    case number(UInt64)
    /// A string, bytes or a message.
    case bytes(ArraySlice<UInt8>)
  }

  private var rest: ArraySlice<UInt8>

  init(_ bytes: ArraySlice<UInt8>) { rest = bytes }

  /// The next field, or `nil` at the message's end.
  ///
  /// - Throws: `ONNXExportError` where the bytes are no message.
  mutating func next() throws(ONNXExportError) -> (number: Int, value: Value)? {
    guard !rest.isEmpty else { return nil }
    let key = try varint()
    let number = Int(truncatingIfNeeded: key >> 3)
    guard number > 0, number < 1 << 29, let type = WireType(rawValue: Int(key & 7)) else {
      throw ProtobufReader.malformed
    }
    switch type {
    case .varint: return (number, .number(try varint()))
    case .fixed64: return (number, .number(try fixed(8)))
    case .fixed32: return (number, .number(try fixed(4)))
    case .delimited:
      let count = try varint()
      guard count <= UInt64(rest.count) else { throw ProtobufReader.malformed }
      return (number, .bytes(try take(Int(count))))
    }
  }

  private static let malformed = ONNXExportError("the bytes are no protocol buffer message")

  private mutating func take(_ count: Int) throws(ONNXExportError) -> ArraySlice<UInt8> {
    guard count <= rest.count else { throw ProtobufReader.malformed }
    defer { rest = rest.dropFirst(count) }
    return rest.prefix(count)
  }

  private mutating func fixed(_ count: Int) throws(ONNXExportError) -> UInt64 {
    try take(count).reversed().reduce(0) { $0 << 8 | UInt64($1) }
  }

  private mutating func varint() throws(ONNXExportError) -> UInt64 {
    var value: UInt64 = 0
    for shift in stride(from: UInt64(0), to: 70, by: 7) {
      guard let byte = rest.popFirst() else { break }
      value |= UInt64(byte & 0x7f) << shift
      if byte < 0x80 { return value }
    }
    throw ProtobufReader.malformed
  }
}
