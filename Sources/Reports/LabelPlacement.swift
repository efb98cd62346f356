/// A rectangle of the drawing.
package struct Box: Hashable {
  package var x: Double
  package var y: Double
  package var width: Double
  package var height: Double

  package init(x: Double, y: Double, width: Double, height: Double) {
    (self.x, self.y, self.width, self.height) = (x, y, width, height)
  }

  package func overlaps(_ other: Box) -> Bool {
    x < other.x + other.width && other.x < x + width && y < other.y + other.height && other.y < y + height
  }

  package func contains(_ other: Box) -> Bool {
    other.x >= x && other.y >= y && other.x + other.width <= x + width && other.y + other.height <= y + height
  }

  /// How far a point is from the box; 0 inside.
  func distance(x px: Double, y py: Double) -> Double {
    let dx = max(x - px, 0, px - (x + width))
    let dy = max(y - py, 0, py - (y + height))
    return (dx * dx + dy * dy).squareRoot()
  }

  /// The point of the box that is nearest to a point.
  func nearest(x px: Double, y py: Double) -> (x: Double, y: Double) {
    (min(max(px, x), x + width), min(max(py, y), y + height))
  }
}

/// Finds places for the labels of points: no label on another, as few as can be on marks and lines, each near its point.
package struct LabelPlacement {
  package struct Request {
    package var text: String
    /// The point that the label belongs to.
    package var x: Double
    package var y: Double
    package var width: Double
    /// How far the label keeps from the point.
    package var clearance: Double

    package init(text: String, x: Double, y: Double, width: Double, clearance: Double) {
      (self.text, self.x, self.y, self.width, self.clearance) = (text, x, y, width, clearance)
    }
  }

  /// Where labels may stand.
  package var bounds: Box
  /// Marks, hardly ever to be covered.
  package var marks: [Box]
  /// Bits of line and other text, better not covered.
  package var obstacles: [Box]

  package init(bounds: Box, marks: [Box] = [], obstacles: [Box]) {
    self.bounds = bounds
    self.marks = marks
    self.obstacles = obstacles
  }

  package static let height = 13.0
  /// Up to here every label gets a place, however far; more of them only where there is room nearby.
  package static let guaranteed = 12
  /// Labels beyond this number are not tried: the plot would be a thicket long before.
  package static let mostTried = 60

  /// A box for each request, or `nil` where no room was left.
  package func place(_ requests: [Request]) -> [Box?] {
    var placed = [Box?](repeating: nil, count: requests.count)
    // The most crowded points choose first.
    let tried = requests.prefix(Self.mostTried)
    let crowding = tried.map { request in
      tried.count { abs($0.x - request.x) < 60 && abs($0.y - request.y) < 24 }
    }
    let order = tried.indices.sorted { (-crowding[$0], $0) < (-crowding[$1], $1) }
    let mayGoFar = requests.count <= Self.guaranteed
    for index in order { placed[index] = best(for: index, requests, placed, mayGoFar: mayGoFar) }
    // A second look: a label that chose early may do better now, or one that found no room may find some.
    for _ in 0..<3 {
      for index in order { placed[index] = best(for: index, requests, placed, mayGoFar: mayGoFar) }
    }
    return placed
  }

  private func best(
    for index: Int, _ requests: [Request], _ placed: [Box?], mayGoFar: Bool
  ) -> Box? {
    let request = requests[index]
    let others = placed.indices.compactMap { $0 == index ? nil : placed[$0] }
    var best: Box?
    var bestCost = Double.infinity
    func consider(_ box: Box, preference: Double) {
      guard bounds.contains(box), !others.contains(where: box.overlaps) else { return }
      var cost = preference + box.distance(x: request.x, y: request.y)
      if cost >= bestCost { return }
      for obstacle in obstacles where obstacle.overlaps(box) { cost += 9 }
      for mark in marks where mark.overlaps(box) { cost += 32 }
      // A label must not look as if it belonged to another point.
      for (other, request) in requests.enumerated() where other != index {
        if box.distance(x: request.x, y: request.y) < request.clearance { cost += 14 }
      }
      if cost < bestCost { (best, bestCost) = (box, cost) }
    }
    for (candidate, preference) in nearby(request) { consider(candidate, preference: preference) }
    if mayGoFar && (best == nil || bestCost > 34) {
      for candidate in everywhere(request) { consider(candidate, preference: 12) }
    }
    return best
  }

  private func nearby(_ request: Request) -> [(Box, Double)] {
    var candidates: [(Box, Double)] = []
    let (width, height) = (request.width, Self.height)
    for (ring, gap) in [request.clearance, request.clearance + 7, request.clearance + 16].enumerated() {
      let cost = Double(ring) * 3
      let right = request.x + gap
      let left = request.x - gap - width
      let above = request.y - gap - height
      let below = request.y + gap
      let middle = request.y - height / 2
      let centre = request.x - width / 2
      let near = gap * 0.71
      candidates.append((Box(x: right, y: middle, width: width, height: height), cost))
      candidates.append(
        (Box(x: request.x + near, y: request.y - near - height, width: width, height: height), cost + 1))
      candidates.append((Box(x: centre, y: above, width: width, height: height), cost + 1))
      candidates.append((Box(x: request.x + near, y: request.y + near, width: width, height: height), cost + 2))
      candidates.append((Box(x: centre, y: below, width: width, height: height), cost + 2))
      candidates.append((Box(x: left, y: middle, width: width, height: height), cost + 2))
      candidates.append(
        (Box(x: request.x - near - width, y: request.y - near - height, width: width, height: height), cost + 2))
      candidates.append((Box(x: request.x - near - width, y: request.y + near, width: width, height: height), cost + 3))
    }
    return candidates
  }

  private func everywhere(_ request: Request) -> [Box] {
    var candidates: [Box] = []
    var y = bounds.y
    while y + Self.height <= bounds.y + bounds.height {
      var x = bounds.x
      while x + request.width <= bounds.x + bounds.width {
        candidates.append(Box(x: x, y: y, width: request.width, height: Self.height))
        x += 9
      }
      y += Self.height / 2
    }
    return candidates
  }
}
