// Pixels of JPEG and PNG files, by libjpeg (turbo) and libpng.
#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { CI_MESSAGE_SIZE = 256 };

/// A decoded image: `height x width x channels` bytes, rows from the top, channels innermost (1: grey, 3: red, green,
/// blue). Transparent pixels stand on black.
typedef struct {
  int32_t width, height, channels;
  /// Owned by the caller, who gives it back with `ci_free`; null before a file was decoded.
  uint8_t *pixels;
  /// What is wrong with the file where a function failed.
  char message[CI_MESSAGE_SIZE];
} ci_image;

/// Decodes a file in memory; its first bytes say which format it is.
///
/// A JPEG may come out smaller, by 2, 4 or 8 in both directions, as long as its shorter side keeps `least_side` pixels;
/// 0 asks for full size. Anything that the decoder has to guess, such as the missing end of a truncated file, is a
/// failure. Images of more than `most_pixels` are refused before memory is taken for them.
///
/// Returns 0, or 1 with a message; then there are no pixels.
int32_t ci_decode(const uint8_t *bytes, size_t count, int32_t least_side, int64_t most_pixels, ci_image *image);
void ci_free(ci_image *image);

/// Encodes pixels, `quality` from 1 to 100: for tests that need files. `bytes` is given back with `ci_free_bytes`.
int32_t ci_encode_jpeg(const ci_image *image, int32_t quality, uint8_t **bytes, size_t *count);
int32_t ci_encode_png(const ci_image *image, uint8_t **bytes, size_t *count);
void ci_free_bytes(uint8_t *bytes);

#ifdef __cplusplus
}
#endif
