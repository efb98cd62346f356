public import Foundation
internal import InputFiles

/// A tensor as a file holds it: shape and row-major elements.
public struct StoredTensor: Hashable, Sendable {
  public enum Elements: Hashable, Sendable {
    case float32([Float])
    case int64([Int64])
    case int32([Int32])
    case int8([Int8])
    case uint8([UInt8])
  }

  public let shape: [Int]
  public let elements: Elements

  /// Throws if there are not as many elements as the shape says.
  public init(shape: [Int], elements: Elements) throws(SafetensorsError) {
    guard shape.allSatisfy({ $0 >= 0 }), StoredTensor.product(shape) == elements.count else {
      throw SafetensorsError(path: nil, "a tensor of shape \(shape) cannot have \(elements.count) elements")
    }
    self.shape = shape
    self.elements = elements
  }

  static func product(_ shape: [Int]) -> Int? {
    var product = 1
    for size in shape {
      let (next, overflow) = product.multipliedReportingOverflow(by: size)
      if overflow || size < 0 { return nil }
      product = next
    }
    return product
  }
}

extension StoredTensor.Elements {
  public var count: Int {
    switch self {
    case .float32(let values): values.count
    case .int64(let values): values.count
    case .int32(let values): values.count
    case .int8(let values): values.count
    case .uint8(let values): values.count
    }
  }

  var typeName: String {
    switch self {
    case .float32: "F32"
    case .int64: "I64"
    case .int32: "I32"
    case .int8: "I8"
    case .uint8: "U8"
    }
  }

  static let bytesPerElement = ["F32": 4, "I64": 8, "I32": 4, "I8": 1, "U8": 1]

  func append(to data: inout Data) {
    switch self {
    case .float32(let values): append(values.map(\.bitPattern.littleEndian), to: &data)
    case .int64(let values): append(values.map(\.littleEndian), to: &data)
    case .int32(let values): append(values.map(\.littleEndian), to: &data)
    case .int8(let values): append(values, to: &data)
    case .uint8(let values): append(values, to: &data)
    }
  }

  private func append<Element>(_ values: [Element], to data: inout Data) {
    values.withUnsafeBytes { data.append(contentsOf: $0) }
  }

  /// `bytes` must be a whole number of elements of the type.
  init?(typeName: String, bytes: Data) {
    switch typeName {
    case "F32": self = .float32(Self.read(UInt32.self, bytes).map { Float(bitPattern: $0.littleEndian) })
    case "I64": self = .int64(Self.read(Int64.self, bytes).map { $0.littleEndian })
    case "I32": self = .int32(Self.read(Int32.self, bytes).map { $0.littleEndian })
    case "I8": self = .int8(Self.read(Int8.self, bytes))
    case "U8": self = .uint8([UInt8](bytes))
    default: return nil
    }
  }

  private static func read<Element: FixedWidthInteger>(_ type: Element.Type, _ bytes: Data) -> [Element] {
    let count = bytes.count / MemoryLayout<Element>.size
    return [Element](unsafeUninitializedCapacity: count) { buffer, initialized in
      bytes.copyBytes(to: UnsafeMutableRawBufferPointer(buffer))
      initialized = count
    }
  }
}

/// A file of tensors that was not what it should be, or could not be written.
public struct SafetensorsError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The file, where there is one.
  public let path: String?
  public let message: String

  init(path: String?, _ message: String) {
    self.path = path
    self.message = message
  }

  public var description: String { path.map { "\($0): \(message)" } ?? message }
}

/// Named tensors in the safetensors format: 8 bytes of header length (little-endian), a JSON header, the elements.
///
/// The reader is strict: every byte after the header belongs to exactly one tensor, and sizes are checked before
/// anything is allocated for them. Types other than F32, I64, I32, I8 and U8 are refused.
public struct Safetensors: Hashable, Sendable {
  public var tensors: [String: StoredTensor]
  /// Free text by name, such as an epoch or a search space.
  public var metadata: [String: String]

  public init(tensors: [String: StoredTensor] = [:], metadata: [String: String] = [:]) {
    self.tensors = tensors
    self.metadata = metadata
  }

