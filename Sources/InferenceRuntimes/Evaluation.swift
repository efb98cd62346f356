/// What a model says of labelled images.
public struct Evaluation: Hashable, Sendable {
  /// How many images the model names right.
  public var correct: Int
  /// The class of the largest logit of each image; the first of equal ones.
  public var predictions: [Int]

  public var images: Int { predictions.count }
  /// The share of images named right, from 0 to 1.
  public var accuracy: Double { images == 0 ? 0 : Double(correct) / Double(images) }
}

extension InferenceSession {
  /// Runs a classifier on labelled images.
  ///
  /// - Parameters:
  ///   - images: Count x channels x height x width, uint8.
  ///   - labels: One class an image.
  ///   - batch: Images a call. One is what latency is measured with; OpenVINO compiles a model in another way for another
  ///     number, and then computes a few bytes a step apart. Models with a fixed number of images use that.
  ///   - progress: Called after each call with how many images are done.
  /// - Throws: `InferenceError` with code `wrongInput` where images, labels and model do not fit.
  public func evaluate(
    _ images: [UInt8], labels: [Int32], batch: Int = 1, progress: (Int) -> Void = { _ in }
  ) throws(InferenceError) -> Evaluation {
    guard let input = inputs.first, inputs.count == 1, let output = outputs.first else {
      throw InferenceError(.modelUnsupported, "the model has \(inputs.count) inputs; a classifier has one")
    }
    let imageSize = input.elementsPerImage
    guard images.count == labels.count * imageSize else {
      throw InferenceError(
        .wrongInput,
        "\(labels.count) images of \(imageSize) bytes are \(labels.count * imageSize); \(images.count) were given")
    }
    let classes = output.elementsPerImage
    let fixed = input.shape.first ?? nil
    guard fixed.map({ $0 > 0 }) ?? true, classes > 0, imageSize > 0 else {
      throw InferenceError(.modelUnsupported, "the model takes or gives nothing: one of its dimensions is 0")
    }
    guard fixed.map({ labels.count.isMultiple(of: $0) }) ?? true else {
      throw InferenceError(.wrongInput, "\(labels.count) images are no multiple of the \(fixed!) that the model takes")
    }
    var predictions: [Int] = []
    predictions.reserveCapacity(labels.count)
    while predictions.count < labels.count {
      let first = predictions.count
      let count = min(fixed ?? batch, labels.count - first)
      let logits = try run(Array(images[first * imageSize..<(first + count) * imageSize]), images: count)
      guard logits.count == count * classes else {
        throw InferenceError(
          .modelUnsupported,
          "the model's output has \(logits.count) numbers for \(count) images; \(classes) classes an image are right")
      }
      for image in 0..<count {
        let row = logits[image * classes..<(image + 1) * classes]
        predictions.append(row.indices.reduce(row.startIndex) { row[$1] > row[$0] ? $1 : $0 } - row.startIndex)
      }
      progress(predictions.count)
    }
    let correct = zip(predictions, labels).count { $0 == Int($1) }
    return Evaluation(correct: correct, predictions: predictions)
  }
}
