// Losses and optimisers.
#include "Boundary.hpp"

#include <ATen/Functions.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cmath>
#include <vector>

using at::Tensor;
using ctorch::boundary;
using ctorch::describe;
using ctorch::give;
using ctorch::require;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

namespace {

// A loss whose gradient with respect to its first input is known once its value is: forward computes both.
struct ValueAndSlope {
  Tensor value, slope;
};

// Adaptive alpha-divergence (Wang et al., arXiv 2102.07954, section 3). With q the student's softmax, p the teacher's
// probabilities and t = p / q:
//
//     D_alpha(p || q) = sum q (t^alpha - 1) / (alpha (alpha - 1)),   D_1 = sum p log t
//     gradient of D_alpha = - sum q rho(t) grad log q,   rho(t) = t^alpha / alpha,   rho_1(t) = t
//
// The powers t^alpha are clipped at `clip` wherever alpha is not 1 (there q rho(t) = p is bounded already), in value
// and gradient. Each image takes the larger of the two divergences.
ValueAndSlope alpha_divergence(const Tensor &logits, const Tensor &p, double alpha, double clip) {
  const Tensor log_q = at::log_softmax(logits, -1), q = at::exp(log_q);
  const Tensor log_t = at::sub(at::log(at::clamp_min(p, 1e-30)), log_q);
  Tensor value, weight;  // weight: q rho(t)
  if (alpha == 1) {
    value = at::sum(at::mul(p, log_t), 1);
    weight = p;
  } else {
    const Tensor power = at::clamp_max(at::exp(at::mul(log_t, alpha)), clip);
    value = at::div(at::sum(at::mul(q, at::sub(power, 1)), 1), alpha * (alpha - 1));
    weight = at::div(at::mul(q, power), alpha);
  }
  // d log q_i / d logit_j = [i = j] - q_j
  return {value, at::sub(at::mul(q, at::sum(weight, 1, true)), weight)};
}

class AdaptiveAlphaDivergence : public torch::autograd::Function<AdaptiveAlphaDivergence> {
 public:
  static Tensor forward(AutogradContext *context, const Tensor &logits, const Tensor &p, double alpha_minus,
                        double alpha_plus, double clip) {
    const ValueAndSlope minus = alpha_divergence(logits, p, alpha_minus, clip);
    const ValueAndSlope plus = alpha_divergence(logits, p, alpha_plus, clip);
    const Tensor larger = at::gt(minus.value, plus.value);
    const Tensor slope = at::where(at::unsqueeze(larger, 1), minus.slope, plus.slope);
    context->save_for_backward({at::div(slope, static_cast<double>(logits.size(0)))});
    return at::mean(at::where(larger, minus.value, plus.value));
  }

  static variable_list backward(AutogradContext *context, variable_list gradients) {
    return {at::mul(context->get_saved_variables()[0], gradients[0]), Tensor(), Tensor(), Tensor(), Tensor()};
  }
};

class NoiseToSignal : public torch::autograd::Function<NoiseToSignal> {
 public:
  static Tensor forward(AutogradContext *context, const Tensor &student, const Tensor &teacher,
                        const std::optional<Tensor> &variance, double epsilon) {
    const int64_t images = student.size(0), channels = student.size(1), pixels = student.size(2) * student.size(3);
    const Tensor power = variance ? at::reshape(*variance, {1, channels, 1, 1}) : at::var(teacher, {2, 3}, false, true);
    const Tensor weight =
        at::reciprocal(at::mul(at::add(power, epsilon), static_cast<double>(images * channels * pixels)));
    const Tensor difference = at::sub(student, teacher), weighted = at::mul(difference, weight);
    context->save_for_backward({weighted});
    return at::sum(at::mul(difference, weighted));
  }

