// What every kernel that quantises shares: from learned parameters to the numbers that they stand for, and back to
// gradients. The formulas are at the head of Quantizers.cpp.
#pragma once

#include "Boundary.hpp"

#include <ATen/Functions.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cmath>
#include <optional>
#include <vector>

namespace ctorch {

constexpr float largest_weight = 127;
constexpr float largest_activation = 255;

inline float clamped(float v, float lo, float hi) {
  // Written so that a NaN stays a NaN: a diverged run must not look healthy behind a quantiser.
  v = v < lo ? lo : v;
  return v > hi ? hi : v;
}

inline float effective(float scale, float max_scale) {
  const float s = std::max(std::abs(scale), ct_smallest_scale);
  // std::max would turn a NaN scale into the smallest one.
  if (std::isnan(scale)) return scale;
  return max_scale > 0 ? std::min(s, max_scale) : s;
}

// Gradient with respect to the learned scale from that with respect to the effective one.
inline double learned(double gradient, float scale, float max_scale) {
  if (max_scale > 0 && std::abs(scale) >= max_scale && gradient < 0) return 0;
  return scale < 0 ? -gradient : gradient;
}

inline float zero_point(float s, float beta) { return clamped(std::nearbyint(-beta / s), 0, largest_activation); }

inline float element(const at::Tensor &tensor) { return *tensor.const_data_ptr<float>(); }

void check_activation(const at::Tensor &scale, const CTTensor *beta);

// A quantiser of activations as a function of autograd has it between its two directions: copies of the two learned
// numbers, since the graph must not notice that a later step changes them.
struct LearnedQuantizer {
  float scale = 0, beta = 0, max_scale = 0;
  bool affine = false;
  std::vector<int64_t> scale_shape, beta_shape;

  LearnedQuantizer(const at::Tensor &scale, const std::optional<at::Tensor> &beta, double max_scale)
      : scale(element(scale)),
        beta(beta ? element(*beta) : 0),
        max_scale(static_cast<float>(max_scale)),
        affine(beta.has_value()),
        scale_shape(scale.sizes().vec()) {
    if (beta) beta_shape = beta->sizes().vec();
  }

  explicit LearnedQuantizer(torch::autograd::AutogradContext *context) {
    auto &saved = context->saved_data;
    const std::vector<double> numbers = saved["quantizer"].toDoubleVector();
    scale = static_cast<float>(numbers[0]);
    beta = static_cast<float>(numbers[1]);
    max_scale = static_cast<float>(numbers[2]);
    affine = numbers[3] != 0;
    scale_shape = saved["scaleShape"].toIntVector();
    if (affine) beta_shape = saved["betaShape"].toIntVector();
  }

  void save(torch::autograd::AutogradContext *context) const {
    context->saved_data["quantizer"] = std::vector<double>{scale, beta, max_scale, affine ? 1.0 : 0.0};
    context->saved_data["scaleShape"] = scale_shape;
    if (affine) context->saved_data["betaShape"] = beta_shape;
  }

  float s() const { return effective(scale, max_scale); }
  float z() const { return affine ? zero_point(s(), beta) : 0; }
  float lo() const { return -z(); }
  float hi() const { return largest_activation - z(); }

  // Gradients of scale and beta (undefined without one) from the sums of upstream x slope, and of upstream outside the
  // range, over the elements of `x`.
  std::pair<at::Tensor, at::Tensor> gradients(double slopes, double outside, const at::Tensor &x) const {
    const int64_t images = x.dim() > 1 ? std::max<int64_t>(x.size(0), 1) : 1;
    const double factor =
        1 / std::sqrt(static_cast<double>(std::max<int64_t>(x.numel() / images, 1)) * largest_activation);
    const auto options = at::TensorOptions(at::kFloat);
    const at::Tensor ds = at::full(scale_shape, learned(slopes * factor, scale, max_scale), options);
    if (!affine) return {ds, at::Tensor()};
    double gradient = outside * factor;
    const float exact = -beta / s();
    if ((exact < 0 && gradient < 0) || (exact > largest_activation && gradient > 0)) gradient = 0;
    return {ds, at::full(beta_shape, gradient, options)};
  }
};

}  // namespace ctorch
