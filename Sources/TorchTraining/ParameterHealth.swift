internal import NetworkGraphs

extension ParameterStore {
  /// The name of a parameter that holds a number that is not finite; `nil` where none does.
  ///
  /// - Parameter quantizers: Whether quantisers count; before they are calibrated they hold NaN.
  public func firstNotFinite(quantizers: Bool) throws(TorchError) -> String? {
    for name in layout.names {
      if !quantizers, layout.entries[name]?.role.isOfQuantizer == true { continue }
      if try tensor(name).floats().contains(where: { !$0.isFinite }) { return name }
    }
    return nil
  }

  /// The largest magnitude of every quantiser's scale that is calibrated, by name.
  public func quantizerScales() throws(TorchError) -> [String: Float] {
    var scales: [String: Float] = [:]
    for name in layout.names {
      switch layout.entries[name]?.role {
      case .weightScale, .outputScale:
        let largest = try tensor(name).floats().lazy.map(\.magnitude).max() ?? 0
        if largest.isFinite { scales[name] = largest }
      default: break
      }
    }
    return scales
  }
}