  static variable_list backward(AutogradContext *context, variable_list gradients) {
    return {at::mul(context->get_saved_variables()[0], at::mul(gradients[0], 2)), Tensor(), Tensor(), Tensor()};
  }
};

void require_classes(const Tensor &logits, const Tensor &probabilities) {
  require(logits.dim() == 2 && logits.sizes() == probabilities.sizes(),
          "logits " + describe(logits) + " and the teacher's probabilities " + describe(probabilities) +
              " must have the same shape [images, classes]");
}

// Joint Euclidean norm of the gradients that exist, and the factor that clipping gives them.
struct Clipping {
  double norm, factor;
  bool finite;
};

Clipping clipping(CTTensor *const *parameters, const CTTensor *const *gradients, int32_t count, double max_norm) {
  double sum = 0;
  for (int32_t i = 0; i < count; ++i) {
    if (gradients[i] == nullptr) continue;
    require(gradients[i]->value.sizes() == parameters[i]->value.sizes(),
            "a parameter of shape " + describe(parameters[i]->value) + " got a gradient of shape " +
                describe(gradients[i]->value));
    const double norm = at::linalg_vector_norm(gradients[i]->value).item().toDouble();
    sum += norm * norm;
  }
  const double norm = std::sqrt(sum);
  return {norm, max_norm > 0 && norm > max_norm ? max_norm / norm : 1, std::isfinite(norm)};
}

// The memory of `tensor` in the order of `parameter`'s, so that one loop walks them all.
Tensor aligned(const Tensor &tensor, const Tensor &parameter) {
  if (tensor.strides() == parameter.strides()) return tensor;
  Tensor copy = at::empty_like(parameter);
  copy.copy_(tensor);
  return copy;
}

float *in_place(const Tensor &tensor, const Tensor &parameter) {
  require(tensor.sizes() == parameter.sizes() && tensor.strides() == parameter.strides() &&
              tensor.is_non_overlapping_and_dense() && tensor.scalar_type() == at::kFloat,
          "an optimiser's state must be a dense float32 tensor with its parameter's shape and memory order");
  return tensor.data_ptr<float>();
}

CT_VECTORISED void sgd(float *p, const float *g, float *buffer, int64_t count, float rate, float decay, float momentum,
                       float factor, bool nesterov) {
  for (int64_t i = 0; i < count; ++i) {
    const float slope = g[i] * factor + decay * p[i];
    buffer[i] = momentum * buffer[i] + slope;
    p[i] -= rate * (nesterov ? slope + momentum * buffer[i] : buffer[i]);
  }
}

CT_VECTORISED void adam(float *p, const float *g, float *first, float *second, int64_t count, float rate, float decay,
                        float beta1, float beta2, float epsilon, float factor, float first_bias, float second_bias) {
  for (int64_t i = 0; i < count; ++i) {
    const float slope = g[i] * factor;
    first[i] = beta1 * first[i] + (1 - beta1) * slope;
    second[i] = beta2 * second[i] + (1 - beta2) * slope * slope;
    const float root = __builtin_elementwise_sqrt(second[i] / second_bias) + epsilon;
    p[i] -= rate * (decay * p[i] + first[i] / first_bias / root);
  }
}

}  // namespace

int32_t ct_cross_entropy(const CTTensor *logits, const CTTensor *labels, double smoothing, CTTensor **out) {
  return boundary([&] {
    const Tensor &x = logits->value;
    const Tensor &y = labels->value;
    require(x.dim() == 2 && y.dim() == 1 && x.size(0) == y.size(0) && y.scalar_type() == at::kLong,
            "cross entropy needs logits [images, classes] and int64 labels [images], not " + describe(x) + " and " +
                describe(y));
    give(out, at::cross_entropy_loss(x, y, {}, at::Reduction::Mean, -100, smoothing));
  });
}

int32_t ct_soft_target_loss(const CTTensor *logits, const CTTensor *probabilities, CTTensor **out) {
  return boundary([&] {
    require_classes(logits->value, probabilities->value);
    const Tensor p = probabilities->value.detach();
    const Tensor log_q = at::log_softmax(logits->value, -1);
    const Tensor log_p = at::log(at::clamp_min(p, 1e-30));
    give(out, at::mean(at::sum(at::mul(p, at::sub(log_p, log_q)), 1)));
  });
}

