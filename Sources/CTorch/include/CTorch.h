// A flat C surface over the part of libtorch that SpaceEvo trains with.
//
// Conventions, which hold for every function unless its comment says otherwise:
//
// - A function that returns `int32_t` returns CT_OK or an error status. On an error every out-parameter is left as it
//   was, and `ct_last_error()` of the same thread holds the message. No C++ exception ever leaves a function.
// - `CTTensor **out` receives a new handle that the caller owns and gives back with `ct_free`. Two handles may share
//   storage (a view); the storage lives as long as the last of them.
// - Every other `CTTensor *` is borrowed for the call. Buffers are copied, never kept.
// - Tensors are float32 unless a comment says otherwise. Images and feature maps are logically [N, C, H, W] (image,
//   channel, row, column), whatever order they have in memory; `channels last` means the memory order N, H, W, C.
// - Functions may be called from several threads at once, as long as no thread writes to a tensor (ct_copy_into,
//   ct_accumulate, the optimiser steps) while another uses it.
#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct CTTensor CTTensor;

enum { CT_OK = 0, CT_FAILED = 1, CT_OUT_OF_MEMORY = 2, CT_BAD_ARGUMENT = 3 };
enum { CT_FLOAT32 = 0, CT_INT64 = 1, CT_UINT8 = 2, CT_INT8 = 3, CT_INT32 = 4, CT_OTHER_TYPE = 5 };
enum { CT_MAX_RANK = 8 };

// ---- The library

/// Message of the last failure on this thread; "" if there was none. Borrowed: valid until this thread's next failure.
const char *ct_last_error(void);
/// Version of libtorch, "2.13.0". Borrowed, static.
const char *ct_version(void);
/// Number of threads that one operation may use; it holds for the calling thread and for threads that start later.
int32_t ct_set_threads(int32_t count);
int32_t ct_get_threads(void);
/// Seeds libtorch's own generator. Nothing in this header draws from it; it makes a surprise reproducible.
int32_t ct_manual_seed(uint64_t seed);
/// Tells the C library to keep freed memory instead of handing it back: training allocates the same buffers in every
/// step, and page faults would cost a third of the time. No effect outside glibc. To be called before the first tensor.
void ct_keep_freed_memory(void);
/// Whether operations of the calling thread record a graph for gradients; returns what held before.
int32_t ct_set_grad_mode(int32_t enabled);

// ---- Making, reading, releasing

/// A copy of `values`, in row-major order of `shape`. A rank of 0 makes a scalar.
int32_t ct_from_floats(const float *values, const int64_t *shape, int32_t rank, CTTensor **out);
int32_t ct_from_int64s(const int64_t *values, const int64_t *shape, int32_t rank, CTTensor **out);
int32_t ct_from_uint8s(const uint8_t *values, const int64_t *shape, int32_t rank, CTTensor **out);
/// Elements that the caller fills, in row-major order, before anything else uses the tensor; `elements` points to them.
int32_t ct_unfilled(const int64_t *shape, int32_t rank, CTTensor **out, float **elements);
int32_t ct_full(float value, const int64_t *shape, int32_t rank, CTTensor **out);
/// Zeros of the same shape, type and memory order.
int32_t ct_zeros_like(const CTTensor *tensor, CTTensor **out);
/// Releases a handle; null is allowed.
void ct_free(CTTensor *tensor);

int32_t ct_rank(const CTTensor *tensor);
int64_t ct_numel(const CTTensor *tensor);
/// Writes `ct_rank` numbers.
void ct_shape(const CTTensor *tensor, int64_t *out);
int32_t ct_scalar_type(const CTTensor *tensor);
int32_t ct_requires_grad(const CTTensor *tensor);
/// 1 if the memory order of a rank 4 tensor is N, H, W, C.
int32_t ct_is_channels_last(const CTTensor *tensor);
/// Writes all elements in row-major order of the logical shape, converted to float. `count` must be `ct_numel`.
int32_t ct_copy_floats(const CTTensor *tensor, float *values, int64_t count);
int32_t ct_copy_int64s(const CTTensor *tensor, int64_t *values, int64_t count);
/// The only element of a one-element tensor.
int32_t ct_item(const CTTensor *tensor, double *value);

