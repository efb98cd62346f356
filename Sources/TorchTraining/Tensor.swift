internal import CTorch

/// An n-dimensional array that libtorch computes with, and that remembers how it was computed while gradients are on.
///
/// Shapes are written in logical order, whatever the order in memory:
///
/// | value | shape |
/// |---|---|
/// | images, feature maps | `[N, C, H, W]`: image, channel, row, column; kept in memory order N, H, W, C |
/// | weight of a convolution | `[O, I / groups, K, K]`: output channel, input channel, row, column |
/// | vector (bias, gamma, scales) | `[C]` |
/// | logits | `[N, K]`: image, class |
///
/// Elements are 32-bit floats unless a comment says otherwise. A tensor is a handle: `let b = a` shares the elements, and
/// ``copy()`` does not. It is not `Sendable`; a ``WorkerPool`` is the way to compute with shared tensors on several
/// threads, which is safe as long as none of them writes to one.
public final class Tensor {
  let handle: OpaquePointer
  /// What all elements are whole multiples of, where that is known: the step of normalised pixels. A convolution of them
  /// can then be computed in integers. It stays with the tensor where elements are only moved.
  public let step: Float?

  init(owning handle: OpaquePointer, step: Float? = nil) {
    self.handle = handle
    self.step = step
  }

  deinit { ct_free(handle) }
}

// MARK: - Making

extension Tensor {
  /// A tensor with the given elements in row-major order.
  ///
  /// `step` is what all of them are whole multiples of, if there is such a number. Throws if the number of values is not
  /// the product of `shape`.
  public static func floats(_ values: [Float], shape: [Int], step: Float? = nil) throws(TorchError) -> Tensor {
    try requireCount(values.count, shape)
    return try tensor(step: step) { ct_from_floats(values, shape.map(Int64.init), Int32(shape.count), $0) }
  }

  /// A tensor whose elements `fill` writes, in row-major order, all of them.
  ///
  /// For what is large: there is one copy of it, and where memory lacks this throws, as an array cannot.
  public static func floats(
    shape: [Int], step: Float? = nil, filledBy fill: (UnsafeMutableBufferPointer<Float>) -> Void
  ) throws(TorchError) -> Tensor {
    var elements: UnsafeMutablePointer<Float>?
    let result = try tensor(step: step) { ct_unfilled(shape.map(Int64.init), Int32(shape.count), $0, &elements) }
    fill(UnsafeMutableBufferPointer(start: elements, count: result.count))
    return result
  }

  /// 64-bit integers, such as labels `[N]`.
  public static func integers(_ values: [Int], shape: [Int]) throws(TorchError) -> Tensor {
    try requireCount(values.count, shape)
    return try tensor { ct_from_int64s(values.map(Int64.init), shape.map(Int64.init), Int32(shape.count), $0) }
  }

  /// Bytes, such as pixels `[N, C, H, W]`; ``pixelsAsFloats(shift:factor:)`` makes numbers of them.
  public static func bytes(_ values: [UInt8], shape: [Int]) throws(TorchError) -> Tensor {
    try requireCount(values.count, shape)
    return try tensor { ct_from_uint8s(values, shape.map(Int64.init), Int32(shape.count), $0) }
  }

  /// A tensor of one value.
  public static func filled(_ value: Float, shape: [Int]) throws(TorchError) -> Tensor {
    try tensor { ct_full(value, shape.map(Int64.init), Int32(shape.count), $0) }
  }

  public static func zeros(shape: [Int]) throws(TorchError) -> Tensor { try filled(0, shape: shape) }

  /// Tensors one after another along `dimension`.
  public static func concatenated(_ tensors: [Tensor], along dimension: Int = 0) throws(TorchError) -> Tensor {
    let handles = tensors.map { Optional($0.handle) }
    let result = try tensor { ct_concatenate(handles, Int32(handles.count), Int32(dimension), $0) }
    withExtendedLifetime(tensors) {}
    return result
  }

  private static func requireCount(_ count: Int, _ shape: [Int]) throws(TorchError) {
    var product = 1
    for size in shape {
      let (next, overflow) = product.multipliedReportingOverflow(by: size)
      guard size >= 0, !overflow else { throw TorchError("\(shape) is no shape of a tensor") }
      product = next
    }
    guard product == count else {
      throw TorchError("a tensor of shape \(shape) has \(product) elements, but \(count) were given")
    }
  }
}

// MARK: - Reading

extension Tensor {
  /// The size of each dimension; empty for a scalar.
  public var shape: [Int] {
    let rank = Int(ct_rank(handle))
    return withUnsafeTemporaryAllocation(of: Int64.self, capacity: max(rank, 1)) { sizes in
      sizes.initialize(repeating: 0)
      ct_shape(handle, sizes.baseAddress)
      return sizes.prefix(rank).map { Int($0) }
    }
  }

  /// The number of elements.
  public var count: Int { Int(ct_numel(handle)) }

  /// Whether gradients are wanted for this leaf, or flow through this result.
  public var requiresGradient: Bool { ct_requires_grad(handle) != 0 }

