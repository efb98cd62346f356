// LSQ+ fake quantisation (Esser et al., LSQ, arXiv 1902.08153; Bhalgat et al., LSQ+, arXiv 2004.09576), each direction
// in one pass over memory.
//
// With lo = -z and hi = 255 - z for activations, lo = -127 and hi = 127 for weights, v = x / s and
// r = round-half-even(v), `inside` meaning lo <= r <= hi:
//
//     forward      y = s clamp(r, lo, hi)
//     d y / d x    1 inside, otherwise 0
//     weights      d y / d s = r - v inside, lo below, hi above
//     activations  d y / d s = r - v inside, 0 below, 255 above;  d y / d beta = 0 inside, 1 outside
//
// The activation formulas are LSQ+'s, those of y = s round(clamp((x - beta) / s, 0, 255)) + beta: the forward pass uses
// the nearest integer zero point, and the gradient goes straight through that rounding. The gradients of s and beta are
// multiplied by 1 / sqrt(n * largest integer), n being the elements of one output channel for a weight (it has a scale
// of its own) and the elements of one image's feature map, channels * rows * columns, for an activation (LSQ
// section 2.2: the number of features of the layer, which does not count the batch).
//
// A learned scale stands for max(|s|, ct_smallest_scale), capped by max_scale where one is given. A gradient that would
// take the scale further above its cap, or the zero point further outside [0, 255], is dropped, so neither drifts away.
#include "QuantizerMath.hpp"

#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cmath>
#include <vector>

using at::Tensor;
using ctorch::boundary;
using ctorch::check_activation;
using ctorch::clamped;
using ctorch::dense;
using ctorch::describe;
using ctorch::effective;
using ctorch::element;
using ctorch::give;
using ctorch::largest_activation;
using ctorch::largest_weight;
using ctorch::learned;
using ctorch::LearnedQuantizer;
using ctorch::ordered_like;
using ctorch::require;
using ctorch::zero_point;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

extern "C" const float ct_smallest_scale = 1e-8f;

namespace {

// Sums are taken over blocks of this many elements and then added up in order: exact enough in float inside a block,
// and the same for every number of threads.
constexpr int64_t block = 8192;

struct Sums {
  double scale = 0;
  double beta = 0;
};

// y = unit times the integer: the scale for real values, 1 for the integers themselves.
CT_VECTORISED void quantise(const float *x, float *y, int64_t count, float s, float lo, float hi, float unit) {
  for (int64_t i = 0; i < count; ++i) {
    float v = x[i] / s;
    v = v < lo ? lo : v;
    v = v > hi ? hi : v;
    y[i] = unit * std::nearbyint(v);
  }
}

// `below` and `above` are what d y / d s is outside the range; upstream gradients are `factor` times `g`.
CT_VECTORISED void differentiate(const float *x, const float *g, float factor, float *dx, int64_t count, float s,
                                 float lo, float hi, float below, float above, float *scale_sum, float *outside_sum) {
#pragma clang fp reassociate(on)
  float scale = 0, outside = 0;
  for (int64_t i = 0; i < count; ++i) {
    const float v = x[i] / s;
    const float r = std::nearbyint(v);
    const bool under = r<lo, over = r> hi;
    const float upstream = factor * g[i];
    const float inside = under || over ? 0.0f : upstream;
    const float slope = under ? below : over ? above : r - v;
    dx[i] = inside;
    scale += upstream * slope;
    outside += upstream - inside;
  }
  *scale_sum = scale;
  *outside_sum = outside;
}

// Squared error of a quantiser, each value counting `weight` times.
CT_VECTORISED float squared_error(const float *x, const float *weight, int64_t count, float s, float lo, float hi) {
#pragma clang fp reassociate(on)
  float sum = 0;
  for (int64_t i = 0; i < count; ++i) {
    float v = x[i] / s;
    v = v < lo ? lo : v;
    v = v > hi ? hi : v;
    const float difference = x[i] - s * std::nearbyint(v);
    sum += weight[i] * difference * difference;
  }
  return sum;
}

void require_float(const Tensor &tensor, const char *name) {
  require(tensor.scalar_type() == at::kFloat, std::string(name) + " must be float32");
}

class WeightQuantizer : public torch::autograd::Function<WeightQuantizer> {
 public:
  // With a positive `input_scale` the result is the integers, for a convolution of maps in steps of that scale.
  static Tensor forward(AutogradContext *context, const Tensor &w, const Tensor &scale, double input_scale) {
    const Tensor x = dense(w), scales = scale.contiguous();
    Tensor y = at::empty_like(x);
    const int64_t channels = x.size(0), count = x.numel() / std::max<int64_t>(channels, 1);
    const float *s = scales.const_data_ptr<float>(), *from = x.const_data_ptr<float>();
    float *to = y.data_ptr<float>();
    // Channels are outermost in both memory orders, so each is one run of memory.
    for (int64_t c = 0; c < channels; ++c) {
      const float effective_scale = effective(s[c], 0);
      quantise(from + c * count, to + c * count, count, effective_scale, -largest_weight, largest_weight,
               input_scale > 0 ? 1 : effective_scale);
    }
    context->save_for_backward({x, scales});
    context->saved_data["inputScale"] = input_scale;
    return y;
  }

