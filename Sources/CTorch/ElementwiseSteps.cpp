// Operations between maps in steps: additions, products by a gate, functions of one byte, averages.
#include "Steps.hpp"

#include <ATen/Functions.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cmath>
#include <type_traits>
#include <vector>

using at::Tensor;
using ctorch::boundary;
using ctorch::channels_innermost;
using ctorch::check_output;
using ctorch::describe;
using ctorch::give;
using ctorch::largest_activation;
using ctorch::LearnedQuantizer;
using ctorch::optional;
using ctorch::require;
using ctorch::require_maps;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

namespace {

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

  explicit Addition(const std::vector<double> &n)
      : first(n[0]), second(n[1]), constant(n[2]), first_zero(n[3]), second_zero(n[4]) {}
  std::vector<double> numbers() const { return {first, second, constant, first_zero, second_zero}; }

  inline __attribute__((always_inline)) float operator()(float a, float b) const {
    return std::fma(first, a + first_zero, std::fma(second, b + second_zero, constant));
  }
};

// A real number and a byte, in steps of the byte's quantiser, rounded once.
struct RealAddition {
  float shift, factor, second_zero;
  CTLine line;

  explicit RealAddition(const std::vector<double> &n)
      : shift(n[0]), factor(n[1]), second_zero(n[2]), line{float(n[3]), float(n[4]), int32_t(n[5])} {}
  std::vector<double> numbers() const {
    return {shift, factor, second_zero, line.factor, line.offset, static_cast<double>(line.is_fused)};
  }

  inline __attribute__((always_inline)) float operator()(float real, float step) const {
#pragma clang fp contract(off)
    return ctorch::along(line, (real - shift) * factor + (step + second_zero));
  }
};

template <class Rule>
inline __attribute__((always_inline)) void add_rows(const float *a, const float *b, float *y, int64_t count, Rule rule,
                                                    float z) {
  for (int64_t i = 0; i < count; ++i) {
    float v = std::nearbyint(rule(a[i], b[i]));
    v = v < 0 ? 0 : v;
    v = v > largest_activation ? largest_activation : v;
    y[i] = v - z;
  }
}

template <class Rule>
inline __attribute__((always_inline)) void differentiate_rows(const float *a, const float *b, const float *g, float *dx,
                                                              int64_t count, Rule rule, float *slopes,
                                                              float *outside) {
#pragma clang fp reassociate(on)
  float slope = 0, out = 0;
  for (int64_t i = 0; i < count; ++i) {
    const Straight s = straight(rule(a[i], b[i]), g[i]);
    dx[i] = s.inside;
    slope += s.slope;
    out += s.outside;
  }
  *slopes = slope;
  *outside = out;
}

CT_VECTORISED void add(const float *a, const float *b, float *y, int64_t count, Addition rule, float z) {
  add_rows(a, b, y, count, rule, z);
}

CT_VECTORISED void add_real(const float *a, const float *b, float *y, int64_t count, RealAddition rule, float z) {
  add_rows(a, b, y, count, rule, z);
}

CT_VECTORISED void differentiate(const float *a, const float *b, const float *g, float *dx, int64_t count, Addition rule,
                                 float *slopes, float *outside) {
  differentiate_rows(a, b, g, dx, count, rule, slopes, outside);
}

CT_VECTORISED void differentiate_real(const float *a, const float *b, const float *g, float *dx, int64_t count,
                                      RealAddition rule, float *slopes, float *outside) {
  differentiate_rows(a, b, g, dx, count, rule, slopes, outside);
}

constexpr int64_t block = 8192;

template <class Rule>
class AddSteps : public torch::autograd::Function<AddSteps<Rule>> {
  static constexpr bool is_real = std::is_same_v<Rule, RealAddition>;

 public:
  static Tensor forward(AutogradContext *context, const Tensor &first, const Tensor &second, const Tensor &scale,
                        const std::optional<Tensor> &beta, double max_scale, Rule rule) {
    const Tensor a = channels_innermost(first), b = channels_innermost(second);
    Tensor y = at::empty_like(a);
    const LearnedQuantizer quantizer(scale, beta, max_scale);
    const float *x = a.const_data_ptr<float>(), *z = b.const_data_ptr<float>();
    if constexpr (is_real) {
      add_real(x, z, y.data_ptr<float>(), a.numel(), rule, quantizer.z());
    } else {
      add(x, z, y.data_ptr<float>(), a.numel(), rule, quantizer.z());
    }
    context->save_for_backward({a, b});
    quantizer.save(context);
    context->saved_data["addition"] = rule.numbers();
    return y;
  }