  /// Whether the memory order of an `[N, C, H, W]` is N, H, W, C.
  public var isChannelsLast: Bool { ct_is_channels_last(handle) != 0 }

  /// All elements in row-major order of the shape, converted to `Float`.
  public func floats() throws(TorchError) -> [Float] {
    let count = count
    var status = Int32(CT_OK)
    let values = [Float](unsafeUninitializedCapacity: count) { buffer, initialized in
      status = ct_copy_floats(handle, buffer.baseAddress, Int64(count))
      initialized = status == CT_OK ? count : 0
    }
    try check(status)
    return values
  }

  /// All elements in row-major order of the shape, converted to `Int`.
  public func integers() throws(TorchError) -> [Int] {
    var values = [Int64](repeating: 0, count: count)
    try check(ct_copy_int64s(handle, &values, Int64(values.count)))
    return values.map { Int($0) }
  }

  /// The only element of a tensor that has one.
  public func item() throws(TorchError) -> Double {
    var value = 0.0
    try check(ct_item(handle, &value))
    return value
  }
}

// MARK: - The same elements in another form

extension Tensor {
  /// A deep copy without history.
  public func copy() throws(TorchError) -> Tensor { try tensor(step: step) { ct_clone(handle, $0) } }

  /// The same elements without history: no gradient flows back through the result.
  public func detached() throws(TorchError) -> Tensor { try tensor(step: step) { ct_detach(handle, $0) } }

  /// Zeros of the same shape and memory order.
  public func zerosOfSameShape() throws(TorchError) -> Tensor { try tensor { ct_zeros_like(handle, $0) } }

  /// Says whether gradients are wanted for this leaf.
  public func setRequiresGradient(_ flag: Bool) throws(TorchError) {
    try check(ct_set_requires_grad(handle, flag ? 1 : 0))
  }

  /// Replaces the elements in place, outside any graph. The shapes must agree.
  public func assign(_ source: Tensor) throws(TorchError) { try check(ct_copy_into(handle, source.handle)) }

  /// Adds `factor * source` in place, outside any graph. The shapes must agree.
  public func accumulate(_ source: Tensor, factor: Double = 1) throws(TorchError) {
    try check(ct_accumulate(handle, source.handle, factor))
  }

  /// Memory order as the shape says.
  public func contiguous() throws(TorchError) -> Tensor { try tensor(step: step) { ct_contiguous(handle, $0) } }

  /// `[N, C, H, W]` in memory order N, H, W, C, in which convolutions are several times faster on a CPU.
  public func channelsLast() throws(TorchError) -> Tensor { try tensor(step: step) { ct_channels_last(handle, $0) } }

  /// `(x - shift) * factor` as floats; `[N, C, H, W]` comes out channels last. With a whole `shift`, `factor` is their
  /// step.
  public func pixelsAsFloats(shift: Float = 0, factor: Float = 1) throws(TorchError) -> Tensor {
    try tensor(step: shift == shift.rounded() ? factor : nil) { ct_to_float(handle, shift, factor, $0) }
  }

  /// `[N, ...] -> [indices.count, ...]`: the rows of dimension 0 with these indices, in any element type.
  public func rows(_ indices: [Int]) throws(TorchError) -> Tensor {
    try tensor(step: step) { ct_take_rows(handle, indices.map(Int64.init), Int64(indices.count), $0) }
  }

  /// `[N, ...] -> [N, M]`
  public func flattened() throws(TorchError) -> Tensor { try tensor { ct_flatten(handle, $0) } }

  public func reshaped(_ shape: [Int]) throws(TorchError) -> Tensor {
    try tensor { ct_reshape(handle, shape.map(Int64.init), Int32(shape.count), $0) }
  }

  /// `[O, I, K, K] -> [o, i, k, k]`: the first channels and the centre of the kernel of a supernet's weight. The result
  /// has its own memory; the gradient is zero outside the slice.
  public func weightSlice(outputChannels: Int, inputChannels: Int, kernel: Int) throws(TorchError) -> Tensor {
    try tensor { ct_slice_weight(handle, Int64(outputChannels), Int64(inputChannels), Int64(kernel), $0) }
  }

  /// `[C] -> [n]`: the first `n` elements of a vector.
  public func prefix(_ n: Int) throws(TorchError) -> Tensor { try tensor { ct_slice_prefix(handle, Int64(n), $0) } }

  /// A view of the given positions of one dimension; it shares its elements with this tensor.
  public func narrowed(_ dimension: Int, to range: Range<Int>) throws(TorchError) -> Tensor {
    try tensor(step: step) {
      ct_narrow(handle, Int32(clamping: dimension), Int64(range.lowerBound), Int64(range.count), $0)
    }
  }

  /// A view with the dimensions in another order: `permuted([1, 0, 2, 3])` swaps the first two.
  public func permuted(_ order: [Int]) throws(TorchError) -> Tensor {
    try tensor { ct_permute(handle, order.map(Int64.init), Int32(order.count), $0) }
  }
}