  static variable_list backward(AutogradContext *context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const Tensor &x = saved[0], &scales = saved[1];
    const Tensor g = ordered_like(gradients[0], x);
    Tensor dx = at::empty_like(x), ds = at::empty_like(scales);
    const int64_t channels = x.size(0), count = x.numel() / std::max<int64_t>(channels, 1);
    const double factor = 1 / std::sqrt(static_cast<double>(count) * largest_weight);
    const float *s = scales.const_data_ptr<float>();
    const float input_scale = static_cast<float>(context->saved_data["inputScale"].toDouble());
    for (int64_t c = 0; c < channels; ++c) {
      double sum = 0;
      const float effective_scale = effective(s[c], 0);
      // The gradient of the integers holds the weight's scale and lacks the input's (ConvolutionSteps.cpp).
      const float real = input_scale > 0 ? input_scale / effective_scale : 1;
      for (int64_t start = c * count; start < (c + 1) * count; start += block) {
        float partial, outside;
        differentiate(x.const_data_ptr<float>() + start, g.const_data_ptr<float>() + start, real,
                      dx.data_ptr<float>() + start, std::min(block, (c + 1) * count - start), effective_scale,
                      -largest_weight, largest_weight, -largest_weight, largest_weight, &partial, &outside);
        sum += partial;
      }
      ds.data_ptr<float>()[c] = static_cast<float>(learned(sum * factor, s[c], 0));
    }
    return {dx, ds, Tensor()};
  }
};

class ActivationQuantizer : public torch::autograd::Function<ActivationQuantizer> {
 public:
  static Tensor forward(AutogradContext *context, const Tensor &input, const Tensor &scale,
                        const std::optional<Tensor> &beta, double max_scale, bool in_steps) {
    const Tensor x = dense(input);
    Tensor y = at::empty_like(x);
    const LearnedQuantizer quantizer(scale, beta, max_scale);
    const float *from = x.const_data_ptr<float>();
    float *to = y.data_ptr<float>();
    at::parallel_for(0, x.numel(), 4 * block, [&](int64_t start, int64_t end) {
      quantise(from + start, to + start, end - start, quantizer.s(), quantizer.lo(), quantizer.hi(),
               in_steps ? 1 : quantizer.s());
    });
    context->save_for_backward({x});
    quantizer.save(context);
    return y;
  }

  static variable_list backward(AutogradContext *context, variable_list gradients) {
    const Tensor x = context->get_saved_variables()[0];
    const LearnedQuantizer quantizer(context);
    const Tensor g = ordered_like(gradients[0], x);
    Tensor dx = at::empty_like(x);
    const int64_t count = x.numel(), blocks = (count + block - 1) / block;
    std::vector<Sums> partial(blocks);
    at::parallel_for(0, blocks, 4, [&](int64_t first, int64_t last) {
      for (int64_t b = first; b < last; ++b) {
        float scale_sum, outside_sum;
        differentiate(x.const_data_ptr<float>() + b * block, g.const_data_ptr<float>() + b * block, 1,
                      dx.data_ptr<float>() + b * block, std::min(block, count - b * block), quantizer.s(),
                      quantizer.lo(), quantizer.hi(), 0, largest_activation, &scale_sum, &outside_sum);
        partial[b] = {scale_sum, outside_sum};
      }
    });
    Sums sums;
    for (const Sums &p : partial) sums = {sums.scale + p.scale, sums.beta + p.beta};
    const auto [dscale, dbeta] = quantizer.gradients(sums.scale, sums.beta, x);
    return {dx, dscale, dbeta, Tensor(), Tensor()};
  }
};

void check_weight(const Tensor &w, const Tensor &scale) {
  require_float(w, "a weight");
  require_float(scale, "a weight's scale");
  require(w.dim() >= 1 && scale.dim() == 1 && scale.size(0) == w.size(0),
          "a weight of shape " + describe(w) + " needs one scale per output channel, not scales of shape " +
              describe(scale));
}

// The values of a tensor, gathered into the means of narrow bins: searching a range on these costs the same for every
// size of tensor, and misses no outlier, as a sample would.
struct Histogram {
  std::vector<float> values, weights;

