import Reports
import Testing

@Suite("Labels of points")
struct LabelPlacementTests {
  @Test("Up to twelve labels all find a place inside, none on another", arguments: 0..<120)
  func noOverlap(seed: Int) {
    var numbers = SeededNumbers(seed: seed)
    let bounds = Box(x: 40, y: 20, width: seed.isMultiple(of: 2) ? 600 : 280, height: 210)
    let count = 1 + seed % LabelPlacement.guaranteed
    // From all at one point to spread over the plot; labels up to 42 % of the plot wide, as charts cut them.
    let spread = [0, 5, 40, 600][seed % 4] * 1.0
    let requests = (0..<count).map { index in
      LabelPlacement.Request(
        text: "n\(index)", x: min(60 + spread * numbers.fraction(), 40 + bounds.width),
        y: 60 + min(spread, 150) * numbers.fraction(), width: 20 + numbers.fraction() * (bounds.width * 0.42 - 20),
        clearance: 7)
    }
    let boxes = LabelPlacement(bounds: bounds, obstacles: []).place(requests)
    let placed = boxes.compactMap(\.self)
    #expect(placed.count == count)
    for (index, box) in placed.enumerated() {
      #expect(bounds.contains(box))
      for other in placed[(index + 1)...] { #expect(!box.overlaps(other)) }
    }
  }

  @Test("More than that are dropped rather than laid on one another")
  func manyLabels() {
    let requests = (0..<100).map { index in
      LabelPlacement.Request(text: "n\(index)", x: 100 + Double(index % 3), y: 100, width: 60, clearance: 7)
    }
    let bounds = Box(x: 0, y: 0, width: 300, height: 200)
    let placed = LabelPlacement(bounds: bounds, obstacles: []).place(requests).compactMap(\.self)
    #expect(!placed.isEmpty && placed.count < 100)
    for (index, box) in placed.enumerated() {
      for other in placed[(index + 1)...] { #expect(!box.overlaps(other)) }
    }
  }

  @Test("A lone label stands right beside its point, and off what is there")
  func prefersNearAndFree() throws {
    let request = LabelPlacement.Request(text: "a", x: 100, y: 100, width: 30, clearance: 7)
    let bounds = Box(x: 0, y: 0, width: 300, height: 200)
    let free = try #require(LabelPlacement(bounds: bounds, obstacles: []).place([request])[0])
    #expect(free.x == 107)
    let obstacle = Box(x: 105, y: 80, width: 60, height: 40)
    let moved = try #require(LabelPlacement(bounds: bounds, obstacles: [obstacle]).place([request])[0])
    #expect(!moved.overlaps(obstacle))
  }

  @Test("In a chart, twelve long labels of close points are all drawn, none on another", arguments: [400.0, 720])
  func crowdedChart(width: Double) throws {
    let labels = try MarkupTree(parsing: SampleReport.crowded.svg(width: width)).all("text", class: "point-label")
    #expect(labels.count == 12)
    // 0.56 em a letter is a usual sans-serif face; a line is as high as its letters, 0.9 em.
    let boxes = try labels.map { label in
      Box(
        x: try #require(label.number("x")), y: try #require(label.number("y")) - 9,
        width: Double(label.text.count) * 0.56 * 11, height: 10)
    }
    for (index, box) in boxes.enumerated() {
      for other in boxes[(index + 1)...] { #expect(!box.overlaps(other)) }
    }
  }
}
