public import DeviceLatency
import InputFiles
import StrictYAML

/// A device as the user names it: a runtime in this process, or what a file describes.
public enum Device: Hashable, Sendable {
  case local(LocalRuntime)
  case command(CommandDevice)

  /// The names that need no file.
  public static let builtInNames = LocalRuntime.allCases.map(\.rawValue)

  /// - Parameter nameOrFile: A built-in name, or a YAML file.
  /// - Throws: `InferenceError` that lists the names; `YAMLError` with the line of what is wrong in the file.
  public init(_ nameOrFile: String) throws {
    if let runtime = LocalRuntime(rawValue: nameOrFile) {
      self = .local(runtime)
      return
    }
    let content: String?
    do { content = try InputFile.text(of: nameOrFile, atMost: YAMLValue.maximumBytes) } catch {
      throw InferenceError(
        .unknownDevice,
        "device \"\(nameOrFile)\" is neither one of \(Device.builtInNames.joined(separator: ", ")) nor a YAML file that can "
          + "be read: \(error)")
    }
    guard let text = content else {
      throw YAMLError(file: nameOrFile, message: "is no UTF-8 text")
    }
    self = .command(try CommandDevice(yaml: text, file: nameOrFile))
  }

  /// What its measurements belong to.
  ///
  /// - Throws: `InferenceError` where the runtime is not there.
  public func identity(threads: Int) throws -> DeviceIdentity {
    switch self {
    case .local(let runtime): DeviceIdentity(local: runtime.rawValue, version: try runtime.load(), threads: threads)
    case .command(let device): device.identity(threads: threads)
    }
  }

  /// What times models there.
  ///
  /// - Parameters:
  ///   - threads: Of the runtime.
  ///   - earlierLevel: See `RuntimeMeter`.
  ///   - history: See `RuntimeMeter`.
  ///   - onWait: Called when the machine is busy and the meter begins to wait for it.
  ///   - check: Called now and then while a command runs elsewhere; what it throws ends the measuring.
  public func meter(
    threads: Int, earlierLevel: Double? = nil, history: ProbeHistory? = .standard,
    onWait: @escaping () -> Void = {},
    check: @escaping () throws -> Void = {}
  ) throws -> any LatencyMeter {
    switch self {
    case .local(let runtime):
      let meter = try RuntimeMeter(runtime, threads: threads, earlierLevel: earlierLevel, history: history)
      meter.onWait = onWait
      return meter
    case .command(let device):
      let meter = try CommandMeter(device, threads: threads)
      meter.check = check
      return meter
    }
  }

  /// How many whole networks the correction of a profile is fitted on, where nobody says. OpenVINO fuses operations as it
  /// sees fit, so that a part's time alone tells less and whole networks have to tell more.
  public var fittingNetworks: Int {
    if case .local(.openVINO) = self { 240 } else { 60 }
  }

  /// The runtime in this process that runs the device's models where their answers are wanted and not their time.
  public var evaluationRuntime: LocalRuntime {
    switch self {
    case .local(let runtime): runtime
    case .command: .onnxRuntime
    }
  }
}