  Histogram(const float *x, int64_t count, float low, float high) {
    constexpr int64_t bins = 4096;
    // A range too narrow or too wide for single precision is one bin.
    const float range = high - low;
    const float per_unit = range >= 1e-30f && range <= 1e38f ? static_cast<float>(bins) / range : 0;
    std::vector<double> sums(bins, 0), counts(bins, 0);
    for (int64_t i = 0; i < count; ++i) {
      const float value = clamped(x[i], low, high);
      const int64_t bin = std::min(bins - 1, static_cast<int64_t>((value - low) * per_unit));
      sums[bin] += value;
      counts[bin] += 1;
    }
    for (int64_t bin = 0; bin < bins; ++bin) {
      if (counts[bin] == 0) continue;
      values.push_back(static_cast<float>(sums[bin] / counts[bin]));
      weights.push_back(static_cast<float>(counts[bin]));
    }
  }
};

struct Range {
  float low, high, error;
};

// The error of the quantiser whose integers reach from `low` <= 0 to `high` >= 0.
Range evaluated(const Histogram &x, float low, float high) {
  const float s = std::max((high - low) / largest_activation, ct_smallest_scale);
  const float z = zero_point(s, low);
  return {low, high, squared_error(x.values.data(), x.weights.data(), x.values.size(), s, -z, largest_activation - z)};
}

}  // namespace

void ctorch::check_activation(const Tensor &scale, const CTTensor *beta) {
  require_float(scale, "a quantiser's scale");
  require(scale.numel() == 1, "an activation quantiser has one scale, not " + describe(scale));
  if (beta != nullptr) {
    require_float(beta->value, "a quantiser's beta");
    require(beta->value.numel() == 1, "an activation quantiser has one beta, not " + describe(beta->value));
  }
}

int32_t ct_lsq_weight(const CTTensor *w, const CTTensor *scale, CTTensor **out) {
  return boundary([&] {
    check_weight(w->value, scale->value);
    give(out, WeightQuantizer::apply(w->value, scale->value, 0.0));
  });
}

int32_t ct_lsq_weight_steps(const CTTensor *w, const CTTensor *scale, float input_scale, CTTensor **out) {
  return boundary([&] {
    check_weight(w->value, scale->value);
    require(input_scale > 0, "the scale of a convolution's input is positive");
    give(out, WeightQuantizer::apply(w->value, scale->value, static_cast<double>(input_scale)));
  });
}

static void quantise_activation(const CTTensor *x, const CTTensor *scale, const CTTensor *beta, float max_scale,
                                bool in_steps, CTTensor **out) {
  require_float(x->value, "an activation");
  check_activation(scale->value, beta);
  require(beta == nullptr || max_scale <= 0, "a largest scale is for quantisers without a beta");
  const std::optional<Tensor> offset = beta ? std::optional<Tensor>(beta->value) : std::nullopt;
  give(out, ActivationQuantizer::apply(x->value, scale->value, offset, static_cast<double>(max_scale), in_steps));
}

int32_t ct_lsq_activation(const CTTensor *x, const CTTensor *scale, const CTTensor *beta, float max_scale,
                          CTTensor **out) {
  return boundary([&] { quantise_activation(x, scale, beta, max_scale, false, out); });
}

int32_t ct_lsq_activation_steps(const CTTensor *x, const CTTensor *scale, const CTTensor *beta, float max_scale,
                                CTTensor **out) {
  return boundary([&] { quantise_activation(x, scale, beta, max_scale, true, out); });
}

int32_t ct_lsq_init_activation(const CTTensor *tensor, int32_t positive_only, float max_scale, float *scale,
                               float *beta) {
  return boundary([&] {
    require_float(tensor->value, "an activation");
    require(tensor->value.numel() > 0, "a quantiser cannot be initialised from an empty tensor");
    const Tensor x = dense(tensor->value.detach());
    const float *values = x.const_data_ptr<float>();
    float low = 0;
    float high = 0;
    bool finite = true;
    for (int64_t i = 0; i < x.numel(); ++i) {
      finite = finite && std::isfinite(values[i]);
      low = std::min(low, values[i]);
      high = std::max(high, values[i]);
    }
    require(finite, "a quantiser cannot be initialised from values that are not finite");
    const float infinity = std::numeric_limits<float>::infinity();
    const float floor = positive_only ? 0 : -infinity;
    const float ceiling = positive_only && max_scale > 0 ? max_scale * largest_activation : infinity;
    low = std::max(low, floor);
    high = std::min(high, ceiling);
    if (low == 0 && high == 0) {
      // Nothing but zeros: any scale is exact.
      *scale = 1 / largest_activation;
      *beta = 0;
      return;
    }
    const Histogram histogram(values, x.numel(), low, high);
    Range best = evaluated(histogram, low, high);
    const float widest_low = low;
    const float widest_high = high;
    // The two ends in turn: first a coarse sweep, then finer ones around the best so far.
    float reach = 0.95f;
    float middle_low = 0.525f;
    float middle_high = 0.525f;
    for (int round = 0; round < 4; ++round) {
      constexpr int candidates = 24;
      for (int side = 0; side < 2; ++side) {
        const float widest = side == 0 ? widest_high : widest_low;
        if (widest == 0) continue;
        const float middle = side == 0 ? middle_high : middle_low;
        for (int k = 0; k < candidates; ++k) {
          const float fraction = middle + reach * (static_cast<float>(k) / (candidates - 1) - 0.5f);
          if (fraction <= 0 || fraction > 1) continue;
          const Range range = side == 0 ? evaluated(histogram, best.low, fraction * widest)
                                        : evaluated(histogram, fraction * widest, best.high);
          if (range.error < best.error) best = range;
        }
      }
      middle_high = widest_high > 0 ? best.high / widest_high : 0;
      middle_low = widest_low < 0 ? best.low / widest_low : 0;
      reach = round == 0 ? 0.95f : reach * 0.25f;
    }
    const float s = std::max((best.high - best.low) / largest_activation, ct_smallest_scale);
    *scale = s;
    *beta = positive_only ? 0 : -zero_point(s, best.low) * s;
  });
}