/// A deep copy with no history, same memory order.
int32_t ct_clone(const CTTensor *tensor, CTTensor **out);
/// The same storage with no history.
int32_t ct_detach(const CTTensor *tensor, CTTensor **out);
/// Marks a leaf as something that gradients are wanted for.
int32_t ct_set_requires_grad(CTTensor *tensor, int32_t flag);
/// `destination = source` in place, outside any graph; shapes must agree.
int32_t ct_copy_into(CTTensor *destination, const CTTensor *source);
/// Row-major copy, or the tensor itself if it is that already. Differentiable.
int32_t ct_contiguous(const CTTensor *tensor, CTTensor **out);
/// The same for memory order N, H, W, C; rank 4 only. Differentiable.
int32_t ct_channels_last(const CTTensor *tensor, CTTensor **out);
/// uint8, int64, ... to float: (x - shift) * factor, channels last where the rank is 4.
int32_t ct_to_float(const CTTensor *tensor, float shift, float factor, CTTensor **out);
/// Rows `indices[0..<count]` of dimension 0, in any scalar type.
int32_t ct_take_rows(const CTTensor *tensor, const int64_t *indices, int64_t count, CTTensor **out);
/// Tensors one after another along a dimension.
int32_t ct_concatenate(const CTTensor *const *tensors, int32_t count, int32_t dimension, CTTensor **out);

/// A view of `count` positions of one dimension, from `start` on. Differentiable.
int32_t ct_narrow(const CTTensor *tensor, int32_t dimension, int64_t start, int64_t count, CTTensor **out);
/// A view with the dimensions in another order, `order` holding each once. Differentiable.
int32_t ct_permute(const CTTensor *tensor, const int64_t *order, int32_t rank, CTTensor **out);

// ---- Slices of a supernet's parameters (differentiable; the result owns its memory)

/// w: [O, I, K, K] -> [out, in, k, k]: the first `out` and `in` channels and the centre k x k of the kernel, channels
/// last where k > 1. The gradient is zero outside the slice.
int32_t ct_slice_weight(const CTTensor *w, int64_t out_channels, int64_t in_channels, int64_t kernel, CTTensor **out);
/// v: [C] -> [n], the first n elements.
int32_t ct_slice_prefix(const CTTensor *v, int64_t n, CTTensor **out);

// ---- Layers (differentiable)

/// x: [N, I, H, W], w: [O, I / groups, K, K], bias: [O] or null -> [N, O, H', W'], zero padding on all sides.
int32_t ct_conv2d(const CTTensor *x, const CTTensor *w, const CTTensor *bias, int64_t stride, int64_t padding,
                  int64_t groups, CTTensor **out);
/// Batch normalisation with the statistics of this batch. x: [N, C, H, W]; gamma, beta: [C]. `mean` and `variance`
/// (biased, no history) receive [C] each; either may be null.
int32_t ct_batch_norm(const CTTensor *x, const CTTensor *gamma, const CTTensor *beta, double epsilon, CTTensor **out,
                      CTTensor **mean, CTTensor **variance);
/// The same with given statistics, [C] each.
int32_t ct_batch_norm_with(const CTTensor *x, const CTTensor *gamma, const CTTensor *beta, const CTTensor *mean,
                           const CTTensor *variance, double epsilon, CTTensor **out);
