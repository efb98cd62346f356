// Training in whole numbers: the forward pass computes the integers of the exported network, byte for byte, and the
// backward pass goes straight through each rounding.
//
// A map in steps holds q - z, the distance of each byte from the zero point, as a float; the real value is the scale
// times that. A convolution of such maps with integer weights in float32 is exact while no partial sum passes 2^24, and
// what follows it is computed here in the order of the integer network, whose constants the caller hands over.
//
// The gradient that belongs to a map in steps is that with respect to its real values. So the one that goes back into a
// convolution of integers is multiplied by the weights' scales, which makes the gradient of its input right, and that
// of its integer weights needs the factor input scale / weight scale (WeightSteps).
#include "QuantizerMath.hpp"
#include "Rows.hpp"

#include <ATen/Functions.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

using at::Tensor;
using ctorch::boundary;
using ctorch::channels_innermost;
using ctorch::check_activation;
using ctorch::describe;
using ctorch::give;
using ctorch::largest_activation;
using ctorch::LearnedQuantizer;
using ctorch::require;
using ctorch::sum_rows;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

namespace {

void require_maps(const Tensor &x) {
  require(x.dim() == 4 && x.numel() > 0 && x.scalar_type() == at::kFloat,
          "a map in steps is float32 [N, C, H, W], not " + describe(x));
}

std::optional<Tensor> optional(const CTTensor *tensor) {
  return tensor == nullptr ? std::nullopt : std::optional<Tensor>(tensor->value);
}

// ---- In and out

class ToSteps : public torch::autograd::Function<ToSteps> {
 public:
  static Tensor forward(AutogradContext *, const Tensor &x, double scale) {
    return at::round(at::div(channels_innermost(x), static_cast<float>(scale)));
  }
  static variable_list backward(AutogradContext *, variable_list gradients) { return {gradients[0], Tensor()}; }
};

class FromSteps : public torch::autograd::Function<FromSteps> {
 public:
  static Tensor forward(AutogradContext *, const Tensor &x, double scale) {
    return at::mul(x, static_cast<float>(scale));
  }
  static variable_list backward(AutogradContext *, variable_list gradients) { return {gradients[0], Tensor()}; }
};

// ---- After a convolution

// What follows a convolution of integers: one row of channels for each number.
struct Epilogue {
  enum Row { sign, multiplier, weight_scale, centre, inverse, gamma, row_count };

  Tensor numbers;  // [row_count, C]
  Tensor biases;   // [C], int32
  float input_scale;
  bool has_batch_norm, of_batch;

  Epilogue(const float *rows, const int32_t *steps, int64_t channels, float input_scale, int32_t normalisation)
      : numbers(at::empty({row_count, channels}, at::TensorOptions(at::kFloat))),
        biases(at::empty({channels}, at::TensorOptions(at::kInt))),
        input_scale(input_scale),
        has_batch_norm(normalisation != CT_NOT_NORMALISED),
        of_batch(normalisation == CT_NORMALISED_BY_BATCH) {
    std::copy_n(rows, row_count * channels, numbers.data_ptr<float>());
    std::copy_n(steps, channels, biases.data_ptr<int32_t>());
  }

  explicit Epilogue(AutogradContext *context)
      : numbers(context->saved_data["numbers"].toTensor()),
        biases(context->saved_data["biases"].toTensor()),
        input_scale(static_cast<float>(context->saved_data["inputScale"].toDouble())),
        has_batch_norm(context->saved_data["hasBatchNorm"].toBool()),
        of_batch(context->saved_data["ofBatch"].toBool()) {}

  void save(AutogradContext *context) const {
    context->saved_data["numbers"] = numbers;
    context->saved_data["biases"] = biases;
    context->saved_data["inputScale"] = static_cast<double>(input_scale);
    context->saved_data["hasBatchNorm"] = has_batch_norm;
    context->saved_data["ofBatch"] = of_batch;
  }

