internal import Yams

/// A value of a YAML document that knows where it stands, so that whoever reads it can refuse it by line.
///
/// Reading is strict: a mapping names the keys it takes and refuses others, numbers have ranges, and nothing is
/// converted silently.
public struct YAMLValue {
  /// The largest document that is read, in bytes. Configurations are a few kilobytes; the bound keeps a wrong file
  /// name from filling the memory, and the time that a document can take within seconds.
  public static let maximumBytes = 1 << 18

  let node: Node
  let file: String
  /// The way to this value, such as `stages[2].widths`.
  public let path: String

  /// Parses one YAML document.
  ///
  /// - Throws: `YAMLError` where the text is no YAML, is empty, has several documents, aliases or duplicate keys.
  public static func parse(_ text: String, file: String) throws(YAMLError) -> YAMLValue {
    guard text.utf8.count <= maximumBytes else {
      throw YAMLError(file: file, message: "\(text.utf8.count) bytes; a file of this kind has at most \(maximumBytes)")
    }
    guard !text.contains("\0") else { throw YAMLError(file: file, message: "holds a NUL byte, so it is no YAML text") }
    let node: Node?
    let anchored: Node?
    do {
      try refuseManyAliases(text, file: file)
      // Every value is asked for by its type, so no type is guessed of its text; the guessing alone would take seconds.
      let parser = try Yams.Parser(yaml: text, resolver: .basic, encoding: .utf8)
      node = try parser.singleRoot()
      // Nodes know their anchors only as long as there is the parser.
      anchored = withExtendedLifetime(parser) { node.flatMap(firstAnchored) }
    } catch let error as YAMLError {
      throw error
    } catch let error as YamlError {
      throw located(error, file: file)
    } catch {
      throw YAMLError(file: file, message: "\(error)")
    }
    guard let node else { throw YAMLError(file: file, message: "is empty") }
    if let anchored {
      throw YAMLError(
        file: file, line: anchored.mark?.line, column: anchored.mark?.column, message: aliasMessage)
    }
    return YAMLValue(node: node, file: file, path: "")
  }

  private static let aliasMessage = "anchors and aliases (& and *) are not taken here: write the value out"

  /// More words that look like aliases than this are refused before the document is put together: aliases of aliases
  /// make it grow without bound, and the keys of its mappings are compared at once.
  private static let mostAliases = 8

  private static func refuseManyAliases(_ text: String, file: String) throws(YAMLError) {
    var count = 0
    var line = 1
    // What stands before a node.
    var isStart = true
    var isAlias = false
    for byte in text.utf8 {
      switch byte {
      case UInt8(ascii: "\n"):
        line += 1
        (isStart, isAlias) = (true, false)
      case UInt8(ascii: "-") where isAlias:
        count += 1
        isAlias = false
      case UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\r"), UInt8(ascii: "["), UInt8(ascii: "{"),
        UInt8(ascii: ","), UInt8(ascii: ":"), UInt8(ascii: "?"), UInt8(ascii: "-"):
        (isStart, isAlias) = (true, false)
      case UInt8(ascii: "*") where isStart:
        isAlias = true
        isStart = false
      default:
        if isAlias, isLetterOrDigit(byte) { count += 1 }
        isAlias = false
        // Some line breaks are no ASCII.
        isStart = byte >= 0x80
      }
      guard count <= mostAliases else { throw YAMLError(file: file, line: line, message: aliasMessage) }
    }
  }

  /// As names of aliases have them; what is not ASCII counts too.
  private static func isLetterOrDigit(_ byte: UInt8) -> Bool {
    byte >= 0x80 || byte == UInt8(ascii: "_") || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
      || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
  }

  /// The first node with an anchor, without which there is no alias; before any alias in the order of the document.
  private static func firstAnchored(_ node: Node) -> Node? {
    if node.anchor != nil { return node }
    switch node {
    case .scalar, .alias: return nil
    case .sequence(let items):
      for item in items { if let found = firstAnchored(item) { return found } }
    case .mapping(let pairs):
      for (key, value) in pairs { if let found = firstAnchored(key) ?? firstAnchored(value) { return found } }
    }
    return nil
  }

  private static func located(_ error: YamlError, file: String) -> YAMLError {
    switch error {
    case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
      .composer(_, let problem, let mark, _):
      return YAMLError(file: file, line: mark.line, column: mark.column, message: "no valid YAML: \(problem)")
    case .duplicatedKeysInMapping(let duplicates, let context):
      return YAMLError(
        file: file, line: context.mark.line, column: context.mark.column,
        message:
          "key \(duplicates.prefix(5).map { "\"\($0.prefix(60))\"" }.joined(separator: ", ")) stands twice: keep one"
      )
    case .reader(let problem, _, _, _): return YAMLError(file: file, message: "no valid YAML: \(problem)")
    default:
      return YAMLError(file: file, message: "no valid YAML: \(error)")
    }
  }

  /// An error at this value.
  public func error(_ message: String) -> YAMLError {
    let prefix = path.isEmpty ? "" : "\(path): "
    return YAMLError(file: file, line: node.mark?.line, column: node.mark?.column, message: prefix + message)
  }

  /// The value that keys lead to, such as `search.images`; `nil` where there is none.
  public func value(at keys: String) -> YAMLValue? {
    var value = self
    for key in keys.split(separator: ".") {
      guard let next = value.node.mapping?[String(key)] else { return nil }
      value = YAMLValue(node: next, file: file, path: value.path.isEmpty ? String(key) : "\(value.path).\(key)")
    }
    return value
  }