int32_t ct_relu(const CTTensor *x, CTTensor **out);
int32_t ct_clamp(const CTTensor *x, double low, double high, CTTensor **out);
/// x * clamp(x + 3, 0, 6) / 6
int32_t ct_hardswish(const CTTensor *x, CTTensor **out);
/// clamp(x + 3, 0, 6) / 6
int32_t ct_hardsigmoid(const CTTensor *x, CTTensor **out);
/// x * sigmoid(x), also called swish
int32_t ct_silu(const CTTensor *x, CTTensor **out);
int32_t ct_sigmoid(const CTTensor *x, CTTensor **out);
/// Elementwise with broadcasting; [N, C, H, W] * [N, C, 1, 1] gates channels.
int32_t ct_add(const CTTensor *a, const CTTensor *b, CTTensor **out);
int32_t ct_subtract(const CTTensor *a, const CTTensor *b, CTTensor **out);
int32_t ct_multiply(const CTTensor *a, const CTTensor *b, CTTensor **out);
int32_t ct_scaled(const CTTensor *x, double factor, CTTensor **out);
/// [N, C, H, W] -> [N, C, 1, 1], mean over rows and columns.
int32_t ct_global_average_pool(const CTTensor *x, CTTensor **out);
/// Mean over windows; zero padding is not counted.
int32_t ct_average_pool(const CTTensor *x, int64_t kernel, int64_t stride, int64_t padding, CTTensor **out);
int32_t ct_max_pool(const CTTensor *x, int64_t kernel, int64_t stride, int64_t padding, CTTensor **out);
/// [N, ...] -> [N, M]
int32_t ct_flatten(const CTTensor *x, CTTensor **out);
int32_t ct_reshape(const CTTensor *x, const int64_t *shape, int32_t rank, CTTensor **out);
/// Zeroes each element with the given probability and divides the others by 1 - probability. Which ones depends on the
/// seed and the element's row-major index only, so the result is the same for every thread and memory order.
int32_t ct_dropout(const CTTensor *x, double probability, uint64_t seed, CTTensor **out);
int32_t ct_mean(const CTTensor *x, CTTensor **out);
int32_t ct_sum(const CTTensor *x, CTTensor **out);
/// Softmax over the last dimension.
int32_t ct_softmax(const CTTensor *x, CTTensor **out);
/// Index of the largest element of each row of [N, K] -> [N] int64. Not differentiable.
int32_t ct_argmax(const CTTensor *x, CTTensor **out);

// ---- LSQ+ fake quantisation (differentiable; formulas in Quantizers.cpp)

/// The scale that the kernels use instead of a learned one that is smaller in magnitude.
extern const float ct_smallest_scale;

/// Weights. w: [O, ...], scale: [O]. Integers in [-127, 127], symmetric, one scale per output channel. The result has
/// the memory order that w would have after being made dense.
int32_t ct_lsq_weight(const CTTensor *w, const CTTensor *scale, CTTensor **out);
/// Activations. scale, beta: one element; integers in [0, 255] with the integer zero point
/// z = clamp(round(-beta / scale), 0, 255). A null beta fixes z at 0, which makes the quantiser a ReLU as well, and then
/// a positive `max_scale` caps the scale: 6/255 makes it a ReLU6.
int32_t ct_lsq_activation(const CTTensor *x, const CTTensor *scale, const CTTensor *beta, float max_scale,
                          CTTensor **out);
/// Scale and beta whose quantiser has the least mean squared error on x, of the ranges that a fixed search tries. With
/// `positive_only` the error is that against clamp(x, 0, 255 * max_scale) (no upper bound for max_scale <= 0), and
/// beta is 0. Fails if x holds a value that is not finite.
int32_t ct_lsq_init_activation(const CTTensor *x, int32_t positive_only, float max_scale, float *scale, float *beta);
/// Per-channel scales [O] of least mean squared error. A channel of zeros gets the mean scale of the others.
int32_t ct_lsq_init_weight(const CTTensor *w, CTTensor **scales);
/// The integers that `ct_lsq_weight` uses, row-major. `count` must be the number of elements of w.
int32_t ct_weight_integers(const CTTensor *w, const CTTensor *scale, int8_t *values, int64_t count);
/// The scale that a learned weight scale stands for, [O] row-major.
int32_t ct_effective_scales(const CTTensor *scale, float *values, int64_t count);
/// The scale and zero point that `ct_lsq_activation` uses.
int32_t ct_activation_parameters(const CTTensor *scale, const CTTensor *beta, float max_scale, float *effective_scale,
                                 int32_t *zero_point);

