#include "CImages.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// jpeglib.h wants stdio.h before it.
#include <jpeglib.h>
#include <png.h>

static int32_t fail(ci_image *image, const char *message) {
  snprintf(image->message, CI_MESSAGE_SIZE, "%s", message);
  free(image->pixels);
  image->pixels = NULL;
  return 1;
}

static int32_t allocate(ci_image *image, int64_t most_pixels, int32_t width, int32_t height, int32_t channels) {
  if (width < 1 || height < 1 || (int64_t)width * height > most_pixels) {
    char text[CI_MESSAGE_SIZE];
    snprintf(text, sizeof text, "it has %d x %d pixels, more than the %lld that are read", width, height,
             (long long)most_pixels);
    return fail(image, text);
  }
  image->width = width;
  image->height = height;
  image->channels = channels;
  image->pixels = malloc((size_t)width * height * channels);
  return image->pixels ? 0 : fail(image, "there is no memory for its pixels");
}

// ---- JPEG

struct jpeg_failure {
  struct jpeg_error_mgr manager;
  jmp_buf back;
  char text[JMSG_LENGTH_MAX];
};

static void jpeg_stop(j_common_ptr decoder) {
  struct jpeg_failure *failure = (struct jpeg_failure *)decoder->err;
  decoder->err->format_message(decoder, failure->text);
  longjmp(failure->back, 1);
}

// libjpeg warns and goes on with grey where a file is cut off or damaged; here that is a failure.
static void jpeg_message(j_common_ptr decoder, int level) {
  if (level < 0) jpeg_stop(decoder);
}

// A scan of a few bytes passes over the whole image; a progressive file has about ten of them, a hostile one thousands.
enum { most_scans = 100 };
static const int64_t most_scanned_pixels = 4000000000;

static void jpeg_progress(j_common_ptr common) {
  if (!common->is_decompressor) return;
  const j_decompress_ptr decoder = (j_decompress_ptr)common;
  const int64_t scans = decoder->input_scan_number;
  if (scans <= most_scans && scans * decoder->image_width * decoder->image_height <= most_scanned_pixels) return;
  struct jpeg_failure *failure = (struct jpeg_failure *)common->err;
  snprintf(failure->text, sizeof failure->text, "it passes over its pixels in more than %lld scans", (long long)scans - 1);
  longjmp(failure->back, 1);
}

static void jpeg_handlers(struct jpeg_failure *failure) {
  memset(failure, 0, sizeof *failure);
  jpeg_std_error(&failure->manager);
  failure->manager.error_exit = jpeg_stop;
  failure->manager.emit_message = jpeg_message;
}

static int32_t decode_jpeg(const uint8_t *bytes, size_t count, int32_t least_side, int64_t most_pixels,
                           ci_image *image) {
  struct jpeg_decompress_struct decoder;
  struct jpeg_failure failure;
  struct jpeg_progress_mgr progress;
  // Destroying looks at what creating has not set if that fails.
  memset(&decoder, 0, sizeof decoder);
  memset(&progress, 0, sizeof progress);
  progress.progress_monitor = jpeg_progress;
  decoder.err = &failure.manager;
  jpeg_handlers(&failure);
  if (setjmp(failure.back)) {
    jpeg_destroy_decompress(&decoder);
    return fail(image, failure.text);
  }
  jpeg_create_decompress(&decoder);
  decoder.progress = &progress;
  jpeg_mem_src(&decoder, bytes, count);
  jpeg_read_header(&decoder, TRUE);
  if (decoder.num_components != 1 && decoder.num_components != 3) {
    jpeg_destroy_decompress(&decoder);
    return fail(image, "it is a JPEG in print colours (CMYK); grey or RGB is right");
  }
  if ((int64_t)decoder.image_width * decoder.image_height > most_pixels) {
    const int32_t width = (int32_t)decoder.image_width, height = (int32_t)decoder.image_height;
    jpeg_destroy_decompress(&decoder);
    return allocate(image, most_pixels, width, height, 3);
  }
  decoder.out_color_space = decoder.num_components == 1 ? JCS_GRAYSCALE : JCS_RGB;
  const JDIMENSION side = decoder.image_width < decoder.image_height ? decoder.image_width : decoder.image_height;
  decoder.scale_num = 1;
  decoder.scale_denom = 1;
  while (least_side > 0 && decoder.scale_denom < 8 && side / (2 * decoder.scale_denom) >= (JDIMENSION)least_side) {
    decoder.scale_denom *= 2;
  }
  jpeg_start_decompress(&decoder);
  if (allocate(image, most_pixels, (int32_t)decoder.output_width, (int32_t)decoder.output_height,
               decoder.output_components)) {
    jpeg_destroy_decompress(&decoder);
    return 1;
  }
  const size_t row_bytes = (size_t)image->width * image->channels;
  while (decoder.output_scanline < decoder.output_height) {
    JSAMPROW row = image->pixels + row_bytes * decoder.output_scanline;
    jpeg_read_scanlines(&decoder, &row, 1);
  }
  jpeg_finish_decompress(&decoder);
  jpeg_destroy_decompress(&decoder);
  return 0;
}

