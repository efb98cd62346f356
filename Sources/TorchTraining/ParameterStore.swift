public import Foundation
public import NetworkGraphs
internal import SearchSpaces

/// The parameters that the subnets of a supernet share, by name, each at the largest shape that any of them uses.
///
/// It has no notion of an active subnet: ``forward(_:through:precision:normalization:visit:)`` takes the subnet's graph,
/// and slices what that needs.
public final class ParameterStore {
  public let layout: ParameterLayout
  private let tensors: [String: Tensor]

  /// Parameters that depend on the seed, the name and the largest shape only.
  ///
  /// Weights before a batch norm are normal with variance `2 / (K * K * O)` (He et al., arXiv 1502.01852, fan-out), or
  /// `2 / (K * K)` where a filter reads one channel, as depthwise ones do; weights with a bias have variance
  /// `1 / (3 * fan-in)`. Gammas are 1, biases and betas 0. Scales and offsets of quantisers are NaN until
  /// ``calibrateQuantizers(graphs:batches:normalization:)`` has found them, so none can be used unnoticed before.
  public init(_ layout: ParameterLayout, seed: UInt64) throws(TorchError) {
    var tensors: [String: Tensor] = [:]
    for name in layout.names {
      guard let entry = layout.entries[name] else { continue }
      let values = ParameterStore.initialValues(name, entry, in: layout, seed: seed)
      tensors[name] = try ParameterStore.leaf(values, shape: entry.shape)
    }
    self.layout = layout
    self.tensors = tensors
  }

  /// Parameters as a file holds them. `prefix` is taken off the names; other names are left alone.
  ///
  /// Throws if a parameter of the layout is missing, or has another shape, or if a name with the prefix is no parameter.
  public init(_ layout: ParameterLayout, from file: Safetensors, prefix: String = "") throws(TorchError) {
    var tensors: [String: Tensor] = [:]
    for name in layout.names {
      guard let entry = layout.entries[name] else { continue }
      guard let stored = file.tensors[prefix + name] else {
        throw TorchError("there is no parameter \(prefix + name) in the file; it belongs to another network")
      }
      guard stored.shape == entry.shape, case .float32(let values) = stored.elements else {
        throw TorchError(
          "parameter \(prefix + name) has shape \(stored.shape) in the file; float32 of shape \(entry.shape) is right")
      }
      tensors[name] = try ParameterStore.leaf(values, shape: entry.shape)
    }
    for name in file.tensors.keys.sorted()
    where name.hasPrefix(prefix) && layout.entries[String(name.dropFirst(prefix.count))] == nil {
      throw TorchError("the file has a tensor \(name), which is no parameter of this network")
    }
    self.layout = layout
    self.tensors = tensors
  }

  private static func leaf(_ values: [Float], shape: [Int]) throws(TorchError) -> Tensor {
    var tensor = try Tensor.floats(values, shape: shape)
    if shape.count == 4 && shape[2] > 1 { tensor = try tensor.channelsLast() }
    try tensor.setRequiresGradient(true)
    return tensor
  }

  private static func initialValues(
    _ name: String, _ entry: ParameterLayout.Entry, in layout: ParameterLayout, seed: UInt64
  ) -> [Float] {
    let count = entry.shape.reduce(1, *)
    switch entry.role {
    case .weight:
      let bias = name.replacingSuffix(".weight", by: ".bias")
      let pixels = entry.shape[2] * entry.shape[3]
      let readers = entry.shape[1] == 1 ? 1 : entry.shape[0]
      let variance =
        layout.entries[bias] == nil ? 2 / Double(pixels * readers) : 1 / Double(3 * pixels * entry.shape[1])
      var generator = SeededGenerator(seed: seed, stream: "parameter.\(name)")
      return (0..<count).map { _ in Float(generator.normal() * variance.squareRoot()) }
    case .batchNormScale: return [Float](repeating: 1, count: count)
    case .bias, .batchNormShift: return [Float](repeating: 0, count: count)
    case .weightScale, .outputScale, .outputOffset: return [Float](repeating: .nan, count: count)
    }
  }
}

extension String {
  fileprivate func replacingSuffix(_ suffix: String, by other: String) -> String {
    hasSuffix(suffix) ? dropLast(suffix.count) + other : self
  }
}

// MARK: - Access

extension ParameterStore {
  /// The parameter of a name.
  ///
  /// Throws if the layout has none.
  public func tensor(_ name: String) throws(TorchError) -> Tensor {
    guard let tensor = tensors[name] else { throw TorchError("this supernet has no parameter \(name)") }
    return tensor
  }

  /// The parameters of these names, in order; what an optimiser is made of.
  public func tensors(_ names: [String]) throws(TorchError) -> [Tensor] {
    var result: [Tensor] = []
    for name in names { result.append(try tensor(name)) }
    return result
  }