// ---- Training in whole numbers (differentiable; Steps.hpp)
//
// A map in steps is float32 [N, C, H, W], channels last, and holds q - z: bytes counted from their zero point. The
// gradient that belongs to it is that with respect to the real values, scale times the steps. `scale`, `beta` and
// `max_scale` are the output quantiser's, as for `ct_lsq_activation`. What comes out are steps too.

/// round(x / scale): real values that are whole multiples of a scale.
int32_t ct_to_steps(const CTTensor *x, float scale, CTTensor **out);
/// scale * steps: real values.
int32_t ct_from_steps(const CTTensor *steps, float scale, CTTensor **out);
/// `ct_lsq_weight`, as the integers themselves, for a convolution of a map in steps of `input_scale`.
int32_t ct_lsq_weight_steps(const CTTensor *w, const CTTensor *scale, float input_scale, CTTensor **out);
/// `ct_lsq_activation`, in steps.
int32_t ct_lsq_activation_steps(const CTTensor *x, const CTTensor *scale, const CTTensor *beta, float max_scale,
                                CTTensor **out);
/// Mean and biased variance of each channel, `count` numbers each. No gradient.
int32_t ct_channel_moments(const CTTensor *maps, double *means, double *variances, int64_t count);

enum { CT_NOT_NORMALISED = 0, CT_NORMALISED_BY_GIVEN = 1, CT_NORMALISED_BY_BATCH = 2 };

/// A quantiser by the interval that the bytes cover: a value becomes round(value * factor + offset).
typedef struct {
  float factor, offset;
  /// Whether multiplication and addition are one operation.
  int32_t is_fused;
} CTLine;

/// What follows a convolution of integers, rounding half to even and clamped to 0...255:
/// round((sign * sum + bias) * multiplier) + z; or, where there is a line, that of sign * sum * multiplier + real bias.
/// `numbers` are rows of `channels` each: sign (-1, 0, 1), multiplier, real bias, the weights' scale, and where there is a
/// batch norm its mean in accumulator steps, 1 / sqrt(variance + epsilon) and gamma, else zeros.
/// The gradient is that of convolution, batch norm (whose statistics are the batch's or given) and LSQ+ one after the
/// other, each rounding passed straight. gamma: [C], with a batch norm only. shift: [C], the batch norm's beta or the
/// convolution's bias, or null.
int32_t ct_requantise_steps(const CTTensor *sums, const CTTensor *gamma, const CTTensor *shift, const float *numbers,
                            const int32_t *biases, int64_t channels, float input_scale, int32_t normalisation,
                            const CTLine *line, const CTTensor *scale, const CTTensor *beta, float max_scale,
                            CTTensor **out);
/// The same in real numbers, neither rounded nor clamped: sign * sum * multiplier + real bias.
int32_t ct_real_sums(const CTTensor *sums, const CTTensor *gamma, const CTTensor *shift, const float *numbers,
                     int64_t channels, float input_scale, int32_t normalisation, CTTensor **out);
/// The line of (real - shift) * factor + b, rounded and clamped to 0...255; b is a byte of `second`.
int32_t ct_add_to_real_steps(const CTTensor *real, const CTTensor *second, float shift, float factor,
                             int32_t second_zero_point, CTLine line, const CTTensor *scale, const CTTensor *beta,
                             float max_scale, CTTensor **out);
