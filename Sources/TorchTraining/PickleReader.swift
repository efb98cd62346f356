/// Reads the part of Python's pickle format (protocol 2) of which files of tensors are made, as data.
struct PickleReader {
  private let bytes: [UInt8]
  private var position = 0
  /// Values are references to Python objects; a dictionary that is on the stack and in the memo is the same one.
  ///
  /// What was put into another value does not change any more: so a value is shared, and never copied, however often a
  /// file puts it somewhere.
  private final class Box {
    var value: PickleValue
    /// How many values lie within one another here.
    var depth: Int
    var isPlaced = false
    init(_ value: PickleValue, depth: Int) {
      self.value = value
      self.depth = depth
    }
  }
  private var stack: [Box] = []
  private var marks: [Int] = []
  private var memo: [Int: Box] = [:]

  /// More than any file of tensors needs; a hostile one asks for more.
  private static let mostValues = 4_000_000
  private var values = 0
  /// A dictionary of tensors has its tuples of sizes four deep, and notes of module versions as deep. What lies deeper
  /// could not be taken apart again without as deep a recursion.
  private static let mostDepth = 32

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  var isAtEnd: Bool { position == bytes.count }

  func error(_ message: String) -> TorchError { TorchError("at byte \(position): \(message)") }

  /// The next pickle's value.
  mutating func value() throws(TorchError) -> PickleValue {
    (stack, marks, memo) = ([], [], [:])
    while true {
      let code = try byte()
      if code == UInt8(ascii: ".") {
        guard stack.count == 1, marks.isEmpty else { throw error("a pickle ends in the middle of a value") }
        return stack[0].value
      }
      values += 1
      guard values < Self.mostValues else { throw error("there are more values than a file of tensors has") }
      try step(code)
    }
  }

  /// The element count and elements of the next storage.
  mutating func storage(_ kind: PickleValue.StorageKind) throws(TorchError) -> StoredTensor.Elements {
    let count = Int(truncatingIfNeeded: try unsigned(8))
    let size = kind == .float32 ? 4 : 8
    guard count >= 0, count <= (bytes.count - position) / size else {
      throw error("the file is cut off: a storage of \(count) elements does not fit into what is left of it")
    }
    let start = position
    position += count * size
    func word(_ index: Int) -> UInt64 {
      (0..<size).reduce(0) { $0 | UInt64(bytes[start + index * size + $1]) << (8 * $1) }
    }
    switch kind {
    case .float32: return .float32((0..<count).map { Float(bitPattern: UInt32(word($0))) })
    case .int64: return .int64((0..<count).map { Int64(bitPattern: word($0)) })
    }
  }

  // MARK: Operations

  private mutating func step(_ code: UInt8) throws(TorchError) {
    switch code {
    case 0x80:
      guard try byte() == 2 else { throw error("its pickle protocol is not 2") }
    case UInt8(ascii: "}"): push(.dictionary([]))
    case UInt8(ascii: "]"): push(.list([]))
    case UInt8(ascii: ")"): push(.tuple([]))
    case UInt8(ascii: "N"): push(.none)
    case 0x88: push(.boolean(true))
    case 0x89: push(.boolean(false))
    case UInt8(ascii: "("): marks.append(stack.count)
    case UInt8(ascii: "K"): push(.integer(Int(try byte())))
    case UInt8(ascii: "M"): push(.integer(Int(try unsigned(2))))
    case UInt8(ascii: "J"): push(.integer(Int(Int32(bitPattern: UInt32(try unsigned(4))))))
    case 0x8a: push(try long())
    case UInt8(ascii: "X"): push(.text(try text(Int(try unsigned(4)))))
    case UInt8(ascii: "q"): try remember(Int(try byte()))
    case UInt8(ascii: "r"): try remember(Int(try unsigned(4)))
    case UInt8(ascii: "h"): try recall(Int(try byte()))
    case UInt8(ascii: "j"): try recall(Int(try unsigned(4)))
    case UInt8(ascii: "t"): try pushTuple(try popToMark())
    case 0x85: try pushTuple([try pop()])
    case 0x86:
      let second = try pop()
      let first = try pop()
      try pushTuple([first, second])
    case UInt8(ascii: "c"):
      let module = try line()
      push(try named(module: module, name: try line()))
    case UInt8(ascii: "Q"):
      let identity = try pop()
      push(try storageRecord(identity.value))
    case UInt8(ascii: "R"):
      let arguments = try pop()
      let function = try pop()
      push(try record(function.value, arguments.value))
    case UInt8(ascii: "s"):
      let value = try pop()
      let key = try pop()
      try insert([key, value])
    case UInt8(ascii: "u"):
      let items = try popToMark()
      try insert(items)
    case UInt8(ascii: "e"):
      let items = try popToMark()
      guard let box = stack.last, case .list(var list) = box.value else { throw error("items are added to no list") }
      try place(items, in: box)
      // One owner while it grows, or every item would copy all before it.
      box.value = .none
      list.append(contentsOf: items.lazy.map(\.value))
      box.value = .list(list)
    case UInt8(ascii: "b"):
      // The state of an ordered dictionary: torch's note of module versions, which nothing here needs.
      guard case .dictionary = try pop().value, case .dictionary? = stack.last?.value else {
        throw error("a state is given to something other than a dictionary")
      }
    default:
      let hex = String(code, radix: 16)
      throw error("operation 0x\(hex) of the pickle is none that a dictionary of tensors needs, and is refused")
    }
  }