  int64_t channels() const { return biases.size(0); }
  const float *row(Row row) const { return numbers.const_data_ptr<float>() + row * channels(); }
};

// The accumulator and its bias as one integer. Beyond 2^30 an accumulator is not one any more; a NaN gives anything.
inline int32_t total(float accumulator, int32_t bias) {
  float limited = accumulator > -0x1p30f ? accumulator : -0x1p30f;
  limited = limited < 0x1.fffffep29f ? limited : 0x1.fffffep29f;
  return static_cast<int32_t>(limited) + bias;
}

CT_VECTORISED void requantise(const float *sums, float *steps, int64_t rows, int64_t channels, const float *signs,
                              const int32_t *biases, const float *multipliers, float lo, float hi) {
  for (int64_t row = 0; row < rows; ++row) {
    const float *from = sums + row * channels;
    float *to = steps + row * channels;
    for (int64_t c = 0; c < channels; ++c) {
      const float accumulator = signs[c] * from[c];
      float v = std::nearbyint(static_cast<float>(total(accumulator, biases[c])) * multipliers[c]);
      v = v < lo ? lo : v;
      v = v > hi ? hi : v;
      to[c] = accumulator != accumulator ? accumulator : v;
    }
  }
}

CT_VECTORISED void dequantise(const float *sums, float *reals, int64_t rows, int64_t channels, const float *signs,
                              const int32_t *biases, const float *multipliers) {
  for (int64_t row = 0; row < rows; ++row) {
    const float *from = sums + row * channels;
    float *to = reals + row * channels;
    for (int64_t c = 0; c < channels; ++c) {
      const float accumulator = signs[c] * from[c];
      const float v = static_cast<float>(total(accumulator, biases[c])) * multipliers[c];
      to[c] = accumulator != accumulator ? accumulator : v;
    }
  }
}

CT_VECTORISED void differentiate(const float *sums, const float *g, float *dx, int64_t rows, int64_t channels,
                                 const float *signs, const int32_t *biases, const float *multipliers,
                                 const float *centres, float lo, float hi, float *gradients, float *products,
                                 float *slopes, float *outside) {
  for (int64_t row = 0; row < rows; ++row) {
    const float *from = sums + row * channels, *upstream = g + row * channels;
    float *to = dx + row * channels;
    for (int64_t c = 0; c < channels; ++c) {
      const float v = static_cast<float>(total(signs[c] * from[c], biases[c])) * multipliers[c];
      const float r = std::nearbyint(v);
      const bool under = r<lo, over = r> hi;
      const float inside = under || over ? 0.0f : upstream[c];
      const float slope = under ? 0.0f : over ? largest_activation : r - v;
      to[c] = inside;
      gradients[c] += inside;
      products[c] += inside * (from[c] - centres[c]);
      slopes[c] += upstream[c] * slope;
      outside[c] += upstream[c] - inside;
    }
  }
}

// The way back through bias, batch norm and the weights' scales, for outputs between `lo` and `hi`.
struct Back {
  Tensor dx, dgamma, dshift;
  double slopes = 0, outside = 0;

  Back(AutogradContext *context, const Tensor &x, const Tensor &gradient, float lo, float hi) : dx(at::empty_like(x)) {
    const Epilogue e(context);
    const Tensor g = channels_innermost(gradient);
    const int64_t channels = e.channels(), rows = x.numel() / channels;
    const float *sums = x.const_data_ptr<float>(), *upstream = g.const_data_ptr<float>();
    float *to = dx.data_ptr<float>();
    const auto totals = sum_rows<4>(rows, channels, [&](int64_t start, int64_t count, auto block) {
      const int64_t at = start * channels;
      differentiate(sums + at, upstream + at, to + at, count, channels, e.row(Epilogue::sign),
                    e.biases.const_data_ptr<int32_t>(), e.row(Epilogue::multiplier), e.row(Epilogue::centre), lo, hi,
                    block[0], block[1], block[2], block[3]);
    });
    const auto options = at::TensorOptions(at::kFloat);
    if (e.has_batch_norm) dgamma = at::empty({channels}, options);
    if (context->saved_data["hasShift"].toBool()) dshift = at::empty({channels}, options);
    std::vector<float> a(channels), p(channels, 0), q(channels, 0);
    for (int64_t c = 0; c < channels; ++c) {
      slopes += totals[2][c];
      outside += totals[3][c];
      const double by_shift = totals[0][c], weight_scale = e.row(Epilogue::weight_scale)[c];
      if (dshift.defined()) dshift.data_ptr<float>()[c] = static_cast<float>(by_shift);
      if (!e.has_batch_norm) {
        a[c] = static_cast<float>(weight_scale);
        continue;
      }
      const double inverse = e.row(Epilogue::inverse)[c];
      // From accumulators to normalised values.
      const double normalising = inverse * static_cast<double>(e.input_scale) * weight_scale;
      const double by_gamma = totals[1][c] * normalising;
      dgamma.data_ptr<float>()[c] = static_cast<float>(by_gamma);
      const double slope = e.row(Epilogue::gamma)[c] * inverse * weight_scale;
      a[c] = static_cast<float>(slope);
      if (!e.of_batch) continue;
      const double by_value = -slope * by_gamma / rows * normalising;
      p[c] = static_cast<float>(by_value);
      q[c] = static_cast<float>(-slope * by_shift / rows - by_value * e.row(Epilogue::centre)[c]);
    }
    ctorch::combine(sums, to, to, rows, channels, a.data(), p.data(), q.data());
  }
};

class Requantizer : public torch::autograd::Function<Requantizer> {
 public:
  // `shift` is the batch norm's beta, or the convolution's bias where there is no batch norm.
  static Tensor forward(AutogradContext *context, const Tensor &input, const std::optional<Tensor> &gamma,
                        const std::optional<Tensor> &shift, const Tensor &scale, const std::optional<Tensor> &beta,
                        double max_scale, const Epilogue &epilogue) {
    const Tensor x = channels_innermost(input);
    Tensor y = at::empty_like(x);
    const LearnedQuantizer quantizer(scale, beta, max_scale);
    const int64_t channels = x.size(1);
    requantise(x.const_data_ptr<float>(), y.data_ptr<float>(), x.numel() / channels, channels,
               epilogue.row(Epilogue::sign), epilogue.biases.const_data_ptr<int32_t>(),
               epilogue.row(Epilogue::multiplier), quantizer.lo(), quantizer.hi());
    context->save_for_backward({x});
    quantizer.save(context);
    epilogue.save(context);
    context->saved_data["hasShift"] = shift.has_value();
    return y;
  }

