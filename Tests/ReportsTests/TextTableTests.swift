import Reports
import Testing

@Suite("Tables in a terminal")
struct TextTableTests {
  @Test("Units stand in the header, figures to the right, and no line ends in spaces")
  func results() {
    let expected = """
      The exported files. Accuracy is that of the file itself, over 10 000 test images that nothing else has seen.
      Model        Predicted (ms)  Measured (ms)  Accuracy (%)  MACs (M)  Parameters (k)
      -----------  --------------  -------------  ------------  --------  --------------
      small.onnx            0.083          0.084         84.12      1.84            96.3
      medium.onnx           0.152          0.149         87.90      5.12             214
      large.onnx            0.348          0.352         90.81      14.4             655

      """
    #expect(TextTable(SampleReport.results).text() == expected)
  }

  @Test("Thin spaces, line breaks and wide characters keep the columns")
  func oddCells() {
    let table = Table(
      columns: [.init("Name"), .number("Count")],
      rows: [[.init("日本"), .init(NumberText.count(12_345))], [.init("a\nb"), "1"], ["only"]])
    let expected = """
      Name   Count
      ----  ------
      日本  12 345
      a b        1
      only

      """
    #expect(TextTable(table).text() == expected)
  }

  @Test("A table with no columns and one with no rows")
  func empty() {
    #expect(TextTable(Table(columns: [], rows: [])).text() == "\n\n")
    #expect(TextTable(Table(columns: [.init("A")], rows: [])).text() == "A\n-\n")
  }
}