  static variable_list backward(AutogradContext *context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const LearnedQuantizer quantizer(context);
    const Rule rule(context->saved_data["addition"].toDoubleVector());
    const Tensor g = channels_innermost(gradients[0]);
    Tensor dx = at::empty_like(saved[0]);
    double slopes = 0, outside = 0;
    for (int64_t start = 0; start < dx.numel(); start += block) {
      const float *x = saved[0].const_data_ptr<float>() + start, *z = saved[1].const_data_ptr<float>() + start;
      const float *upstream = g.const_data_ptr<float>() + start;
      float *to = dx.data_ptr<float>() + start;
      const int64_t count = std::min(block, dx.numel() - start);
      float slope, out;
      if constexpr (is_real) {
        differentiate_real(x, z, upstream, to, count, rule, &slope, &out);
      } else {
        differentiate(x, z, upstream, to, count, rule, &slope, &out);
      }
      slopes += slope;
      outside += out;
    }
    const auto [dscale, dbeta] = quantizer.gradients(slopes, outside, dx);
    return {dx, dx, dscale, dbeta, Tensor(), Tensor()};
  }
};

// A product in steps of the output, zero point included.
struct Product {
  float first, second, factor, offset;
};

inline __attribute__((always_inline)) float multiplied(const Product &k, float x, float gate) {
#pragma clang fp contract(off)
  return (x * k.first) * (gate * k.second) * k.factor + k.offset;
}

CT_VECTORISED void multiply_steps(const float *x, const float *gate, float *y, int64_t rows, int64_t channels,
                                  Product k, float z) {
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t c = 0; c < channels; ++c) {
      float v = multiplied(k, x[row * channels + c], gate[c]);
      v = std::nearbyint(v);
      v = v < 0 ? 0 : v;
      v = v > largest_activation ? largest_activation : v;
      y[row * channels + c] = v - z;
    }
  }
}

// `dx` receives the gradient of the map; `of_gate` has that of the gate added to it.
CT_VECTORISED void differentiate_product(const float *x, const float *gate, const float *g, float *dx, float *of_gate,
                                         int64_t rows, int64_t channels, Product k, float x_scale, float gate_scale,
                                         float *slopes, float *outside) {
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t c = 0; c < channels; ++c) {
      const int64_t i = row * channels + c;
      const Straight s = straight(multiplied(k, x[i], gate[c]), g[i]);
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
                        Product k) {
    const Tensor x = channels_innermost(input), gate = channels_innermost(gates);
    Tensor y = at::empty_like(x);
    const LearnedQuantizer quantizer(scale, beta, max_scale);
    const int64_t channels = x.size(1), area = x.size(2) * x.size(3);
    for (int64_t image = 0; image < x.size(0); ++image) {
      const int64_t at = image * area * channels;
      multiply_steps(x.const_data_ptr<float>() + at, gate.const_data_ptr<float>() + image * channels,
                     y.data_ptr<float>() + at, area, channels, k, quantizer.z());
    }
    context->save_for_backward({x, gate});
    quantizer.save(context);
    context->saved_data["scales"] =
        std::vector<double>{input_scale, gate_scale, k.first, k.second, k.factor, k.offset};
    return y;
  }

  static variable_list backward(AutogradContext *context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const Tensor &x = saved[0], &gate = saved[1];
    const LearnedQuantizer quantizer(context);
    const auto scales = context->saved_data["scales"].toDoubleVector();
    const Product k = {static_cast<float>(scales[2]), static_cast<float>(scales[3]), static_cast<float>(scales[4]),
                       static_cast<float>(scales[5])};
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
                            dgate.data_ptr<float>() + image * channels, area, channels, k,
                            static_cast<float>(scales[0]), static_cast<float>(scales[1]), slope.data(), out.data());
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
                        const std::optional<Tensor> &beta, double max_scale, double input_scale, double zero,
                        std::optional<CTLine> line) {
#pragma clang fp contract(off)
    const Tensor x = channels_innermost(input);
    const int64_t channels = x.size(1), area = x.size(2) * x.size(3);
    const LearnedQuantizer quantizer(scale, beta, max_scale);
    const float factor = static_cast<float>(input_scale) / (quantizer.s() * static_cast<float>(area));
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
        const float origin = line ? quantizer.z() : 0;
        // ONNX Runtime has one factor for the sum of steps, OpenVINO a line for the bytes' mean. Sums are whole numbers.
        const float steps = line ? ctorch::along(*line, bytes[c] / static_cast<float>(area))
                                 : (bytes[c] - static_cast<float>(zero * static_cast<double>(area))) * factor;
        v.data_ptr<float>()[image * channels + c] = steps - origin;
        y.data_ptr<float>()[image * channels + c] =
            ctorch::clamped(std::nearbyint(steps) - origin, quantizer.lo(), quantizer.hi());
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
            dbeta, Tensor(), Tensor(), Tensor(), Tensor()};
  }
};

}  // namespace