  static variable_list backward(AutogradContext *context, variable_list gradients) {
    const Tensor x = context->get_saved_variables()[0];
    const LearnedQuantizer quantizer(context);
    const Back back(context, x, gradients[0], quantizer.lo(), quantizer.hi());
    const auto [dscale, dbeta] = quantizer.gradients(back.slopes, back.outside, x);
    return {back.dx, back.dgamma, back.dshift, dscale, dbeta, Tensor(), Tensor()};
  }
};

class RealSums : public torch::autograd::Function<RealSums> {
 public:
  static Tensor forward(AutogradContext *context, const Tensor &input, const std::optional<Tensor> &gamma,
                        const std::optional<Tensor> &shift, const Epilogue &epilogue) {
    const Tensor x = channels_innermost(input);
    Tensor y = at::empty_like(x);
    const int64_t channels = x.size(1);
    dequantise(x.const_data_ptr<float>(), y.data_ptr<float>(), x.numel() / channels, channels,
               epilogue.row(Epilogue::sign), epilogue.biases.const_data_ptr<int32_t>(),
               epilogue.row(Epilogue::multiplier));
    context->save_for_backward({x});
    epilogue.save(context);
    context->saved_data["hasShift"] = shift.has_value();
    return y;
  }

  static variable_list backward(AutogradContext *context, variable_list gradients) {
    const float infinity = std::numeric_limits<float>::infinity();
    const Back back(context, context->get_saved_variables()[0], gradients[0], -infinity, infinity);
    return {back.dx, back.dgamma, back.dshift, Tensor()};
  }
};

// ---- Elementwise

// Upstream gradients where v = real / scale + z rounds to a byte, and the sums that the quantiser's gradients come from.
struct Straight {
  float inside, slope, outside;
};

inline Straight straight(float v, float upstream) {
  const float r = std::nearbyint(v);
  const bool under = r < 0, over = r > largest_activation;
  const float inside = under || over ? 0.0f : upstream;
  return {inside, upstream * (under ? 0.0f : over ? largest_activation : r - v), upstream - inside};
}

// Both addends in bytes, in units of the output: the order of ONNX Runtime's kernel, zero points in one constant.
struct Addition {
  float first, second, constant, first_zero, second_zero;
};

CT_VECTORISED void add_steps(const float *a, const float *b, float *y, int64_t count, Addition k, float z) {
  for (int64_t i = 0; i < count; ++i) {
    float v = std::fma(k.first, a[i] + k.first_zero, std::fma(k.second, b[i] + k.second_zero, k.constant));
    v = std::nearbyint(v);
    v = v < 0 ? 0 : v;
    v = v > largest_activation ? largest_activation : v;
    y[i] = v - z;
  }
}

CT_VECTORISED void differentiate_addition(const float *a, const float *b, const float *g, float *dx, int64_t count,
                                          Addition k, float *slopes, float *outside) {
#pragma clang fp reassociate(on)
  float slope = 0, out = 0;
  for (int64_t i = 0; i < count; ++i) {
    const float v = std::fma(k.first, a[i] + k.first_zero, std::fma(k.second, b[i] + k.second_zero, k.constant));
    const Straight s = straight(v, g[i]);
    dx[i] = s.inside;
    slope += s.slope;
    out += s.outside;
  }
  *slopes = slope;
  *outside = out;
}

constexpr int64_t block = 8192;

class AddSteps : public torch::autograd::Function<AddSteps> {
 public:
  static Tensor forward(AutogradContext *context, const Tensor &first, const Tensor &second, const Tensor &scale,
                        const std::optional<Tensor> &beta, double max_scale, Addition k) {
    const Tensor a = channels_innermost(first), b = channels_innermost(second);
    Tensor y = at::empty_like(a);
    const LearnedQuantizer quantizer(scale, beta, max_scale);
    add_steps(a.const_data_ptr<float>(), b.const_data_ptr<float>(), y.data_ptr<float>(), a.numel(), k, quantizer.z());
    context->save_for_backward({a, b});
    quantizer.save(context);
    context->saved_data["addition"] =
        std::vector<double>{k.first, k.second, k.constant, k.first_zero, k.second_zero};
    return y;
  }