int32_t ci_encode_jpeg(const ci_image *image, int32_t quality, uint8_t **bytes, size_t *count) {
  struct jpeg_compress_struct encoder;
  struct jpeg_failure failure;
  unsigned char *memory = NULL;
  unsigned long size = 0;
  memset(&encoder, 0, sizeof encoder);
  encoder.err = &failure.manager;
  jpeg_handlers(&failure);
  if (setjmp(failure.back)) {
    jpeg_destroy_compress(&encoder);
    free(memory);
    return 1;
  }
  jpeg_create_compress(&encoder);
  jpeg_mem_dest(&encoder, &memory, &size);
  encoder.image_width = image->width;
  encoder.image_height = image->height;
  encoder.input_components = image->channels;
  encoder.in_color_space = image->channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
  jpeg_set_defaults(&encoder);
  jpeg_set_quality(&encoder, quality, TRUE);
  jpeg_start_compress(&encoder, TRUE);
  while (encoder.next_scanline < encoder.image_height) {
    JSAMPROW row = image->pixels + (size_t)image->width * image->channels * encoder.next_scanline;
    jpeg_write_scanlines(&encoder, &row, 1);
  }
  jpeg_finish_compress(&encoder);
  jpeg_destroy_compress(&encoder);
  *bytes = memory;
  *count = size;
  return 0;
}

// ---- PNG

static int32_t decode_png(const uint8_t *bytes, size_t count, int64_t most_pixels, ci_image *image) {
  png_image decoder;
  memset(&decoder, 0, sizeof decoder);
  decoder.version = PNG_IMAGE_VERSION;
  if (!png_image_begin_read_from_memory(&decoder, bytes, count)) return fail(image, decoder.message);
  const int is_color = (decoder.format & PNG_FORMAT_FLAG_COLOR) != 0;
  decoder.format = is_color ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
  if (allocate(image, most_pixels, (int32_t)decoder.width, (int32_t)decoder.height, is_color ? 3 : 1)) {
    png_image_free(&decoder);
    return 1;
  }
  const png_color black = {0, 0, 0};
  if (!png_image_finish_read(&decoder, &black, image->pixels, 0, NULL)) return fail(image, decoder.message);
  return 0;
}

int32_t ci_encode_png(const ci_image *image, uint8_t **bytes, size_t *count) {
  png_image encoder;
  memset(&encoder, 0, sizeof encoder);
  encoder.version = PNG_IMAGE_VERSION;
  encoder.width = image->width;
  encoder.height = image->height;
  encoder.format = image->channels == 1 ? PNG_FORMAT_GRAY : PNG_FORMAT_RGB;
  png_alloc_size_t size = 0;
  if (!png_image_write_to_memory(&encoder, NULL, &size, 0, image->pixels, 0, NULL)) return 1;
  uint8_t *memory = malloc(size);
  if (memory == NULL) return 1;
  if (!png_image_write_to_memory(&encoder, memory, &size, 0, image->pixels, 0, NULL)) {
    free(memory);
    return 1;
  }
  *bytes = memory;
  *count = size;
  return 0;
}

// ----

int32_t ci_decode(const uint8_t *bytes, size_t count, int32_t least_side, int64_t most_pixels, ci_image *image) {
  image->pixels = NULL;
  image->message[0] = 0;
  if (count >= 2 && bytes[0] == 0xff && bytes[1] == 0xd8) {
    return decode_jpeg(bytes, count, least_side, most_pixels, image);
  }
  if (count >= 8 && png_sig_cmp(bytes, 0, 8) == 0) return decode_png(bytes, count, most_pixels, image);
  return fail(image, count == 0 ? "it is empty" : "it is neither a JPEG nor a PNG");
}

void ci_free(ci_image *image) {
  free(image->pixels);
  image->pixels = NULL;
}

void ci_free_bytes(uint8_t *bytes) { free(bytes); }
