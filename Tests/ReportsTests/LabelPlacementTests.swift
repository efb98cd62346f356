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
}