  /// How the parameters of these names are trained: decay for weights only, quantisers with a learning rate of their own
  /// (their gradients are scaled as LSQ asks, so a factor of 1 is the papers').
  public func settings(
    _ names: [String], weightDecay: Double, quantizerLearningRateFactor: Double = 1
  ) -> [ParameterSettings] {
    names.map { name in
      switch layout.entries[name]?.role {
      case .weight: ParameterSettings(weightDecay: weightDecay)
      case .weightScale, .outputScale, .outputOffset:
        ParameterSettings(learningRateFactor: quantizerLearningRateFactor)
      default: ParameterSettings()
      }
    }
  }

  /// The same for Adam, whose steps are as long as the learning rate whatever the gradients' size: the rates of scales
  /// are multiplied by their present size (those of offsets by 16 of their steps), so that a rate means a share of the
  /// scale. To be called when the quantisers are calibrated; the factor of one that is not is 0.
  public func adamSettings(_ names: [String], weightDecay: Double) throws(TorchError) -> [ParameterSettings] {
    var result = settings(names, weightDecay: weightDecay)
    for (index, name) in names.enumerated() {
      let role = layout.entries[name]?.role
      guard let role, role.isOfQuantizer else { continue }
      let scales = role == .outputOffset ? name.replacingSuffix("_offset", by: "_scale") : name
      let values = try tensor(scales).floats().map { Double($0.magnitude) }
      let size = values.reduce(0, +) / Double(max(1, values.count))
      result[index].learningRateFactor = size.isFinite ? size * (role == .outputOffset ? 16 : 1) : 0
    }
    return result
  }

  /// The parameters, for a file. Several stores, or an optimiser's state, can share one under different prefixes.
  public func stored(prefix: String = "") throws(TorchError) -> [String: StoredTensor] {
    try TorchTraining.stored(layout.names, try tensors(layout.names), prefix: prefix)
  }

  /// Writes all parameters to a safetensors file, whole or not at all.
  public func save(to url: URL, metadata: [String: String] = [:]) throws(TorchError) {
    let file = Safetensors(tensors: try stored(), metadata: metadata)
    do { try file.write(to: url) } catch { throw TorchError("\(error)") }
  }

  /// Reads a file that ``save(to:metadata:)`` wrote for the same layout.
  public convenience init(_ layout: ParameterLayout, contentsOf url: URL) throws(TorchError) {
    let file: Safetensors
    do { file = try Safetensors(contentsOf: url) } catch { throw TorchError("\(error)") }
    do throws(TorchError) { try self.init(layout, from: file) } catch {
      throw TorchError("\(url.path): \(error.message)")
    }
  }

  /// A store with the same numbers, and memory of its own.
  public func copy() throws(TorchError) -> ParameterStore {
    try ParameterStore(layout, from: Safetensors(tensors: try stored()))
  }

  /// Takes over every parameter whose name and shape is the same in another store; returns their names.
  ///
  /// A larger weight gives its slice to a smaller one (channel prefix, kernel centre) and not the other way round.
  @discardableResult
  public func adopt(_ other: ParameterStore) throws(TorchError) -> [String] {
    var adopted: [String] = []
    for name in layout.names {
      guard let source = other.tensors[name], let target = tensors[name] else { continue }
      let (shape, available) = (target.shape, source.shape)
      guard shape.count == available.count, zip(shape, available).allSatisfy({ $0 <= $1 }) else { continue }
      let slice: Tensor
      if shape == available {
        slice = source
      } else if shape.count == 4 {
        slice = try withoutGradients { () throws(TorchError) in
          try source.weightSlice(outputChannels: shape[0], inputChannels: shape[1], kernel: shape[2])
        }
      } else {
        slice = try source.prefix(shape[0])
      }
      try target.assign(slice)
      adopted.append(name)
    }
    return adopted
  }
}

/// Named tensors for a file, such as an optimiser's velocities.
public func stored(
  _ names: [String], _ tensors: [Tensor], prefix: String
) throws(TorchError) -> [String: StoredTensor] {
  guard names.count == tensors.count else {
    throw TorchError("\(tensors.count) tensors need as many names, not \(names.count)")
  }
  var result: [String: StoredTensor] = [:]
  for (name, tensor) in zip(names, tensors) {
    do {
      result[prefix + name] = try StoredTensor(shape: tensor.shape, elements: .float32(try tensor.floats()))
    } catch { throw TorchError("\(error)") }
  }
  return result
}

/// Reads into existing tensors what ``stored(_:_:prefix:)`` wrote.
///
/// Throws if one is missing or has another shape; then none is changed.
public func restore(
  _ names: [String], _ tensors: [Tensor], from file: Safetensors, prefix: String
) throws(TorchError) {
  var sources: [Tensor] = []
  for (name, tensor) in zip(names, tensors) {
    guard let stored = file.tensors[prefix + name], stored.shape == tensor.shape,
      case .float32(let values) = stored.elements
    else {
      throw TorchError("the file has no float32 tensor \(prefix + name) of shape \(tensor.shape)")
    }
    sources.append(try Tensor.floats(values, shape: stored.shape))
  }
  for (tensor, source) in zip(tensors, sources) { try tensor.assign(source) }
}
