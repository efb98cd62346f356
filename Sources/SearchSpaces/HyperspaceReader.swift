public import StrictYAML

extension Hyperspace {
  /// The hyperspaces that ship with the program, by name.
  public static let builtInNames = ["onnxw", "mobilew", "mini32"]

  /// A hyperspace that ships with the program; `nil` where there is none of that name.
  public static func builtIn(_ name: String) -> Hyperspace? {
    let bytes: [UInt8]
    switch name {
    case "onnxw": bytes = PackageResources.onnxw_yaml
    case "mobilew": bytes = PackageResources.mobilew_yaml
    case "mini32": bytes = PackageResources.mini32_yaml
    default: return nil
    }
    do {
      return try Hyperspace(yaml: String(decoding: bytes, as: UTF8.self), file: "\(name).yaml")
    } catch {
      preconditionFailure("the built-in hyperspace is faulty: \(error)")
    }
  }

  /// Reads a hyperspace file.
  ///
  /// - Throws: `YAMLError` with the line of what is wrong, and what would be right.
  public init(yaml text: String, file: String) throws(YAMLError) {
    let root = try YAMLValue.parse(text, file: file)
    try self.init(root)
  }

  /// Reads a hyperspace from a value of a document.
  public init(_ value: YAMLValue) throws(YAMLError) {
    let root = try value.mapping(keys: ["name", "image", "classes", "blocks", "stem", "stages", "head"])
    let nameValue = try root.required("name")
    name = try nameValue.string()
    guard name.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "." || $0 == "_") }) else {
      throw nameValue.error("\"\(name)\" has characters besides letters, digits, \".\" and \"_\", which encodings need")
    }
    let image = try root.required("image").mapping(keys: ["channels", "resolutions"])
    imageChannels = try image.required("channels").int(in: 1...64)
    resolutions = try ascending(image.required("resolutions"), in: 8...4_096)
    classes = try root.required("classes").int(in: 2...1_000_000)

    let stemMapping = try root.required("stem").mapping(keys: ["name", "widths", "kernel", "stride", "activation"])
    stem = try Stem(
      name: layerName(stemMapping.required("name")), widths: widths(stemMapping.required("widths")),
      kernel: kernel(stemMapping.required("kernel")), stride: stemMapping.required("stride").int(in: 1...4),
      activation: activation(stemMapping.required("activation")))

    blockTypes = []
    let blocks = try root.required("blocks").list(count: 1...SearchSpace.maximumChoices)
    for item in blocks {
      let block = try blockType(item)
      guard !blockTypes.contains(where: { $0.name == block.name }) else {
        throw item.error("a second block type named \"\(block.name)\"; names must differ")
      }
      blockTypes.append(block)
    }

    stages = []
    for item in try root.required("stages").list(count: 1...64) {
      let stage = try readStage(item)
      guard stage.name != stem.name, !stages.contains(where: { $0.name == stage.name }) else {
        throw item.error("a second stage named \"\(stage.name)\"; names must differ")
      }
      stages.append(stage)
    }
    guard stages.contains(where: \.isSearched) else {
      throw try root.required("stages").error("every stage has a block of its own, so there is nothing to search")
    }

    head = []
    let headValue = try root.required("head")
    for item in try headValue.list(count: 1...16) { head.append(try headLayer(item)) }
    let kinds = head.map { layer in
      switch layer {
      case .convolution: "c"
      case .globalAveragePool: "p"
      case .linear: "l"
      }
    }
    guard kinds.filter({ $0 == "p" }).count == 1, kinds.last == "l", kinds.filter({ $0 == "l" }).count == 1 else {
      throw headValue.error("needs one global-average-pool, and one linear layer at its end")
    }
    let names = [stem.name] + stages.map(\.name) + head.map(\.name)
    guard Set(names).count == names.count else {
      throw headValue.error(
        "the names of stem, stages and head layers must all differ: \(names.joined(separator: " "))")
    }
    if let reason = reasonForBeingTooLarge { throw value.error(reason) }
  }
}

extension Hyperspace.HeadLayer {
  public var name: String {
    switch self {
    case .convolution(let name, _, _), .globalAveragePool(let name), .linear(let name): name
    }
  }
}

/// The name of a stem, stage, block type or layer. Parameters, tables and checkpoints are called by it, so it has nothing
/// that means something in a path.
private func layerName(_ value: YAMLValue) throws(YAMLError) -> String {
  let name = try value.string()
  let isPlain = name.utf8.allSatisfy { byte in
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"):
      true
    default: false
    }
  }
  guard isPlain, name.utf8.count <= 64 else {
    throw value.error(
      "\"\(name.prefix(70))\" is no name; up to 64 letters, digits, \"_\" and \"-\" are right, since files are called by it"
    )
  }
  guard name != "input" else { throw value.error("\"input\" is the name of the image itself; take another") }
  return name
}

private func kernel(_ value: YAMLValue) throws(YAMLError) -> Int {
  let kernel = try value.int(in: 1...15)
  guard kernel % 2 == 1 else {
    throw value.error("\(kernel) is even; kernel sizes are odd, so that they have a centre")
  }
  return kernel
}

private func activation(_ value: YAMLValue) throws(YAMLError) -> Activation {
  let activation = try value.choice(Activation.self)
  guard activation != .hardSigmoid else {
    throw value.error(
      "hard-sigmoid is the gate of SE and no activation of a block; take relu, relu6, hard-swish or swish")
  }
  return activation
}

