/// Why a YAML file was refused, and where.
///
///     do { … } catch let error as YAMLError { print(error) }   // hyperspace.yaml:12:5: unknown key "kernel"; …
public struct YAMLError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The file as the user named it, or the name of a built-in document.
  public var file: String
  /// One-based; `nil` where the fault has no place, such as a file that cannot be opened.
  public var line: Int?
  /// One-based.
  public var column: Int?
  /// What is wrong and what would be right.
  public var message: String

  public init(file: String, line: Int? = nil, column: Int? = nil, message: String) {
    self.file = file
    self.line = line
    self.column = column
    self.message = message
  }

  public var description: String {
    guard let line else { return "\(file): \(message)" }
    guard let column else { return "\(file):\(line): \(message)" }
    return "\(file):\(line):\(column): \(message)"
  }
}
