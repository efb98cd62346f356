internal import CTorch

/// Another process of a job has ended, or cannot be reached.
public struct ProcessGroupError: Error, Hashable, CustomStringConvertible {
  /// In libtorch's words or ours.
  public let message: String

  public init(_ message: String) { self.message = message }

  public var description: String { message }
}

private func reached(_ status: Int32) throws(ProcessGroupError) {
  do throws(TorchError) { try check(status) } catch { throw ProcessGroupError(error.message) }
}

/// Where the processes of a job find each other: names with bytes, kept by one of them, which serves.
///
/// Nothing here waits but the connecting, so that a process can look for signals while it waits for a key.
public final class ProcessStore {
  let handle: OpaquePointer

  /// Serves a store, or connects to one.
  ///
  /// - Parameters:
  ///   - serves: Whether this process keeps the store; one of all does.
  ///   - prefix: Tells the keys of one job, or of one attempt at it, from those of another.
  ///   - timeoutSeconds: For connecting.
  public init(
    host: String, port: Int, serves: Bool, prefix: String = "spaceevo", timeoutSeconds: Double
  ) throws(ProcessGroupError) {
    var handle: OpaquePointer?
    try reached(ct_store_open(host, Int32(clamping: port), serves ? 1 : 0, prefix, timeoutSeconds, &handle))
    guard let handle else { throw ProcessGroupError("libtorch handed over no store") }
    self.handle = handle
  }

  deinit { ct_store_close(handle) }

  public func set(_ key: String, _ text: String) throws(ProcessGroupError) {
    let bytes = Array(text.utf8)
    try reached(ct_store_set(handle, key, bytes, Int64(bytes.count)))
  }

  /// The text of a key; `nil` where nobody has set it yet.
  ///
  /// Throws if the process that serves is gone.
  public func text(_ key: String) throws(ProcessGroupError) -> String? {
    var there: Int32 = 0
    try reached(ct_store_has(handle, key, &there))
    guard there != 0 else { return nil }
    var count: Int64 = 0
    try reached(ct_store_length(handle, key, &count))
    var bytes = [UInt8](repeating: 0, count: Int(count))
    try reached(ct_store_get(handle, key, &bytes, count))
    return String(decoding: bytes, as: UTF8.self)
  }
}

/// Processes that train together: each computes a part, and sums give all of them the same numbers.
///
/// Every process calls the same collectives in the same order, from one thread. One that is gone makes them throw, as does
/// one that keeps the others waiting for longer than the timeout. On CPUs, by gloo.
public final class ProcessGroup {
  /// From 0; the process of rank 0 writes the run folder.
  public let rank: Int
  /// How many processes there are.
  public let size: Int
  private let store: ProcessStore
  private let handle: OpaquePointer

  /// - Parameters:
  ///   - address: Of this machine, as the others reach it; `nil` for the one of its host name, or of the network interface
  ///     that the environment variable `GLOO_SOCKET_IFNAME` names.
  ///   - timeoutSeconds: For one collective.
  public init(
    _ store: ProcessStore, rank: Int, size: Int, address: String? = nil, timeoutSeconds: Double = 1_800
  ) throws(ProcessGroupError) {
    var handle: OpaquePointer?
    let status = withOptionalCString(address) {
      ct_group_join(store.handle, Int32(clamping: rank), Int32(clamping: size), $0, timeoutSeconds, &handle)
    }
    try reached(status)
    guard let handle else { throw ProcessGroupError("libtorch handed over no process group") }
    self.handle = handle
    self.store = store
    self.rank = rank
    self.size = size
  }

  deinit { ct_group_leave(handle) }

  /// Adds up tensors over all processes, in place; `nil` is skipped, and must be `nil` in all of them.
  ///
  /// The order of the additions depends on the number of processes only, and all get the same bits.
  public func sum(_ tensors: [Tensor?]) throws(ProcessGroupError) {
    let status = ct_group_sum(handle, tensors.map { $0?.handle }, Int32(tensors.count))
    withExtendedLifetime(tensors) {}
    try reached(status)
  }

  public func sum(_ values: [Double]) throws(ProcessGroupError) -> [Double] {
    var values = values
    try reached(ct_group_sum_doubles(handle, &values, Int64(values.count)))
    return values
  }

  /// Replaces elements by those of rank 0.
  public func broadcast(_ tensors: [Tensor]) throws(ProcessGroupError) {
    let status = ct_group_broadcast(handle, tensors.map { Optional($0.handle) }, Int32(tensors.count))
    withExtendedLifetime(tensors) {}
    try reached(status)
  }

  /// Rank 0's text, in every process.
  ///
  /// - Parameter text: Looked at in the process of rank 0 only.
  public func broadcast(_ text: @autoclosure () throws -> String) throws -> String {
    var bytes = rank == 0 ? Array(try text().utf8) : []
    let count = try sum([Double(bytes.count)])[0]
    if rank != 0 { bytes = [UInt8](repeating: 0, count: Int(count)) }
    try reached(ct_group_broadcast_bytes(handle, &bytes, Int64(bytes.count)))
    return String(decoding: bytes, as: UTF8.self)
  }
}

private func withOptionalCString<Result>(_ text: String?, _ body: (UnsafePointer<CChar>?) -> Result) -> Result {
  guard let text else { return body(nil) }
  return text.withCString { body($0) }
}