  private struct Header: Codable {
    struct Entry: Codable {
      let dtype: String
      let shape: [Int]
      let offsets: [Int]

      enum CodingKeys: String, CodingKey {
        case dtype, shape
        case offsets = "data_offsets"
      }
    }

    struct Key: CodingKey {
      let stringValue: String
      var intValue: Int? { nil }
      init(stringValue: String) { self.stringValue = stringValue }
      init?(intValue: Int) { nil }
    }

    static let metadataKey = Key(stringValue: "__metadata__")

    var metadata: [String: String] = [:]
    var entries: [String: Entry] = [:]

    init() {}

    init(from decoder: any Decoder) throws {
      let container = try decoder.container(keyedBy: Key.self)
      for key in container.allKeys {
        if key.stringValue == Self.metadataKey.stringValue {
          metadata = try container.decode([String: String].self, forKey: key)
        } else {
          entries[key.stringValue] = try container.decode(Entry.self, forKey: key)
        }
      }
    }

    func encode(to encoder: any Encoder) throws {
      var container = encoder.container(keyedBy: Key.self)
      if !metadata.isEmpty { try container.encode(metadata, forKey: Self.metadataKey) }
      for (name, entry) in entries { try container.encode(entry, forKey: Key(stringValue: name)) }
    }
  }

  // MARK: Reading

  /// Files larger than this are refused.
  public static let mostBytes = 16 << 30
  /// Headers larger than this are refused; one entry of a header takes about 100 bytes.
  private static let mostHeaderBytes: UInt64 = 16 << 20

  /// Reads a whole file.
  ///
  /// Throws a ``SafetensorsError`` that names the file and what is wrong in it.
  public init(contentsOf url: URL) throws(SafetensorsError) {
    let data: Data
    do { data = try InputFile.bytes(of: url, atMost: Self.mostBytes) } catch {
      throw SafetensorsError(path: url.path, "cannot be read: \(error)")
    }
    do throws(SafetensorsError) { try self.init(data) } catch {
      throw SafetensorsError(path: url.path, error.message)
    }
  }

  /// Reads the bytes of a file.
  public init(_ data: Data) throws(SafetensorsError) {
    let data = data.startIndex == 0 ? data : Data(data)
    func refusal(_ message: String) -> SafetensorsError { SafetensorsError(path: nil, message) }
    guard data.count >= 8 else {
      throw refusal("is truncated: \(data.count) bytes, where the length of the header alone takes 8")
    }
    let length = data.prefix(8).enumerated().reduce(UInt64(0)) { $0 | UInt64($1.element) << (8 * UInt64($1.offset)) }
    guard length <= Self.mostHeaderBytes else {
      throw refusal("is no safetensors file: it announces a header of \(length) bytes")
    }
    let start = 8 + Int(length)
    guard start <= data.count else {
      throw refusal("is truncated: the header should end at byte \(start), the file at \(data.count)")
    }
    let header: Header
    do { header = try JSONDecoder().decode(Header.self, from: data[8..<start]) } catch {
      throw refusal("has a header that is not the JSON of a safetensors file: \(error)")
    }
    let available = data.count - start
    var end = 0
    tensors = [:]
    metadata = header.metadata
    let inOrder = header.entries.sorted {
      ($0.value.offsets.first ?? 0, $0.value.offsets.last ?? 0, $0.key)
        < ($1.value.offsets.first ?? 0, $1.value.offsets.last ?? 0, $1.key)
    }
    for (name, entry) in inOrder {
      guard let width = StoredTensor.Elements.bytesPerElement[entry.dtype] else {
        throw refusal("tensor \(name) has type \(entry.dtype); F32, I64, I32, I8 and U8 can be read")
      }
      guard entry.offsets.count == 2, entry.offsets[0] >= 0, entry.offsets[0] <= entry.offsets[1]
      else {
        throw refusal("tensor \(name) has offsets \(entry.offsets), which are no range")
      }
      let range = entry.offsets[0]..<entry.offsets[1]
      guard let count = StoredTensor.product(entry.shape),
        count.multipliedReportingOverflow(by: width).overflow == false,
        count * width == range.count
      else {
        throw refusal("tensor \(name), \(entry.dtype) \(entry.shape), does not fill its \(range.count) bytes")
      }
      guard range.upperBound <= available else {
        throw refusal(
          "is truncated: tensor \(name) should end at byte \(range.upperBound) of the elements, and there are \(available)"
        )
      }
      guard range.lowerBound == end else {
        throw refusal(
          "tensor \(name) begins at offset \(range.lowerBound), where the one before ends at \(end):"
            + (range.lowerBound < end ? " two tensors overlap" : " there are bytes that no tensor owns"))
      }
      end = range.upperBound
      let bytes = data[start + range.lowerBound..<start + range.upperBound]
      guard let elements = StoredTensor.Elements(typeName: entry.dtype, bytes: bytes) else {
        throw refusal("tensor \(name) has type \(entry.dtype)")
      }
      tensors[name] = try StoredTensor(shape: entry.shape, elements: elements)
    }
    guard end == available else {
      throw refusal("has \(available - end) bytes after its last tensor")
    }
  }

