import Foundation

/// Whether a training is still one, judged at the end of an epoch.
///
/// A network has collapsed whose accuracy is that of a guess after it had clearly been better, or still is one long after
/// the warm-up, or with a loss that is more than twice that of knowing nothing. Accuracies are told by standard deviations of a guess over the validation images, so that chance alone does not
/// raise an alarm: two above it is a guess, six above it is clearly better.
struct CollapseCheck: Hashable, Sendable {
  /// What a guess reaches: the share of the commonest class.
  let chance: Double
  /// Validation images that accuracies are taken on.
  let images: Int
  /// The cross entropy of knowing nothing: the logarithm of the number of classes.
  let guessLoss: Double
  /// Only these are judged; a random subnet may be a poor one.
  let names: Set<String>
  /// From here on a network must have learnt something.
  let patience: Int

  /// Steps after the warm-up.
  static let patience = 500
  /// A quantiser's scale that grew by more than this since the last checkpoint has exploded.
  static let scaleGrowth: Float = 100

  /// - Parameter labels: Of the validation images.
  init(labels: [Int], classes: Int, names: Set<String>, warmUpSteps: Int) {
    let counts = labels.reduce(into: [Int: Int]()) { $0[$1, default: 0] += 1 }
    chance = Double(counts.values.max() ?? 0) / Double(max(1, labels.count))
    images = labels.count
    guessLoss = log(Double(classes))
    self.names = names
    patience = warmUpSteps + Self.patience
  }

  private var deviation: Double { (chance * (1 - chance) / Double(max(1, images))).squareRoot() }
  var guess: Double { chance + 2 * deviation }
  var clearlyBetter: Double { chance + 6 * deviation }

  /// - Parameters:
  ///   - step: Steps done in this phase.
  ///   - loss: Mean over the epoch, of the largest subnet.
  ///   - best: Accuracies reached before.
  /// - Returns: What is wrong; `nil` where nothing is.
  func fault(step: Int, loss: Double, validation: [String: Double], best: [String: Double]) -> String? {
    for name in validation.keys.sorted() where names.contains(name) {
      let accuracy = validation[name]!
      guard accuracy <= guess else { continue }
      let figures = "\(percent(accuracy)) of the validation images right, where a guess reaches \(percent(chance))"
      if let before = best[name], before >= clearlyBetter {
        return "the \(name) subnet has \(figures), and had \(percent(before))"
      }
      if loss > 2 * guessLoss {
        return
          "the mean loss of the epoch is \(loss.rounded(to: 2)), where knowing nothing has \(guessLoss.rounded(to: 2)), "
          + "and the \(name) subnet has \(figures)"
      }
      if step >= patience { return "after \(step) steps the \(name) subnet has \(figures)" }
    }
    return nil
  }

  private func percent(_ share: Double) -> String { "\((100 * share).rounded(to: 1)) %" }
}