int32_t ct_alpha_divergence(const CTTensor *logits, const CTTensor *probabilities, double alpha_minus,
                            double alpha_plus, double clip, CTTensor **out) {
  return boundary([&] {
    require_classes(logits->value, probabilities->value);
    require(alpha_minus != 0 && alpha_plus != 0 && clip > 0, "alpha must not be 0 and the clip must be positive");
    give(out,
         AdaptiveAlphaDivergence::apply(logits->value, probabilities->value.detach(), alpha_minus, alpha_plus, clip));
  });
}

int32_t ct_noise_to_signal(const CTTensor *student, const CTTensor *teacher, const CTTensor *variance, double epsilon,
                           CTTensor **out) {
  return boundary([&] {
    const Tensor &s = student->value;
    const Tensor &t = teacher->value;
    require(s.dim() == 4 && s.sizes() == t.sizes(),
            "feature maps " + describe(s) + " and " + describe(t) + " must have the same shape [N, C, H, W]");
    std::optional<Tensor> power;
    if (variance) {
      power = variance->value.detach();
      require(power->dim() == 1 && power->size(0) == s.size(1),
              "there must be one variance per channel of " + describe(s) + ", not " + describe(*power));
    }
    give(out, NoiseToSignal::apply(s, t.detach(), power, epsilon));
  });
}

int32_t ct_sgd_step(CTTensor *const *parameters, const CTTensor *const *gradients, CTTensor *const *momenta,
                    const double *learning_rates, const double *weight_decays, int32_t count, double momentum,
                    int32_t nesterov, double max_norm, double *norm, int32_t *stepped) {
  return boundary([&] {
    at::NoGradGuard guard;
    const Clipping clip = clipping(parameters, gradients, count, max_norm);
    for (int32_t i = 0; clip.finite && i < count; ++i) {
      if (gradients[i] == nullptr) continue;
      const Tensor &p = parameters[i]->value;
      const Tensor g = aligned(gradients[i]->value, p);
      sgd(in_place(p, p), g.const_data_ptr<float>(), in_place(momenta[i]->value, p), p.numel(),
          static_cast<float>(learning_rates[i]), static_cast<float>(weight_decays[i]), static_cast<float>(momentum),
          static_cast<float>(clip.factor), nesterov != 0);
    }
    *norm = clip.norm;
    *stepped = clip.finite;
  });
}

int32_t ct_adam_step(CTTensor *const *parameters, const CTTensor *const *gradients, CTTensor *const *first_moments,
                     CTTensor *const *second_moments, int64_t *steps, const double *learning_rates,
                     const double *weight_decays, int32_t count, double beta1, double beta2, double epsilon,
                     double max_norm, double *norm, int32_t *stepped) {
  return boundary([&] {
    at::NoGradGuard guard;
    const Clipping clip = clipping(parameters, gradients, count, max_norm);
    for (int32_t i = 0; clip.finite && i < count; ++i) {
      if (gradients[i] == nullptr) continue;
      const Tensor &p = parameters[i]->value;
      const Tensor g = aligned(gradients[i]->value, p);
      const double step = static_cast<double>(++steps[i]);
      adam(in_place(p, p), g.const_data_ptr<float>(), in_place(first_moments[i]->value, p),
           in_place(second_moments[i]->value, p), p.numel(), static_cast<float>(learning_rates[i]),
           static_cast<float>(weight_decays[i]), static_cast<float>(beta1), static_cast<float>(beta2),
           static_cast<float>(epsilon), static_cast<float>(clip.factor), static_cast<float>(1 - std::pow(beta1, step)),
           static_cast<float>(1 - std::pow(beta2, step)));
    }
    *norm = clip.norm;
    *stepped = clip.finite;
  });
}
