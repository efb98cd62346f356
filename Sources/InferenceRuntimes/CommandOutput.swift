/// What a device's command printed, as times.
package struct CommandOutput {
  /// Nanoseconds by model, in the order of the models; `nil` where there was none.
  package private(set) var nanoseconds: [Double?]
  /// What does not fit, for the user to read; `nil` where all is well.
  package private(set) var complaint: String?

  /// - Parameters:
  ///   - text: Standard output.
  ///   - names: The models' names.
  package init(_ text: String, names: [String], device: CommandDevice) {
    nanoseconds = names.map { _ in nil }
    let numbers = device.pattern.map { CommandOutput.matches(of: $0, in: text) } ?? CommandOutput.lines(of: text)
    var next = 0
    for (name, word) in numbers {
      var index = next
      if let name {
        guard let named = names.firstIndex(of: name) else {
          complaint = "printed \"\(name.prefix(60)) \(word.prefix(60))\", and \(name.prefix(60)) is none of the models"
          return
        }
        index = named
      }
      guard names.indices.contains(index) else {
        // Which number belongs to which model is then anyone's guess.
        nanoseconds = names.map { _ in nil }
        complaint = "printed more numbers than there are models (\(names.count))"
        return
      }
      // Nothing ends within a nanosecond, or is waited for for hours.
      guard let value = Double(word), (1..<1e13).contains(value * device.unit.nanoseconds) else {
        complaint =
          "printed \"\(word.prefix(60))\" where the \(device.unit) of \(names[index]) belong: a positive number is right"
        return
      }
      // A tool may print several times of a model; the shortest counts.
      nanoseconds[index] = min(nanoseconds[index] ?? .infinity, value * device.unit.nanoseconds)
      if name == nil { next += 1 }
    }
    let missing = zip(names, nanoseconds).filter { $0.1 == nil }.map(\.0)
    guard !missing.isEmpty else { return }
    complaint = "printed no time of \(missing.joined(separator: ", "))"
    // The usual cause is a pattern that does not fit, which shows beside what was printed.
    if let pattern = device.pattern, numbers.isEmpty {
      let printed = text.split(whereSeparator: \.isWhitespace).joined(separator: " ")
      complaint? +=
        ": the pattern \"\(pattern.prefix(60))\" is nowhere in "
        + (printed.isEmpty ? "what it printed, which was nothing" : "\"\(printed.prefix(200))\"")
    }
  }

  /// `NAME NUMBER` or `NUMBER`, a line each.
  private static func lines(of text: String) -> [(name: String?, word: String)] {
    text.split(whereSeparator: \.isNewline).compactMap { line in
      let words = line.split(whereSeparator: \.isWhitespace).map(String.init)
      switch words.count {
      case 0: return nil
      case 2: return (words[0], words[1])
      default: return (nil, words.joined(separator: " "))
      }
    }
  }

  private static func matches(of pattern: String, in text: String) -> [(name: String?, word: String)] {
    guard let expression = try? Regex(pattern) else { return [] }
    return text.matches(of: expression).map { match in (nil, match.output[1].substring.map(String.init) ?? "") }
  }
}