  private func named(module: String, name: String) throws(TorchError) -> PickleValue {
    switch "\(module) \(name)" {
    case "collections OrderedDict": .orderedDictionaryType
    case "torch._utils _rebuild_tensor_v2": .tensorRebuilder
    case "torch FloatStorage": .storageType(.float32)
    case "torch LongStorage": .storageType(.int64)
    default: throw error("the file names \(module).\(name), which is no tensor of float32 or int64, and is refused")
    }
  }

  /// `("storage", type, key, place, count, view)`.
  private func storageRecord(_ value: PickleValue) throws(TorchError) -> PickleValue {
    guard case .tuple(let parts) = value, parts.count == 6, parts[0] == .text("storage"),
      case .storageType(let kind) = parts[1], case .text(let key) = parts[2], case .none = parts[5]
    else { throw error("a persistent object is no storage of a tensor") }
    return .storage(key, kind)
  }

  /// What a call of one of the known names stands for.
  private func record(_ function: PickleValue, _ arguments: PickleValue) throws(TorchError) -> PickleValue {
    guard case .tuple(let arguments) = arguments else { throw error("a call has no list of arguments") }
    switch function {
    case .orderedDictionaryType:
      guard arguments.isEmpty else { throw error("an ordered dictionary is made of something") }
      return .dictionary([])
    case .tensorRebuilder:
      guard arguments.count >= 4, case .storage(let key, let kind) = arguments[0],
        case .integer(let offset) = arguments[1], let shape = integers(arguments[2]),
        let strides = integers(arguments[3])
      else { throw error("a tensor's record is not complete") }
      return .tensor(.init(storage: key, kind: kind, offset: offset, shape: shape, strides: strides))
    default: throw error("something that is no known record is called, and is refused")
    }
  }

  private func integers(_ value: PickleValue) -> [Int]? {
    guard case .tuple(let items) = value else { return nil }
    let integers = items.compactMap { item in if case .integer(let number) = item { number } else { nil } }
    return integers.count == items.count ? integers : nil
  }

  private func insert(_ items: [Box]) throws(TorchError) {
    guard let box = stack.last, case .dictionary(var entries) = box.value, items.count.isMultiple(of: 2) else {
      throw error("entries are set in no dictionary")
    }
    try place(items, in: box)
    // One owner while it grows, or every entry would copy all before it.
    box.value = .none
    for index in stride(from: 0, to: items.count, by: 2) {
      entries.append((items[index].value, items[index + 1].value))
    }
    box.value = .dictionary(entries)
  }

  /// Notes that values are put into a list or dictionary, which must not be part of another value yet.
  private func place(_ items: [Box], in box: Box) throws(TorchError) {
    guard !box.isPlaced else { throw error("a list or dictionary changes after it was put into another value") }
    for item in items {
      guard item !== box else { throw error("a value is put into itself") }
      item.isPlaced = true
      box.depth = max(box.depth, item.depth + 1)
    }
    guard box.depth <= Self.mostDepth else { throw tooDeep }
  }

  private var tooDeep: TorchError { error("values lie within one another more than \(Self.mostDepth) deep") }

  // MARK: Stack and memo

  private mutating func push(_ value: PickleValue) { stack.append(Box(value, depth: 1)) }

  private mutating func pushTuple(_ items: [Box]) throws(TorchError) {
    let depth = 1 + (items.lazy.map(\.depth).max() ?? 0)
    guard depth <= Self.mostDepth else { throw tooDeep }
    for item in items { item.isPlaced = true }
    stack.append(Box(.tuple(items.map(\.value)), depth: depth))
  }

  private mutating func pop() throws(TorchError) -> Box {
    guard stack.count > (marks.last ?? 0), let box = stack.popLast() else { throw error("a value is missing") }
    return box
  }

  private mutating func popToMark() throws(TorchError) -> [Box] {
    guard let mark = marks.popLast(), mark <= stack.count else { throw error("a mark is missing") }
    defer { stack.removeLast(stack.count - mark) }
    return Array(stack[mark...])
  }

  private mutating func remember(_ index: Int) throws(TorchError) {
    guard let box = stack.last else { throw error("nothing is there to be remembered") }
    memo[index] = box
  }

  private mutating func recall(_ index: Int) throws(TorchError) {
    guard let box = memo[index] else { throw error("value \(index) was never remembered") }
    stack.append(box)
  }

  // MARK: Bytes

  private mutating func byte() throws(TorchError) -> UInt8 {
    guard position < bytes.count else { throw error("the file is cut off") }
    defer { position += 1 }
    return bytes[position]
  }

  private mutating func unsigned(_ count: Int) throws(TorchError) -> UInt64 {
    var value: UInt64 = 0
    for index in 0..<count { value |= UInt64(try byte()) << (8 * index) }
    return value
  }

  private mutating func long() throws(TorchError) -> PickleValue {
    let count = Int(try byte())
    guard count <= bytes.count - position else { throw error("the file is cut off") }
    defer { position += count }
    return .bigInteger(Array(bytes[position..<position + count]))
  }

  private mutating func text(_ count: Int) throws(TorchError) -> String {
    guard count <= 65_536, count <= bytes.count - position else { throw error("a text of \(count) bytes is too long") }
    defer { position += count }
    return String(decoding: bytes[position..<position + count], as: UTF8.self)
  }

  private mutating func line() throws(TorchError) -> String {
    guard let end = bytes[position...].prefix(256).firstIndex(of: UInt8(ascii: "\n")) else {
      throw error("a name has no end")
    }
    defer { position = end + 1 }
    return String(decoding: bytes[position..<end], as: UTF8.self)
  }
}
