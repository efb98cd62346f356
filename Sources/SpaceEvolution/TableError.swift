/// Why a stage table was refused, and where.
///
///     do { … } catch let error as TableError { print(error) }
///     // stage3_1_2.csv:17:24: "NaN" is no loss; a plain decimal such as 0.3918 is right here
public struct TableError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The file's name or path as the user gave it.
  public var file: String
  /// One-based; `nil` where the fault has no line, such as a file that is missing.
  public var line: Int?
  /// One-based, in bytes.
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
