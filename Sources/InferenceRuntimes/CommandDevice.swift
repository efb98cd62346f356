public import DeviceLatency
public import StrictYAML

/// A device of the user's own, as a YAML file describes it: commands that time ONNX files there.
///
///     name: raspberry-pi-5
///     version: onnxruntime 1.22.0
///     processor: Cortex-A76
///     threads: 1
///     prepare: [scp, -q, "{files}", "pi@raspberrypi.local:spaceevo/"]
///     time: [ssh, pi@raspberrypi.local, "cd spaceevo && python3 time_models.py --threads {threads} {names}"]
///     timeout: 120
///     retries: 2
///
/// Commands are lists of words, which no shell reads. `{files}`, alone in a word, stands for the paths of a batch of
/// models here, one word each; inside a longer word, and as `{names}` (file names alone), for all of them with spaces
/// between. With `{file}` or `{name}` the command is run once a model. `{threads}` is the number of threads.
public struct CommandDevice: Hashable, Sendable {
  public enum Unit: String, CaseIterable, Hashable, Sendable {
    case seconds = "s"
    case milliseconds = "ms"
    case microseconds = "us"

    var nanoseconds: Double {
      switch self {
      case .seconds: 1e9
      case .milliseconds: 1e6
      case .microseconds: 1e3
      }
    }
  }

  public var name: String
  /// The runtime there and its version; a device whose file says another is another device.
  public var version: String
  public var processor: String
  /// Threads that the commands are told to use; `nil` for those of the command line.
  public var threads: Int?
  /// Run before each batch, to bring the files there; empty for nothing.
  public var prepare: [String]
  /// Prints the times.
  public var time: [String]
  /// Run after each batch, to remove the files; empty for nothing.
  public var clean: [String]
  /// A regular expression with one group, the number; its matches in the output are the times in the order of the
  /// models. `nil` where the output is lines of `NAME NUMBER`, or of `NUMBER` alone.
  public var pattern: String?
  public var unit: Unit
  /// Seconds after which a command is ended.
  public var timeout: Double
  /// How often a command that failed is run again.
  public var retries: Int
  /// Models sent in one go.
  public var batch: Int
  /// How often each model is timed, in turn with the others of its batch.
  public var rounds: Int

  private static let keys = [
    "name", "version", "processor", "threads", "shell", "prepare", "time", "clean", "pattern", "unit", "timeout",
    "retries", "batch", "rounds",
  ]

  /// Reads a device file.
  ///
  /// - Throws: `YAMLError` with the line of what is wrong, and what would be right.
  public init(yaml text: String, file: String) throws(YAMLError) {
    let root = try YAMLValue.parse(text, file: file).mapping(keys: CommandDevice.keys)
    let nameValue = try root.required("name")
    name = try nameValue.string()
    // Pages are called by it.
    guard name.utf8.count <= 100, !name.hasPrefix("."), name.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7f && $0 != 0x2f })
    else {
      throw nameValue.error("is no name of a device: up to 100 characters without \"/\" are right, no \".\" first")
    }
    version = try root.required("version").string()
    processor = try root.optional("processor")?.string() ?? "not told"
    threads = try root.optional("threads")?.int(in: 1...256)
    let usesShell = try root.optional("shell")?.bool() ?? false
    func command(_ key: String) throws(YAMLError) -> [String] {
      guard let value = root.optional(key) else { return [] }
      return try CommandDevice.words(value, usesShell: usesShell)
    }
    prepare = try command("prepare")
    time = try CommandDevice.words(root.required("time"), usesShell: usesShell)
    clean = try command("clean")
    if let value = root.optional("pattern") {
      let text = try value.string()
      guard text.utf8.count <= 1_000 else {
        throw value.error("has \(text.utf8.count) bytes; a pattern has at most 1000")
      }
      guard groupCount(text) == 1 else {
        throw value.error("is no regular expression with one group for the number, such as \"Median: +([0-9.]+) ms\"")
      }
      pattern = text
    }
    unit = try root.optional("unit")?.choice(Unit.self) ?? .milliseconds
    timeout = try root.optional("timeout")?.double(in: 0.1...86_400) ?? 120
    retries = try root.optional("retries")?.int(in: 0...100) ?? 2
    batch = try root.optional("batch")?.int(in: 1...1_000) ?? 16
    rounds = try root.optional("rounds")?.int(in: 1...100) ?? 3
    let timed = time.joined(separator: " ")
    guard ["{files}", "{names}", "{file}", "{name}"].contains(where: timed.contains) else {
      throw try root.required("time").error(
        "names no model: one of {files}, {names} (all of a batch), {file} or {name} (one at a time) must be in it")
    }
  }

  /// A list of words; with a shell, one text that the shell reads.
  private static func words(_ value: YAMLValue, usesShell: Bool) throws(YAMLError) -> [String] {
    if usesShell {
      guard value.isScalar else { throw value.error("is a list; with \"shell: true\" a command is one text") }
      return ["/bin/sh", "-c", try value.string()]
    }
    guard value.isList else {
      throw value.error("is one text; a command is a list of words, such as [ssh, HOST, …], or set \"shell: true\"")
    }
    var words: [String] = []
    for item in try value.list(count: 1...1_000) { words.append(try item.string()) }
    for word in words {
      for placeholder in word.matches(of: #/\{([a-z-]+)\}/#)
      where !["files", "names", "file", "name", "threads"].contains(placeholder.1) {
        throw value.error(
          "\(placeholder.0.prefix(60)) is not known; right would be {files}, {names}, {file}, {name} or {threads}")
      }
    }
    return words
  }

  /// The words of a command for some models.
  ///
  /// - Parameter files: Paths here.
  func words(_ command: [String], files: [String], threads: Int) -> [String] {
    let names = files.map { String($0.split(separator: "/").last ?? "") }
    return command.flatMap { word -> [String] in
      switch word {
      case "{files}": files
      case "{names}": names
      default:
        [
          word.replacing("{files}", with: files.joined(separator: " "))
            .replacing("{names}", with: names.joined(separator: " "))
            .replacing("{file}", with: files.first ?? "").replacing("{name}", with: names.first ?? "")
            .replacing("{threads}", with: "\(threads)")
        ]
      }
    }
  }

  /// Whether the command times one model at a time.
  var timesOneAtATime: Bool {
    let text = time.joined(separator: " ")
    return !text.contains("{files}") && !text.contains("{names}")
  }

  /// What its measurements belong to.
  public func identity(threads: Int) -> DeviceIdentity {
    DeviceIdentity(
      name: name, version: version, processor: processor, instructionSets: [], threads: self.threads ?? threads)
  }
}

/// How many groups a regular expression has; `nil` where it is none.
///
/// They are counted in the text: matching a stranger's expression, even on nothing, can take for ever.
private func groupCount(_ pattern: String) -> Int? {
  guard (try? Regex(pattern)) != nil else { return nil }
  var count = 0
  var classDepth = 0
  var rest = pattern.unicodeScalars[...]
  while let scalar = rest.popFirst() {
    switch scalar {
    case "\\": _ = rest.popFirst()
    case "[": classDepth += 1
    case "]": classDepth = max(0, classDepth - 1)
    case "(" where classDepth == 0:
      let isNamed = ["?<", "?P<"].contains { rest.starts(with: $0.unicodeScalars) }
      let looksBehind = ["?<=", "?<!", "?<*"].contains { rest.starts(with: $0.unicodeScalars) }
      let isSpecial = rest.first == "?" || rest.first == "*"
      if !isSpecial || (isNamed && !looksBehind) { count += 1 }
    default: break
    }
  }
  return count
}