private func ascending(_ value: YAMLValue, in range: ClosedRange<Int>) throws(YAMLError) -> [Int] {
  var items: [Int] = []
  for item in try value.list(count: 1...256) {
    let number = try item.int(in: range)
    if let last = items.last, last >= number {
      throw item.error("\(number) does not follow \(last); the list must ascend, without repeats")
    }
    items.append(number)
  }
  return items
}

/// Widths: a list, or `{first, last, step}`.
private func widths(_ value: YAMLValue) throws(YAMLError) -> [Int] {
  let range = 1...16_384
  if value.isList { return try ascending(value, in: range) }
  let mapping = try value.mapping(keys: ["first", "last", "step"])
  let first = try mapping.required("first").int(in: range)
  let lastValue = try mapping.required("last")
  let last = try lastValue.int(in: range)
  let step = try mapping.required("step").int(in: range)
  guard last >= first, (last - first) % step == 0, (last - first) / step < 256 else {
    throw lastValue.error("\(last) is not reached from \(first) in steps of \(step), or in more than 256 of them")
  }
  return Array(stride(from: first, through: last, by: step))
}

private func blockType(_ value: YAMLValue) throws(YAMLError) -> BlockType {
  let mapping = try value.mapping(
    keys: [
      "name", "family", "kernels", "expansions", "activation", "squeeze-excitation", "stack-depthwise",
      "project-shortcut",
    ])
  let familyValue = try mapping.required("family")
  let family = try familyValue.choice(BlockFamily.self)
  let kernelsValue = try mapping.required("kernels")
  let kernels = try ascending(kernelsValue, in: 1...15)
  guard kernels.allSatisfy({ $0 % 2 == 1 }) else {
    throw kernelsValue.error("kernel sizes are odd, so that a smaller one is the centre of a larger")
  }
  var expansions: [Double] = []
  if let expansionsValue = mapping.optional("expansions") {
    guard family.hasExpansion else { throw expansionsValue.error("\(family.rawValue) has no expansion: leave it out") }
    for item in try expansionsValue.list(count: 1...32) {
      let ratio = try item.double(in: 0.01...64)
      if let last = expansions.last, last >= ratio { throw item.error("\(ratio) does not follow \(last); must ascend") }
      expansions.append(ratio)
    }
  } else if family.hasExpansion {
    throw mapping.error("the key \"expansions\" is missing; \(family.rawValue) needs it")
  }
  let excitation = mapping.optional("squeeze-excitation")
  let hasExcitation = try excitation?.bool() ?? false
  if let excitation, hasExcitation, !family.canSqueezeAndExcite {
    throw excitation.error("\(family.rawValue) has no place for squeeze and excitation")
  }
  let stack = mapping.optional("stack-depthwise")
  let stacks = try stack?.bool() ?? false
  if let stack, stacks, family != .mbconv { throw stack.error("only mbconv can stack its depthwise convolutions") }
  if let stack, stacks, kernels.contains(1) { throw stack.error("a stack of 3x3 has a kernel of at least 3") }
  let actValue = try mapping.required("activation")
  let act = try activation(actValue)
  return BlockType(
    name: try mapping.optional("name").map(layerName) ?? family.rawValue, family: family, kernels: kernels,
    expansions: expansions, activation: act, hasSqueezeExcitation: hasExcitation, stacksDepthwise: stacks,
    projectsShortcut: try mapping.optional("project-shortcut")?.bool() ?? true)
}

private func readStage(_ value: YAMLValue) throws(YAMLError) -> Hyperspace.Stage {
  let mapping = try value.mapping(keys: ["name", "widths", "window", "depths", "stride", "block"])
  let stageWidths = try widths(mapping.required("widths"))
  let windowValue = try mapping.required("window")
  var window = stageWidths.count
  if (try? windowValue.string()) != "all" {
    guard let number = try? windowValue.int(in: 1...stageWidths.count) else {
      throw windowValue.error(
        "how many of the \(stageWidths.count) widths a window has: a whole number from 1 to \(stageWidths.count), or all, is "
          + "right")
    }
    window = number
  }
  let depthsValue = try mapping.required("depths")
  let depths = try depthsValue.list(count: 2...2)
  let first = try depths[0].int(in: 1...64)
  let last = try depths[1].int(in: first...64)
  let block = mapping.optional("block")
  if block != nil, window != stageWidths.count {
    throw windowValue.error("a stage with a block of its own is not searched, so its window is \"all\"")
  }
  let stage = Hyperspace.Stage(
    name: try layerName(mapping.required("name")), widths: stageWidths, windowSize: window, depths: first...last,
    stride: try mapping.required("stride").int(in: 1...4), fixedBlock: try block.map(blockType))
  guard stage.windowCount <= SearchSpace.maximumChoices else {
    throw windowValue.error(
      "\(stage.windowCount) windows; encodings can tell at most \(SearchSpace.maximumChoices) apart")
  }
  return stage
}

private func headLayer(_ value: YAMLValue) throws(YAMLError) -> Hyperspace.HeadLayer {
  let mapping = try value.mapping(keys: ["layer", "name", "width", "activation"])
  let layer = try mapping.required("layer").choice(["convolution", "global-average-pool", "linear"])
  let name = try layerName(mapping.required("name"))
  guard layer == "convolution" else {
    for key in ["width", "activation"] {
      if let surplus = mapping.optional(key) { throw surplus.error("a \(layer) layer takes no \(key)") }
    }
    return layer == "linear" ? .linear(name: name) : .globalAveragePool(name: name)
  }
  return .convolution(
    name: name, width: try mapping.required("width").int(in: 1...65_536),
    activation: try activation(mapping.required("activation")))
}
