internal import CTorch

extension Tensor {
  /// The derivatives of this scalar with respect to leaves, nil where it does not depend on one.
  ///
  /// Nothing accumulates anywhere, so several threads may do this at once for graphs that share leaves. The graph is
  /// used up.
  public func gradients(of parameters: [Tensor]) throws(TorchError) -> [Tensor?] {
    let handles = parameters.map { Optional($0.handle) }
    var results = [OpaquePointer?](repeating: nil, count: handles.count)
    try check(ct_gradients(handle, handles, Int32(handles.count), &results))
    withExtendedLifetime(parameters) {}
    return results.map { $0.map { Tensor(owning: $0) } }
  }
}

/// Runs `body` without recording what gradients would need, which is faster and keeps no intermediate results.
public func withoutGradients<Result, Failure: Error>(
  _ body: () throws(Failure) -> Result
) throws(Failure) -> Result {
  let before = ct_set_grad_mode(0)
  defer { _ = ct_set_grad_mode(before) }
  return try body()
}

/// libtorch, as a process uses it.
public enum Torch {
  /// Version of the library, such as `2.13.0`.
  public static var version: String { String(cString: ct_version()) }

  /// How many threads one operation may use; holds for the calling thread and those that start later.
  public static func setThreads(_ count: Int) throws(TorchError) { try check(ct_set_threads(Int32(clamping: count))) }

  public static var threads: Int { Int(ct_get_threads()) }

  /// Tells the C library to keep freed memory. Training allocates the same buffers in every step; handing them back to
  /// the system in between cost a third of the time. To be called once, before the first tensor; no effect outside
  /// glibc.
  public static func keepFreedMemory() { ct_keep_freed_memory() }
}