  static variable_list backward(AutogradContext *context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const LearnedQuantizer quantizer(context);
    const auto n = context->saved_data["addition"].toDoubleVector();
    const Addition k = {static_cast<float>(n[0]), static_cast<float>(n[1]), static_cast<float>(n[2]),
                        static_cast<float>(n[3]), static_cast<float>(n[4])};
    const Tensor g = channels_innermost(gradients[0]);
    Tensor dx = at::empty_like(saved[0]);
    double slopes = 0, outside = 0;
    for (int64_t start = 0; start < dx.numel(); start += block) {
      float slope, out;
      differentiate_addition(saved[0].const_data_ptr<float>() + start, saved[1].const_data_ptr<float>() + start,
                             g.const_data_ptr<float>() + start, dx.data_ptr<float>() + start,
                             std::min(block, dx.numel() - start), k, &slope, &out);
      slopes += slope;
      outside += out;
    }
    const auto [dscale, dbeta] = quantizer.gradients(slopes, outside, dx);
    return {dx, dx, dscale, dbeta, Tensor(), Tensor()};
  }
};

CT_VECTORISED void multiply_steps(const float *x, const float *gate, float *y, int64_t rows, int64_t channels,
                                  float ratio, float z) {
#pragma clang fp contract(off)
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t c = 0; c < channels; ++c) {
      float v = x[row * channels + c] * gate[c] * ratio + z;
      v = std::nearbyint(v);
      v = v < 0 ? 0 : v;
      v = v > largest_activation ? largest_activation : v;
      y[row * channels + c] = v - z;
    }
  }
}

// `dx` receives the gradient of the map; `of_gate` has that of the gate added to it.
CT_VECTORISED void differentiate_product(const float *x, const float *gate, const float *g, float *dx, float *of_gate,
                                         int64_t rows, int64_t channels, float ratio, float z, float x_scale,
                                         float gate_scale, float *slopes, float *outside) {
#pragma clang fp contract(off)
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t c = 0; c < channels; ++c) {
      const int64_t i = row * channels + c;
      const Straight s = straight(x[i] * gate[c] * ratio + z, g[i]);
      dx[i] = s.inside * (gate_scale * gate[c]);
      of_gate[c] += s.inside * (x_scale * x[i]);
      slopes[c] += s.slope;
      outside[c] += s.outside;
    }
  }
}

