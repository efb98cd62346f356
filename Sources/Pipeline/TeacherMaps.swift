import Foundation
import NetworkGraphs
import RunFolders
import TorchTraining

/// The teacher's maps at the boundaries of the stages: for the images that stages are distilled on and for those that
/// judge them. Computed once in a run, and kept in a file.
struct TeacherMaps {
  /// One a boundary, `[N, C, H, W]`: the stem's output, then each stage's, before their activations.
  let training: [Tensor]
  let judging: [Tensor]
  /// Of each boundary's channels over images and space, `[C]`.
  let variances: [Tensor]

  private init(training: [Tensor], judging: [Tensor]) throws {
    self.training = training
    self.judging = judging
    variances = try training.map(channelVariances)
    // Every stage would diverge from such a teacher, and each would say so.
    for (boundary, variance) in variances.enumerated() where try !variance.floats().allSatisfy(\.isFinite) {
      throw TrainingError(
        "the teacher's maps before stage \(boundary + 1) are no numbers: its weights are spoilt, or its training went wrong. "
          + "Train it with a lower learning rate, in another run")
    }
  }

  /// The shape of one image's map at a boundary.
  func shape(_ boundary: Int) -> TensorShape {
    let shape = training[boundary].shape
    return TensorShape(channels: shape[1], height: shape[2], width: shape[3])
  }

  /// The maps that an earlier process left, or new ones.
  ///
  /// - Parameter make: The teacher's maps of images, one a boundary, for training and for judging.
  init(keptIn file: URL, boundaries: Int, make: () throws -> (training: [Tensor], judging: [Tensor])) throws {
    if file.isThere {
      let stored = try Safetensors(contentsOf: file)
      func maps(_ name: String) throws -> [Tensor] {
        try (0..<boundaries).map { boundary in
          guard let tensor = stored.tensors["\(name).\(boundary)"], case .float32(let values) = tensor.elements,
            tensor.shape.count == 4, !values.isEmpty
          else {
            throw TrainingError(
              "\(file.path(percentEncoded: false)) is no file of \(boundaries) maps of a teacher; remove it, and it is made again"
            )
          }
          return try Tensor.floats(values, shape: tensor.shape).channelsLast()
        }
      }
      try self.init(training: maps("training"), judging: maps("judging"))
      return
    }
    let made = try make()
    var tensors: [String: StoredTensor] = [:]
    for (name, maps) in [("training", made.training), ("judging", made.judging)] {
      for (boundary, map) in maps.enumerated() {
        tensors["\(name).\(boundary)"] = try StoredTensor(shape: map.shape, elements: .float32(map.floats()))
      }
    }
    try AtomicFile.write(try Safetensors(tensors: tensors).encoded(), to: file)
    try self.init(training: made.training, judging: made.judging)
  }
}