  // MARK: Writing

  /// The bytes of a file: tensors in the order of their names, elements aligned to 8 bytes.
  public func encoded() throws(SafetensorsError) -> Data {
    var header = Header()
    header.metadata = metadata
    var offset = 0
    // Wide elements first, so that every tensor is aligned without padding between them.
    let names = tensors.keys.sorted()
    let ordered = [8, 4, 1].flatMap { width in
      names.filter { StoredTensor.Elements.bytesPerElement[tensors[$0]!.elements.typeName] == width }
    }
    for name in ordered {
      guard name != Header.metadataKey.stringValue, let tensor = tensors[name] else {
        throw SafetensorsError(path: nil, "no tensor can be called \(name)")
      }
      let size = tensor.elements.count * StoredTensor.Elements.bytesPerElement[tensor.elements.typeName]!
      header.entries[name] = Header.Entry(
        dtype: tensor.elements.typeName, shape: tensor.shape, offsets: [offset, offset + size])
      offset += size
    }
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    var json: Data
    do { json = try encoder.encode(header) } catch {
      throw SafetensorsError(path: nil, "the header cannot be written: \(error)")
    }
    while json.count % 8 != 0 { json.append(UInt8(ascii: " ")) }
    var data = Data(capacity: 8 + json.count + offset)
    withUnsafeBytes(of: UInt64(json.count).littleEndian) { data.append(contentsOf: $0) }
    data.append(json)
    for name in ordered { tensors[name]!.elements.append(to: &data) }
    return data
  }

  /// Writes a file whole or not at all: a temporary file beside it, flushed to the disk, then renamed.
  public func write(to url: URL) throws(SafetensorsError) {
    let data = try encoded()
    do { try writeAtomically(data, to: url.path) } catch {
      throw SafetensorsError(path: url.path, error.message)
    }
  }
}

/// Writes and flushes a temporary file in the same folder and renames it, so that a reader sees the old file or the new.
private func writeAtomically(_ data: Data, to path: String) throws(SafetensorsError) {
  func failure(_ action: String) -> SafetensorsError {
    SafetensorsError(path: nil, "cannot be \(action): \(String(cString: strerror(errno)))")
  }
  let temporary = "\(path).\(getpid()).partial"
  let file = open(temporary, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
  guard file >= 0 else { throw failure("created") }
  var isWritten = true
  data.withUnsafeBytes { bytes in
    var position = 0
    while position < bytes.count {
      let count = Foundation.write(file, bytes.baseAddress! + position, bytes.count - position)
      if count < 0 && errno == EINTR { continue }
      if count <= 0 {
        isWritten = false
        return
      }
      position += count
    }
  }
  guard isWritten, fsync(file) == 0 else {
    let error = failure("written")
    close(file)
    unlink(temporary)
    throw error
  }
  close(file)
  guard rename(temporary, path) == 0 else {
    let error = failure("put in its place")
    unlink(temporary)
    throw error
  }
  // The rename is durable once the folder is flushed too; a file system that cannot do that is no reason to fail.
  let folder = open(
    (path as NSString).deletingLastPathComponent.isEmpty
      ? "." : (path as NSString).deletingLastPathComponent, O_RDONLY)
  if folder >= 0 {
    fsync(folder)
    close(folder)
  }
}