int32_t ct_add_steps(const CTTensor *first, const CTTensor *second, const float constants[5], const CTTensor *scale,
                     const CTTensor *beta, float max_scale, CTTensor **out) {
  return boundary([&] {
    require_maps(first->value);
    require_maps(second->value);
    check_output(scale, beta, max_scale);
    require(first->value.sizes() == second->value.sizes(),
            "maps " + describe(first->value) + " and " + describe(second->value) + " cannot be added");
    give(out, AddSteps<Addition>::apply(first->value, second->value, scale->value, optional(beta),
                                        static_cast<double>(max_scale),
                                        Addition(std::vector<double>(constants, constants + 5))));
  });
}

int32_t ct_add_to_real_steps(const CTTensor *real, const CTTensor *second, float shift, float factor,
                             int32_t second_zero_point, CTLine line, const CTTensor *scale, const CTTensor *beta,
                             float max_scale, CTTensor **out) {
  return boundary([&] {
    require_maps(real->value);
    require_maps(second->value);
    check_output(scale, beta, max_scale);
    require(real->value.sizes() == second->value.sizes(),
            "maps " + describe(real->value) + " and " + describe(second->value) + " cannot be added");
    const RealAddition rule({shift, factor, static_cast<double>(second_zero_point), line.factor, line.offset,
                             static_cast<double>(line.is_fused)});
    give(out, AddSteps<RealAddition>::apply(real->value, second->value, scale->value, optional(beta),
                                            static_cast<double>(max_scale), rule));
  });
}

int32_t ct_multiply_steps(const CTTensor *maps, const CTTensor *gate, float input_scale, float gate_scale,
                          const float constants[4], const CTTensor *scale, const CTTensor *beta, float max_scale,
                          CTTensor **out) {
  return boundary([&] {
    require_maps(maps->value);
    require_maps(gate->value);
    check_output(scale, beta, max_scale);
    const Tensor &x = maps->value, &z = gate->value;
    require(x.size(0) == z.size(0) && x.size(1) == z.size(1) && z.size(2) == 1 && z.size(3) == 1,
            "a map " + describe(x) + " needs a gate of one number a channel, not " + describe(z));
    give(out, MultiplySteps::apply(x, z, scale->value, optional(beta), static_cast<double>(max_scale),
                                   static_cast<double>(input_scale), static_cast<double>(gate_scale),
                                   Product{constants[0], constants[1], constants[2], constants[3]}));
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

int32_t ct_pool_steps(const CTTensor *maps, float input_scale, int32_t zero_point, const CTLine *line,
                      const CTTensor *scale, const CTTensor *beta, float max_scale, CTTensor **out) {
  return boundary([&] {
    require_maps(maps->value);
    check_output(scale, beta, max_scale);
    give(out, PoolSteps::apply(maps->value, scale->value, optional(beta), static_cast<double>(max_scale),
                               static_cast<double>(input_scale), static_cast<double>(zero_point),
                               line == nullptr ? std::nullopt : std::optional<CTLine>(*line)));
  });
}