/// clamp(round(fma(c0, a + c3, fma(c1, b + c4, c2))), 0, 255): bytes of two maps in units of the output.
int32_t ct_add_steps(const CTTensor *first, const CTTensor *second, const float constants[5], const CTTensor *scale,
                     const CTTensor *beta, float max_scale, CTTensor **out);
/// clamp(round((a * c0) * (b * c1) * c2 + c3), 0, 255); gate: [N, C, 1, 1].
int32_t ct_multiply_steps(const CTTensor *maps, const CTTensor *gate, float input_scale, float gate_scale,
                          const float constants[4], const CTTensor *scale, const CTTensor *beta, float max_scale,
                          CTTensor **out);
/// A function of one byte. `tables` are four rows of 256: the output in steps, d output / d input where the output is
/// inside its range and 0 outside, d output / d scale, and 1 outside.
int32_t ct_lookup_steps(const CTTensor *maps, int32_t zero_point, const float tables[1024], const CTTensor *scale,
                        const CTTensor *beta, float max_scale, CTTensor **out);
/// [N, C, H, W] -> [N, C, 1, 1]: means, quantised by scale and zero point or, where there is one, by the line of the bytes'
/// means.
int32_t ct_pool_steps(const CTTensor *maps, float input_scale, int32_t zero_point, const CTLine *line,
                      const CTTensor *scale, const CTTensor *beta, float max_scale, CTTensor **out);

// ---- Integer networks (no gradients; maps are uint8 [N, C, H, W] and come out channels last)

/// Accumulators of a convolution of integers, as floats, to bytes, as ct_requantise_steps does. One bias, multiplier and
/// real bias a channel.
int32_t ct_requantise(const CTTensor *sums, const int32_t *biases, const float *multipliers, const float *real_biases,
                      int64_t channels, int32_t zero_point, const CTLine *line, CTTensor **out);
/// sum * multiplier + real bias.
int32_t ct_accumulated_reals(const CTTensor *sums, const float *multipliers, const float *real_biases, int64_t channels,
                             CTTensor **out);
/// Real numbers and bytes of one shape, added as ct_add_to_real_steps does.
int32_t ct_add_to_real(const CTTensor *real, const CTTensor *bytes, float shift, float factor, CTLine line,
                       CTTensor **out);
/// table[x], with 256 entries.
int32_t ct_lookup(const CTTensor *bytes, const uint8_t *table, CTTensor **out);
/// table[256 * first + second], with 65,536 entries. `second` has the shape of `first`, or [N, C, 1, 1].
int32_t ct_lookup_pairs(const CTTensor *first, const CTTensor *second, const uint8_t *table, CTTensor **out);
/// [N, C, H, W] -> [N, C] int64.
int32_t ct_channel_sums(const CTTensor *bytes, CTTensor **out);

// ---- Losses (scalars, mean over the batch; gradients reach the first argument only)

/// logits: [N, K], labels: [N] int64; label smoothing in [0, 1).
int32_t ct_cross_entropy(const CTTensor *logits, const CTTensor *labels, double smoothing, CTTensor **out);
/// Kullback-Leibler divergence of the student's softmax from the teacher's probabilities [N, K].
int32_t ct_soft_target_loss(const CTTensor *logits, const CTTensor *probabilities, CTTensor **out);
/// Adaptive alpha-divergence of Wang et al., AlphaNet (arXiv 2102.07954). teacher: probabilities [N, K].
int32_t ct_alpha_divergence(const CTTensor *logits, const CTTensor *probabilities, double alpha_minus,
                            double alpha_plus, double clip, CTTensor **out);
/// Noise-to-signal ratio of feature maps [N, C, H, W]: mean over images and channels of mean((s - t)^2) / variance.
/// `variance` is [C] (of the teacher's channel over data set and space), or null for the variance of each image's own
/// channel. `epsilon` is added to every variance.
int32_t ct_noise_to_signal(const CTTensor *student, const CTTensor *teacher, const CTTensor *variance, double epsilon,
                           CTTensor **out);

