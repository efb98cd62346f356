public import Foundation
internal import InputFiles

/// The tensors of a file that `torch.save` wrote before version 1.6: what is left of many published weights.
///
/// Such a file is five pickles (a magic number, a protocol, facts of the machine, a dictionary of tensors, the keys of
/// their storages), and then for each storage its element count and raw little-endian elements. A pickle is a program;
/// here it is read as data. Only the operations that build dictionaries, tuples, texts and numbers are known, and a call
/// is one of three records that a dictionary of tensors needs: anything else ends the reading with an error, and nothing
/// is ever executed.
public struct LegacyTorchFile: Hashable, Sendable {
  /// float32 and int64 tensors, row-major whatever their order in the file.
  public let tensors: [String: StoredTensor]

  /// How many times over the tensors of a file may use its elements.
  private static let mostSharing = 4

  /// Files larger than this are refused.
  public static let mostBytes = 1 << 30

  /// - Throws: `TorchError` that names the file and the position of what is wrong.
  public init(contentsOf url: URL) throws(TorchError) {
    let path = url.path(percentEncoded: false)
    let data: Data
    do { data = try InputFile.bytes(of: path, atMost: Self.mostBytes) } catch {
      throw TorchError("\(path): cannot read the file: \(error)")
    }
    do throws(TorchError) { try self.init(data) } catch {
      throw TorchError("\(path): \(error.message)")
    }
  }

  public init(_ data: Data) throws(TorchError) {
    guard data.count <= Self.mostBytes else {
      throw TorchError("it has \(data.count) bytes; files of up to \(Self.mostBytes) are read")
    }
    var reader = PickleReader([UInt8](data))
    guard case .bigInteger(Self.magic) = try reader.value(), case .integer(1001) = try reader.value(),
      case .dictionary(let machine) = try reader.value()
    else {
      throw TorchError("it is no file that torch.save wrote before version 1.6: the magic numbers differ")
    }
    for (key, value) in machine where key == .text("little_endian") {
      guard value == .boolean(true) else { throw TorchError("it was written by a big-endian machine") }
    }
    guard case .dictionary(let entries) = try reader.value() else {
      throw TorchError("it holds something other than a dictionary of tensors")
    }
    guard case .list(let keys) = try reader.value() else { throw reader.error("the list of storages is missing") }
    var storages: [String: StoredTensor.Elements] = [:]
    let kinds = Self.storageKinds(entries)
    for key in keys {
      guard case .text(let name) = key, let kind = kinds[name] else {
        throw reader.error("a storage is listed that no tensor uses")
      }
      guard storages[name] == nil else { throw reader.error("a storage is listed twice") }
      storages[name] = try reader.storage(kind)
    }
    guard reader.isAtEnd else { throw reader.error("the file goes on after its last storage") }
    var tensors: [String: StoredTensor] = [:]
    // Tensors may share a storage, as tied weights do; many that share a large one would fill the memory.
    var room = Self.mostSharing * data.count
    for (key, value) in entries {
      guard case .text(let name) = key, case .tensor(let tensor) = value else {
        throw TorchError("it holds something other than tensors under their names")
      }
      room -= 4 * (StoredTensor.product(tensor.shape).map { min($0, data.count) } ?? 0)
      guard room >= 0 else {
        throw TorchError(
          "\(name): its tensors together have more than \(Self.mostSharing) times the elements of the file")
      }
      tensors[name] = try Self.gather(tensor, from: storages[tensor.storage], name: name)
    }
    self.tensors = tensors
  }

  /// 0x1950a86a20f9469cfc6c, little-endian.
  private static let magic: [UInt8] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19]

  private static func storageKinds(_ entries: [(PickleValue, PickleValue)]) -> [String: PickleValue.StorageKind] {
    var kinds: [String: PickleValue.StorageKind] = [:]
    for (_, value) in entries { if case .tensor(let tensor) = value { kinds[tensor.storage] = tensor.kind } }
    return kinds
  }

  /// Walks a storage by the tensor's strides.
  private static func gather(
    _ tensor: PickleValue.TensorRecord, from storage: StoredTensor.Elements?, name: String
  ) throws(TorchError) -> StoredTensor {
    guard let storage else { throw TorchError("\(name): its storage is not in the file") }
    guard tensor.shape.count == tensor.strides.count, tensor.shape.count <= 8,
      tensor.shape.allSatisfy({ (0...(1 << 28)).contains($0) }),
      tensor.strides.allSatisfy({ (0...(1 << 28)).contains($0) }),
      let count = StoredTensor.product(tensor.shape), count <= storage.count, tensor.offset >= 0
    else {
      throw TorchError("\(name): shape \(tensor.shape) with strides \(tensor.strides) is no tensor of its storage")
    }
    let furthest = zip(tensor.shape, tensor.strides).reduce(tensor.offset) { $0 + max(0, $1.0 - 1) * $1.1 }
    guard count == 0 || furthest < storage.count else { throw TorchError("\(name): it reaches beyond its storage") }
    var places: [Int] = count == 0 ? [] : [tensor.offset]
    for (size, stride) in zip(tensor.shape, tensor.strides) where count > 0 {
      places = places.flatMap { place in (0..<size).map { place + $0 * stride } }
    }
    let elements: StoredTensor.Elements
    switch storage {
    case .float32(let values): elements = .float32(places.map { values[$0] })
    case .int64(let values): elements = .int64(places.map { values[$0] })
    default: throw TorchError("\(name): its elements are neither float32 nor int64")
    }
    do { return try StoredTensor(shape: tensor.shape, elements: elements) } catch {
      throw TorchError("\(name): \(error)")
    }
  }
}

/// What a pickle of tensors is made of.
enum PickleValue: Equatable {
  enum StorageKind: Equatable { case float32, int64 }

  struct TensorRecord: Equatable {
    var storage: String
    var kind: StorageKind
    var offset: Int
    var shape: [Int]
    var strides: [Int]
  }

  case none
  case boolean(Bool)
  case integer(Int)
  /// Little-endian bytes of an integer that no `Int` holds.
  case bigInteger([UInt8])
  case text(String)
  case tuple([PickleValue])
  case list([PickleValue])
  case dictionary([(PickleValue, PickleValue)])
  /// One of the names that may be called, and never is.
  case orderedDictionaryType, tensorRebuilder
  case storageType(StorageKind)
  case storage(String, StorageKind)
  case tensor(TensorRecord)

  static func == (a: PickleValue, b: PickleValue) -> Bool {
    switch (a, b) {
    case (.text(let a), .text(let b)): a == b
    case (.boolean(let a), .boolean(let b)): a == b
    case (.integer(let a), .integer(let b)): a == b
    default: false
    }
  }
}