  private var kind: String {
    switch node {
    case .scalar(let scalar): "\"\(scalar.string.prefix(40))\""
    case .mapping: "a mapping"
    case .sequence: "a list"
    case .alias: "an alias"
    }
  }

  /// Whether this is a single word or number, rather than a mapping or a list.
  public var isScalar: Bool { node.scalar != nil }
  /// Whether this is a list.
  public var isList: Bool { node.sequence != nil }

  /// The text of a scalar, not empty.
  public func string() throws(YAMLError) -> String {
    guard let scalar = node.scalar else { throw error("is \(kind); a single word or text is right here") }
    guard !scalar.string.isEmpty else { throw error("is empty; a word or text is right here") }
    // An escape such as "\0" in a file; names of files and arguments of programs would end there.
    guard !scalar.string.utf8.contains(0) else { throw error("holds a NUL character, which no text here may have") }
    return scalar.string
  }

  /// One of the given words.
  public func choice(_ words: [String]) throws(YAMLError) -> String {
    let word = try string()
    guard words.contains(word) else {
      throw error("\"\(word.prefix(60))\" is not known here; right would be one of \(words.joined(separator: ", "))")
    }
    return word
  }

  /// A case of an enumeration whose raw values are the words of the file.
  public func choice<Choice>(_ type: Choice.Type) throws(YAMLError) -> Choice
  where Choice: RawRepresentable & CaseIterable, Choice.RawValue == String {
    let word = try choice(Choice.allCases.map(\.rawValue))
    return Choice(rawValue: word)!
  }

  /// A whole number in a range.
  public func int(in range: ClosedRange<Int>) throws(YAMLError) -> Int {
    guard let scalar = node.scalar, let value = Int(scalar.string) else {
      throw error("is \(kind); a whole number from \(range.lowerBound) to \(range.upperBound) is right here")
    }
    guard range.contains(value) else {
      throw error("\(value) is out of range; a whole number from \(range.lowerBound) to \(range.upperBound) is right")
    }
    return value
  }

  /// A finite number in a range.
  public func double(in range: ClosedRange<Double>) throws(YAMLError) -> Double {
    guard let scalar = node.scalar, let value = Double(scalar.string), value.isFinite else {
      throw error("is \(kind); a number from \(range.lowerBound) to \(range.upperBound) is right here")
    }
    guard range.contains(value) else {
      throw error("\(value) is out of range; a number from \(range.lowerBound) to \(range.upperBound) is right")
    }
    return value
  }

  /// `true` or `false`, and no other word.
  public func bool() throws(YAMLError) -> Bool {
    switch node.scalar?.string {
    case "true": return true
    case "false": return false
    default: throw error("is \(kind); true or false is right here")
    }
  }

  /// The items of a list.
  public func list(count range: ClosedRange<Int> = 0...10_000) throws(YAMLError) -> [YAMLValue] {
    guard let sequence = node.sequence else { throw error("is \(kind); a list is right here") }
    guard range.contains(sequence.count) else {
      throw error("has \(sequence.count) items; right would be \(range.lowerBound) to \(range.upperBound)")
    }
    return sequence.enumerated().map { YAMLValue(node: $1, file: file, path: "\(path)[\($0)]") }
  }

  /// The mapping here; keys other than the named ones are refused.
  public func mapping(keys: [String]) throws(YAMLError) -> YAMLMapping {
    guard let mapping = node.mapping else {
      throw error("is \(kind); a mapping with the keys \(keys.joined(separator: ", ")) is right here")
    }
    var values: [String: YAMLValue] = [:]
    for (key, value) in mapping {
      let keyValue = YAMLValue(node: key, file: file, path: path)
      guard let name = key.scalar?.string else { throw keyValue.error("a key must be a word") }
      guard keys.contains(name) else {
        let near = keys.min { editDistance($0, name) < editDistance($1, name) }
        let hint = near.flatMap { editDistance($0, name) <= 3 ? "did you mean \"\($0)\"? " : nil } ?? ""
        throw keyValue.error("unknown key \"\(name.prefix(60))\"; \(hint)Known here: \(keys.joined(separator: ", "))")
      }
      values[name] = YAMLValue(node: value, file: file, path: path.isEmpty ? name : "\(path).\(name)")
    }
    return YAMLMapping(place: self, values: values)
  }
}

/// A mapping whose keys have been checked.
public struct YAMLMapping {
  let place: YAMLValue
  let values: [String: YAMLValue]

  /// The value of a key that must be there.
  public func required(_ key: String) throws(YAMLError) -> YAMLValue {
    guard let value = values[key] else { throw place.error("the key \"\(key)\" is missing") }
    return value
  }

  /// The value of a key that may be left out.
  public func optional(_ key: String) -> YAMLValue? { values[key] }

  /// An error at the mapping itself.
  public func error(_ message: String) -> YAMLError { place.error(message) }
}

private func editDistance(_ a: String, _ b: String) -> Int {
  let a = Array(a.utf8)
  let b = Array(b.utf8.prefix(64))
  var row = Array(0...b.count)
  for (i, x) in a.enumerated() {
    var diagonal = row[0]
    row[0] = i + 1
    for (j, y) in b.enumerated() {
      let above = row[j + 1]
      row[j + 1] = min(min(above, row[j]) + 1, diagonal + (x == y ? 0 : 1))
      diagonal = above
    }
  }
  return row[b.count]
}