int32_t ct_lsq_init_weight(const CTTensor *w, CTTensor **scales) {
  return boundary([&] {
    require_float(w->value, "a weight");
    require(w->value.dim() >= 1, "a weight has at least one dimension");
    const Tensor x = dense(w->value.detach());
    const int64_t channels = x.size(0);
    const int64_t count = x.numel() / std::max<int64_t>(channels, 1);
    Tensor result = at::zeros({channels}, at::TensorOptions(at::kFloat));
    float *s = result.data_ptr<float>();
    const std::vector<float> ones(count, 1);
    double sum = 0;
    int64_t filled = 0;
    for (int64_t c = 0; c < channels; ++c) {
      const float *values = x.const_data_ptr<float>() + c * count;
      float largest = 0;
      for (int64_t i = 0; i < count; ++i) {
        require(std::isfinite(values[i]),
                "a weight's scales cannot be found while it holds values that are not finite");
        largest = std::max(largest, std::abs(values[i]));
      }
      if (largest == 0) continue;
      float least = std::numeric_limits<float>::infinity();
      for (int k = 0; k <= 50; ++k) {
        const float candidate = std::max(largest * (1 - 0.014f * k) / largest_weight, ct_smallest_scale);
        const float error = squared_error(values, ones.data(), count, candidate, -largest_weight, largest_weight);
        if (error < least) {
          least = error;
          s[c] = candidate;
        }
      }
      sum += s[c];
      filled += 1;
    }
    for (int64_t c = 0; c < channels; ++c) {
      if (s[c] == 0) s[c] = filled > 0 ? static_cast<float>(sum / filled) : 1 / largest_weight;
    }
    give(scales, result);
  });
}

int32_t ct_weight_integers(const CTTensor *w, const CTTensor *scale, int8_t *values, int64_t count) {
  return boundary([&] {
    check_weight(w->value, scale->value);
    const Tensor x = w->value.detach().contiguous();
    const Tensor s = scale->value.detach().contiguous();
    require(count == x.numel(), "the buffer has room for " + std::to_string(count) + " integers, the weight has " +
                                    std::to_string(x.numel()));
    const int64_t per_channel = count / std::max<int64_t>(x.size(0), 1);
    for (int64_t i = 0; i < count; ++i) {
      const float v = x.const_data_ptr<float>()[i] / effective(s.const_data_ptr<float>()[i / per_channel], 0);
      require(!std::isnan(v), "a weight that is not a number has no integer");
      values[i] = static_cast<int8_t>(std::nearbyint(clamped(v, -largest_weight, largest_weight)));
    }
  });
}

int32_t ct_effective_scales(const CTTensor *scale, float *values, int64_t count) {
  return boundary([&] {
    const Tensor s = scale->value.detach().contiguous();
    require(count == s.numel(),
            "the buffer has room for " + std::to_string(count) + " scales, there are " + std::to_string(s.numel()));
    for (int64_t i = 0; i < count; ++i) values[i] = effective(s.const_data_ptr<float>()[i], 0);
  });
}

int32_t ct_activation_parameters(const CTTensor *scale, const CTTensor *beta, float max_scale, float *effective_scale,
                                 int32_t *point) {
  return boundary([&] {
    check_activation(scale->value, beta);
    const float s = effective(element(scale->value), max_scale);
    const float z = beta ? zero_point(s, element(beta->value)) : 0;
    require(std::isfinite(s) && std::isfinite(z), "the quantiser's scale or beta is not a finite number");
    *effective_scale = s;
    *point = static_cast<int32_t>(z);
  });
}