// ---- Gradients and steps

/// d loss / d parameters[i] -> out[i], owned by the caller; null where the loss does not depend on the parameter.
/// Nothing accumulates anywhere, so several threads may do this at once for graphs that share parameters. Frees the
/// graph. On failure no element of `out` is written.
int32_t ct_gradients(const CTTensor *loss, const CTTensor *const *parameters, int32_t count, CTTensor **out);
/// destination += factor * source, in place, outside any graph.
int32_t ct_accumulate(CTTensor *destination, const CTTensor *source, double factor);

/// One step of stochastic gradient descent with momentum (Nesterov's form if asked) for `count` parameters. A null
/// gradient skips its parameter: no decay, momentum untouched. `learning_rates`, `weight_decays`: one each a parameter.
/// With max_norm > 0 all gradients are scaled so that their joint Euclidean norm is at most that. `norm` receives the
/// norm before clipping. If it is not finite nothing is changed and `stepped` receives 0, otherwise 1.
int32_t ct_sgd_step(CTTensor *const *parameters, const CTTensor *const *gradients, CTTensor *const *momenta,
                    const double *learning_rates, const double *weight_decays, int32_t count, double momentum,
                    int32_t nesterov, double max_norm, double *norm, int32_t *stepped);
/// One step of AdamW (decoupled decay). `steps[i]` counts the steps parameter i has made and is advanced by this one.
int32_t ct_adam_step(CTTensor *const *parameters, const CTTensor *const *gradients, CTTensor *const *first_moments,
                     CTTensor *const *second_moments, int64_t *steps, const double *learning_rates,
                     const double *weight_decays, int32_t count, double beta1, double beta2, double epsilon,
                     double max_norm, double *norm, int32_t *stepped);

// ---- Several processes (collectives are called by one thread, in the same order in every process)

/// Where the processes of a job find each other: names with bytes, kept by the one that serves.
typedef struct CTStore CTStore;
/// Processes that compute collectively over gloo, each with a rank.
typedef struct CTGroup CTGroup;

/// Serves a store at a port, or connects to one, trying for so long. Keys get the prefix. To be closed by the caller.
int32_t ct_store_open(const char *host, int32_t port, int32_t serves, const char *prefix, double timeout_seconds,
                      CTStore **out);
void ct_store_close(CTStore *store);
int32_t ct_store_set(CTStore *store, const char *key, const uint8_t *bytes, int64_t count);
/// Whether a key has been set; does not wait.
int32_t ct_store_has(CTStore *store, const char *key, int32_t *there);
/// Length in bytes of the value of a key, which must be there.
int32_t ct_store_length(CTStore *store, const char *key, int64_t *count);
int32_t ct_store_get(CTStore *store, const char *key, uint8_t *bytes, int64_t count);

/// Connects to all others. `address`: of this machine, as the others reach it; null for the one of its host name, or of
/// the interface that GLOO_SOCKET_IFNAME names. A collective that takes longer than the timeout fails. The store must stay
/// open as long as the group. To be left by the caller.
int32_t ct_group_join(CTStore *store, int32_t rank, int32_t size, const char *address, double timeout_seconds,
                      CTGroup **out);
void ct_group_leave(CTGroup *group);
/// Adds up float32 tensors over all processes, in place; a null is skipped, and must be null everywhere. The order of the
/// additions depends on the number of processes only, and all get the same bits.
int32_t ct_group_sum(CTGroup *group, CTTensor *const *tensors, int32_t count);
int32_t ct_group_sum_doubles(CTGroup *group, double *values, int64_t count);
/// Replaces the elements of float32 tensors by those of rank 0.
int32_t ct_group_broadcast(CTGroup *group, CTTensor *const *tensors, int32_t count);
int32_t ct_group_broadcast_bytes(CTGroup *group, uint8_t *bytes, int64_t count);

#ifdef __cplusplus
}
#endif