class MultiplySteps : public torch::autograd::Function<MultiplySteps> {
 public:
  static Tensor forward(AutogradContext *context, const Tensor &input, const Tensor &gates, const Tensor &scale,
                        const std::optional<Tensor> &beta, double max_scale, double input_scale, double gate_scale,
                        double ratio) {
    const Tensor x = channels_innermost(input), gate = channels_innermost(gates);
    Tensor y = at::empty_like(x);
    const LearnedQuantizer quantizer(scale, beta, max_scale);
    const int64_t channels = x.size(1), area = x.size(2) * x.size(3);
    for (int64_t image = 0; image < x.size(0); ++image) {
      const int64_t at = image * area * channels;
      multiply_steps(x.const_data_ptr<float>() + at, gate.const_data_ptr<float>() + image * channels,
                     y.data_ptr<float>() + at, area, channels, static_cast<float>(ratio), quantizer.z());
    }
    context->save_for_backward({x, gate});
    quantizer.save(context);
    context->saved_data["scales"] = std::vector<double>{input_scale, gate_scale, ratio};
    return y;
  }

  static variable_list backward(AutogradContext *context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const Tensor &x = saved[0], &gate = saved[1];
    const LearnedQuantizer quantizer(context);
    const auto scales = context->saved_data["scales"].toDoubleVector();
    const Tensor g = channels_innermost(gradients[0]);
    Tensor dx = at::empty_like(x), dgate = at::zeros_like(gate);
    const int64_t channels = x.size(1), area = x.size(2) * x.size(3);
    double slopes = 0, outside = 0;
    std::vector<float> slope(channels), out(channels);
    for (int64_t image = 0; image < x.size(0); ++image) {
      std::fill(slope.begin(), slope.end(), 0.0f);
      std::fill(out.begin(), out.end(), 0.0f);
      const int64_t at = image * area * channels;
      differentiate_product(x.const_data_ptr<float>() + at, gate.const_data_ptr<float>() + image * channels,
                            g.const_data_ptr<float>() + at, dx.data_ptr<float>() + at,
                            dgate.data_ptr<float>() + image * channels, area, channels, static_cast<float>(scales[2]),
                            quantizer.z(), static_cast<float>(scales[0]), static_cast<float>(scales[1]), slope.data(),
                            out.data());
      for (int64_t c = 0; c < channels; ++c) {
        slopes += slope[c];
        outside += out[c];
      }
    }
    const auto [dscale, dbeta] = quantizer.gradients(slopes, outside, dx);
    return {dx, dgate, dscale, dbeta, Tensor(), Tensor(), Tensor(), Tensor()};
  }
};

// A function of one byte: its value, its gradient, and its share in the quantiser's gradients, for each of the 256.
class LookUpSteps : public torch::autograd::Function<LookUpSteps> {
 public:
  static Tensor forward(AutogradContext *context, const Tensor &input, const Tensor &scale,
                        const std::optional<Tensor> &beta, double max_scale, double zero, const Tensor &tables) {
    const Tensor x = channels_innermost(input);
    Tensor y = at::empty_like(x);
    const LearnedQuantizer quantizer(scale, beta, max_scale);
    const float *from = x.const_data_ptr<float>(), *table = tables.const_data_ptr<float>();
    float *to = y.data_ptr<float>();
    for (int64_t i = 0; i < x.numel(); ++i) {
      to[i] = std::isnan(from[i]) ? from[i] : table[index(from[i], static_cast<float>(zero))];
    }
    context->save_for_backward({x});
    quantizer.save(context);
    context->saved_data["tables"] = tables;
    context->saved_data["zero"] = zero;
    return y;
  }

  static variable_list backward(AutogradContext *context, variable_list gradients) {
    const Tensor x = context->get_saved_variables()[0];
    const LearnedQuantizer quantizer(context);
    const Tensor tables = context->saved_data["tables"].toTensor();
    const float *derivative = tables.const_data_ptr<float>() + 256, *slope = derivative + 256, *outside = slope + 256;
    const float zero = static_cast<float>(context->saved_data["zero"].toDouble());
    const Tensor g = channels_innermost(gradients[0]);
    Tensor dx = at::empty_like(x);
    const float *from = x.const_data_ptr<float>(), *upstream = g.const_data_ptr<float>();
    float *to = dx.data_ptr<float>();
    double slopes = 0, out = 0;
    for (int64_t start = 0; start < x.numel(); start += block) {
      float slope_sum = 0, outside_sum = 0;
      for (int64_t i = start; i < std::min(start + block, x.numel()); ++i) {
        const int32_t byte = index(from[i], zero);
        to[i] = upstream[i] * derivative[byte];
        slope_sum += upstream[i] * slope[byte];
        outside_sum += upstream[i] * outside[byte];
      }
      slopes += slope_sum;
      out += outside_sum;
    }
    const auto [dscale, dbeta] = quantizer.gradients(slopes, out, x);
    return {dx, dscale, dbeta, Tensor(), Tensor(), Tensor()};
  }

 private:
  // Safe for what is no byte.
  static int32_t index(float step, float zero) {
    const float byte = step + zero;
    return byte >= 0 && byte <= largest_activation ? static_cast<int32_t>(byte) : 0;
  }
};

// [N, C, H, W] -> [N, C, 1, 1]: mean of each map.
class PoolSteps : public torch::autograd::Function<PoolSteps> {
 public:
  static Tensor forward(AutogradContext *context, const Tensor &input, const Tensor &scale,
                        const std::optional<Tensor> &beta, double max_scale, double input_scale, double zero) {
    const Tensor x = channels_innermost(input);
    const int64_t channels = x.size(1), area = x.size(2) * x.size(3);
    const LearnedQuantizer quantizer(scale, beta, max_scale);
    // In steps of the output, before rounding.
    Tensor v = at::empty({x.size(0), channels, 1, 1}, at::TensorOptions(at::kFloat));
    Tensor y = at::empty_like(v);
    for (int64_t image = 0; image < x.size(0); ++image) {
      std::vector<float> bytes(channels, 0);
      const float *from = x.const_data_ptr<float>() + image * area * channels;
      for (int64_t place = 0; place < area; ++place) {
        for (int64_t c = 0; c < channels; ++c) bytes[c] += from[place * channels + c] + static_cast<float>(zero);
      }
      for (int64_t c = 0; c < channels; ++c) {
        const float mean = bytes[c] / static_cast<float>(area) - static_cast<float>(zero);
        const float steps = static_cast<float>(input_scale) * mean / quantizer.s();
        v.data_ptr<float>()[image * channels + c] = steps;
        y.data_ptr<float>()[image * channels + c] =
            ctorch::clamped(std::nearbyint(steps), quantizer.lo(), quantizer.hi());
      }
    }
    context->save_for_backward({v});
    quantizer.save(context);
    context->saved_data["height"] = x.size(2);
    context->saved_data["width"] = x.size(3);
    return y;
  }

  static variable_list backward(AutogradContext *context, variable_list gradients) {
    const Tensor v = context->get_saved_variables()[0];
    const LearnedQuantizer quantizer(context);
    const int64_t height = context->saved_data["height"].toInt(), width = context->saved_data["width"].toInt();
    const Tensor g = gradients[0].contiguous();
    Tensor inside = at::empty_like(v);
    double slopes = 0, outside = 0;
    for (int64_t i = 0; i < v.numel(); ++i) {
      const Straight s = straight(v.const_data_ptr<float>()[i] + quantizer.z(), g.const_data_ptr<float>()[i]);
      inside.data_ptr<float>()[i] = s.inside / static_cast<float>(height * width);
      slopes += s.slope;
      outside += s.outside;
    }
    const auto [dscale, dbeta] = quantizer.gradients(slopes, outside, v);
    return {inside.expand({v.size(0), v.size(1), height, width}).contiguous(at::MemoryFormat::ChannelsLast), dscale,
            dbeta, Tensor(), Tensor(), Tensor()};
  }
};

void check_output(const CTTensor *scale, const CTTensor *beta, float max_scale) {
  check_activation(scale->value, beta);
  require(beta == nullptr || max_scale <= 0, "a largest scale is for quantisers without a beta");
}

}  // namespace

int32_t ct_to_steps(const CTTensor *x, float scale, CTTensor **out) {
  return boundary([&] {
    require_maps(x->value);
    require(scale > 0, "a step is positive");
    give(out, ToSteps::apply(x->value, static_cast<double>(scale)));
  });
}

int32_t ct_from_steps(const CTTensor *steps, float scale, CTTensor **out) {
  return boundary([&] { give(out, FromSteps::apply(steps->value, static_cast<double>(scale))); });
}

int32_t ct_channel_moments(const CTTensor *maps, double *means, double *variances, int64_t count) {
  return boundary([&] {
    require_maps(maps->value);
    const Tensor x = channels_innermost(maps->value.detach());
    const int64_t channels = x.size(1), rows = x.numel() / channels;
    require(count == channels, "moments of " + describe(x) + " need room for as many numbers as channels");
    const float *from = x.const_data_ptr<float>();
    const auto sums = sum_rows<2>(rows, channels, [&](int64_t start, int64_t block_count, auto block) {
      ctorch::add_moments(from + start * channels, from, block_count, channels, block[0], block[1]);
    });
    for (int64_t c = 0; c < channels; ++c) {
      const double offset = sums[0][c] / rows, spread = sums[1][c] / rows - offset * offset;
      means[c] = offset + from[c];
      variances[c] = spread < 0 ? 0 : spread;
    }
  });
}

int32_t ct_requantise_steps(const CTTensor *sums, const CTTensor *gamma, const CTTensor *shift, const float *numbers,
                            const int32_t *biases, int64_t channels, float input_scale, int32_t normalisation,
                            const CTTensor *scale, const CTTensor *beta, float max_scale, CTTensor **out) {
  return boundary([&] {
    require_maps(sums->value);
    check_output(scale, beta, max_scale);
    require(sums->value.size(1) == channels,
            "accumulators " + describe(sums->value) + " need one sign, bias and multiplier a channel");
    give(out, Requantizer::apply(sums->value, optional(gamma), optional(shift), scale->value, optional(beta),
                                 static_cast<double>(max_scale),
                                 Epilogue(numbers, biases, channels, input_scale, normalisation)));
  });
}

int32_t ct_real_sums(const CTTensor *sums, const CTTensor *gamma, const CTTensor *shift, const float *numbers,
                     const int32_t *biases, int64_t channels, float input_scale, int32_t normalisation,
                     CTTensor **out) {
  return boundary([&] {
    require_maps(sums->value);
    require(sums->value.size(1) == channels,
            "accumulators " + describe(sums->value) + " need one sign, bias and multiplier a channel");
    give(out, RealSums::apply(sums->value, optional(gamma), optional(shift),
                              Epilogue(numbers, biases, channels, input_scale, normalisation)));
  });
}

int32_t ct_add_steps(const CTTensor *first, const CTTensor *second, const float constants[5], const CTTensor *scale,
                     const CTTensor *beta, float max_scale, CTTensor **out) {
  return boundary([&] {
    require_maps(first->value);
    require_maps(second->value);
    check_output(scale, beta, max_scale);
    require(first->value.sizes() == second->value.sizes(),
            "maps " + describe(first->value) + " and " + describe(second->value) + " cannot be added");
    const Addition k = {constants[0], constants[1], constants[2], constants[3], constants[4]};
    give(out, AddSteps::apply(first->value, second->value, scale->value, optional(beta),
                              static_cast<double>(max_scale), k));
  });
}

int32_t ct_multiply_steps(const CTTensor *maps, const CTTensor *gate, float input_scale, float gate_scale, float ratio,
                          const CTTensor *scale, const CTTensor *beta, float max_scale, CTTensor **out) {
  return boundary([&] {
    require_maps(maps->value);
    require_maps(gate->value);
    check_output(scale, beta, max_scale);
    const Tensor &x = maps->value, &z = gate->value;
    require(x.size(0) == z.size(0) && x.size(1) == z.size(1) && z.size(2) == 1 && z.size(3) == 1,
            "a map " + describe(x) + " needs a gate of one number a channel, not " + describe(z));
    give(out, MultiplySteps::apply(x, z, scale->value, optional(beta), static_cast<double>(max_scale),
                                   static_cast<double>(input_scale), static_cast<double>(gate_scale),
                                   static_cast<double>(ratio)));
  });
}

int32_t ct_lookup_steps(const CTTensor *maps, int32_t zero_point, const float tables[1024], const CTTensor *scale,
                        const CTTensor *beta, float max_scale, CTTensor **out) {
  return boundary([&] {
    require_maps(maps->value);
    check_output(scale, beta, max_scale);
    Tensor copy = at::empty({4, 256}, at::TensorOptions(at::kFloat));
    std::copy_n(tables, 1024, copy.data_ptr<float>());
    give(out, LookUpSteps::apply(maps->value, scale->value, optional(beta), static_cast<double>(max_scale),
                                 static_cast<double>(zero_point), copy));
  });
}

int32_t ct_pool_steps(const CTTensor *maps, float input_scale, int32_t zero_point, const CTTensor *scale,
                      const CTTensor *beta, float max_scale, CTTensor **out) {
  return boundary([&] {
    require_maps(maps->value);
    check_output(scale, beta, max_scale);
    give(out, PoolSteps::apply(maps->value, scale->value, optional(beta), static_cast<double>(max_scale),
                               static_cast<double>(input_scale), static_cast<double>(zero_point)));
  });
}
