#include "COpenVINO.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openvino/c/openvino.h>

enum { maximum_rank = 8, maximum_tensors = 16 };

// A model of a stranger may announce any size; memory is not taken for more than this.
static const size_t maximum_elements_per_image = (size_t)1 << 31;
static const size_t maximum_bytes = (size_t)4 << 30;

struct sov_model {
  ov_model_t *model;
  int32_t input_count;
  int32_t output_count;
  sov_tensor inputs[maximum_tensors];
  sov_tensor outputs[maximum_tensors];
};

typedef struct {
  ov_tensor_t *tensor;
  void *memory;
  size_t bytes;
} buffer;

struct sov_request {
  ov_compiled_model_t *compiled;
  ov_infer_request_t *request;
  buffer inputs[maximum_tensors];
  buffer outputs[maximum_tensors];
};

// MARK: Messages

static _Thread_local char message[4096];

const char *sov_message(void) { return message; }

static int32_t fail(int32_t code, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(message, sizeof message, format, arguments);
  va_end(arguments);
  return code;
}

// MARK: The library

// Every function of OpenVINO that is called here; each becomes a pointer of the same type in `api`.
#define FUNCTIONS(function)                                                                                            \
  function(ov_get_openvino_version) function(ov_version_free) function(ov_get_last_err_msg)                            \
  function(ov_get_error_info) function(ov_free) function(ov_core_create) function(ov_core_free)                        \
  function(ov_core_read_model_from_memory_buffer) function(ov_core_compile_model_props) function(ov_model_free)        \
  function(ov_model_inputs_size) function(ov_model_outputs_size) function(ov_model_const_input_by_index)               \
  function(ov_model_const_output_by_index) function(ov_model_reshape) function(ov_port_get_any_name)                   \
  function(ov_port_get_partial_shape) function(ov_port_get_element_type) function(ov_output_const_port_free)           \
  function(ov_partial_shape_free) function(ov_partial_shape_create) function(ov_compiled_model_free)                   \
  function(ov_compiled_model_create_infer_request) function(ov_compiled_model_input_by_index)                          \
  function(ov_compiled_model_output_by_index) function(ov_const_port_get_shape) function(ov_shape_free)                \
  function(ov_tensor_create_from_host_ptr) function(ov_tensor_free) function(ov_tensor_get_byte_size)                  \
  function(ov_infer_request_set_input_tensor_by_index) function(ov_infer_request_set_output_tensor_by_index)           \
  function(ov_infer_request_infer) function(ov_infer_request_free)

#define POINTER(name) __typeof__(&name) name;
static struct { FUNCTIONS(POINTER) } api;

static pthread_mutex_t loading = PTHREAD_MUTEX_INITIALIZER;
static ov_core_t *core;
static char version[64];
static char loaded_path[4096];

// Turns a status into a code and a message.
static int32_t check(ov_status_e status) {
  if (status == OK) return SOV_OK;
  const char *words = api.ov_get_last_err_msg();
  if (words == NULL || words[0] == 0) return fail(SOV_REFUSED, "%s", api.ov_get_error_info(status));
  fail(SOV_REFUSED, "%s", words);
  api.ov_free(words);
  return SOV_REFUSED;
}

// "2026.4.1-12345-abc" is told as "2026.4.1".
static void read_version(void) {
  ov_version_t found;
  if (api.ov_get_openvino_version(&found) != OK) {
    snprintf(version, sizeof version, "of an unknown version");
    return;
  }
  size_t length = strspn(found.buildNumber, "0123456789.");
  snprintf(version, sizeof version, "%.*s", (int)length, found.buildNumber);
  api.ov_version_free(&found);
}

static int32_t load(const char *path) {
  if (core != NULL && strcmp(path, loaded_path) == 0) return SOV_OK;
  if (core != NULL) return fail(SOV_NO_LIBRARY, "this process already uses the OpenVINO of %s", loaded_path);
  // Its symbols stay out of the way of the other engines'.
  void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (handle == NULL) return fail(SOV_NO_LIBRARY, "%s", dlerror());
  if (dlsym(handle, "ov_get_openvino_version") == NULL) {
    dlclose(handle);
    return fail(SOV_NO_LIBRARY, "%s is not OpenVINO's C library: it has no ov_get_openvino_version", path);
  }
  const char *missing = NULL;
#define FIND(name)                                                                                                     \
  api.name = (__typeof__(api.name))dlsym(handle, #name);                                                               \
  if (api.name == NULL) missing = #name;
  FUNCTIONS(FIND)
  if (missing != NULL) {
    int32_t code = fail(
        SOV_WRONG_VERSION, "%s lacks %s: it is another version of OpenVINO than this program was built for (2026.4)",
        path, missing);
    dlclose(handle);
    return code;
  }
  int32_t code = check(api.ov_core_create(&core));
  if (code != SOV_OK) {
    core = NULL;
    return code;
  }
  read_version();
  snprintf(loaded_path, sizeof loaded_path, "%s", path);
  return SOV_OK;
}

int32_t sov_load(const char *path) {
  pthread_mutex_lock(&loading);
  int32_t code = load(path);
  pthread_mutex_unlock(&loading);
  return code;
}

const char *sov_version(void) { return core == NULL ? NULL : version; }

// MARK: Models

static sov_type served(ov_element_type_e type) {
  switch (type) {
  case F32: return SOV_FLOAT;
  case U8: return SOV_UINT8;
  case I8: return SOV_INT8;
  case I32: return SOV_INT32;
  case I64: return SOV_INT64;
  default: return SOV_OTHER;
  }
}

static ov_element_type_e element(sov_type type) {
  switch (type) {
  case SOV_UINT8: return U8;
  case SOV_INT8: return I8;
  case SOV_INT32: return I32;
  case SOV_INT64: return I64;
  default: return F32;
  }
}

static size_t element_size(sov_type type) {
  switch (type) {
  case SOV_FLOAT: case SOV_INT32: return 4;
  case SOV_INT64: return 8;
  default: return 1;
  }
}

// Describes an input or output; its name is copied.
static int32_t describe(const ov_output_const_port_t *port, sov_tensor *tensor) {
  char *name = NULL;
  // A tensor need not have a name; then its place tells it.
  if (api.ov_port_get_any_name(port, &name) != OK) name = NULL;
  tensor->name = strdup(name == NULL ? "" : name);
  if (name != NULL) api.ov_free(name);
  ov_element_type_e type;
  int32_t code = check(api.ov_port_get_element_type(port, &type));
  if (code != SOV_OK) return code;
  tensor->type = served(type);
  if (tensor->type == SOV_OTHER)
    return fail(SOV_UNSUPPORTED, "\"%s\" has elements of OpenVINO type %d; float, uint8, int8, int32 and int64 are served",
                tensor->name, (int)type);
  ov_partial_shape_t shape;
  code = check(api.ov_port_get_partial_shape(port, &shape));
  if (code != SOV_OK) return code;
  if (shape.rank.min != shape.rank.max)
    code = fail(SOV_UNSUPPORTED, "\"%s\" has no shape; export the model with fixed shapes", tensor->name);
  else if (shape.rank.min > maximum_rank)
    code = fail(SOV_UNSUPPORTED, "\"%s\" has %lld dimensions; at most 8 are served", tensor->name,
                (long long)shape.rank.min);
  for (int64_t axis = 0; code == SOV_OK && axis < shape.rank.min; axis++)
    tensor->shape[axis] = shape.dims[axis].min == shape.dims[axis].max ? shape.dims[axis].min : -1;
  size_t elements = 1;
  for (int64_t axis = 1; code == SOV_OK && axis < shape.rank.min; axis++)
    if (tensor->shape[axis] > 0 && (__builtin_mul_overflow(elements, (size_t)tensor->shape[axis], &elements) ||
                                    elements > maximum_elements_per_image))
      code = fail(SOV_UNSUPPORTED, "\"%s\" has more than %zu elements an image", tensor->name,
                  maximum_elements_per_image);
  tensor->rank = code == SOV_OK ? (int32_t)shape.rank.min : 0;
  api.ov_partial_shape_free(&shape);
  return code;
}

typedef ov_status_e (*port_getter)(const ov_model_t *, const size_t, ov_output_const_port_t **);

static int32_t describe_all(
    const ov_model_t *model, size_t count, port_getter get_port, int32_t *done, sov_tensor *tensors) {
  if (count > maximum_tensors)
    return fail(SOV_UNSUPPORTED, "the model has %zu inputs or outputs; at most %d are served", count, maximum_tensors);
  int32_t code = SOV_OK;
  for (size_t index = 0; code == SOV_OK && index < count; index++) {
    ov_output_const_port_t *port = NULL;
    code = check(get_port(model, index, &port));
    if (code != SOV_OK) break;
    *done += 1;
    code = describe(port, &tensors[index]);
    api.ov_output_const_port_free(port);
  }
  return code;
}

int32_t sov_model_create(const void *bytes, size_t count, sov_model **model) {
  if (core == NULL) return fail(SOV_NO_LIBRARY, "OpenVINO has not been loaded");
  sov_model *created = calloc(1, sizeof *created);
  if (created == NULL) return fail(SOV_REFUSED, "out of memory");
  size_t inputs = 0, outputs = 0;
  int32_t code = check(api.ov_core_read_model_from_memory_buffer(core, bytes, count, NULL, &created->model));
  if (code == SOV_OK) code = check(api.ov_model_inputs_size(created->model, &inputs));
  if (code == SOV_OK) code = check(api.ov_model_outputs_size(created->model, &outputs));
  if (code == SOV_OK)
    code = describe_all(
        created->model, inputs, api.ov_model_const_input_by_index, &created->input_count, created->inputs);
  if (code == SOV_OK)
    code = describe_all(
        created->model, outputs, api.ov_model_const_output_by_index, &created->output_count, created->outputs);
  if (code != SOV_OK) {
    sov_model_free(created);
    return code;
  }
  *model = created;
  return SOV_OK;
}

void sov_model_free(sov_model *model) {
  if (model == NULL) return;
  if (model->model != NULL) api.ov_model_free(model->model);
  for (int32_t index = 0; index < model->input_count; index++) free((void *)model->inputs[index].name);
  for (int32_t index = 0; index < model->output_count; index++) free((void *)model->outputs[index].name);
  free(model);
}

int32_t sov_model_input_count(const sov_model *model) { return model->input_count; }
int32_t sov_model_output_count(const sov_model *model) { return model->output_count; }
sov_tensor sov_model_input(const sov_model *model, int32_t index) { return model->inputs[index]; }
sov_tensor sov_model_output(const sov_model *model, int32_t index) { return model->outputs[index]; }

// MARK: Requests

// Fixes every shape of the model's inputs, so that the runtime knows them when it compiles.
static int32_t fix_shapes(const sov_model *model, int64_t images) {
  ov_partial_shape_t shapes[maximum_tensors];
  const char *names[maximum_tensors];
  size_t count = 0;
  int32_t code = SOV_OK;
  for (int32_t index = 0; code == SOV_OK && index < model->input_count; index++) {
    const sov_tensor *tensor = &model->inputs[index];
    ov_dimension_t dimensions[maximum_rank];
    for (int32_t axis = 0; code == SOV_OK && axis < tensor->rank; axis++) {
      int64_t size = tensor->shape[axis] < 0 && axis == 0 ? images : tensor->shape[axis];
      if (size <= 0)
        code = fail(
            SOV_UNSUPPORTED,
            "\"%s\" leaves its dimension %d open; only the first, the number of images, may be: export the model with "
            "fixed shapes",
            tensor->name, axis);
      dimensions[axis] = (ov_dimension_t){size, size};
    }
    // An input that needs no change may have no name.
    if (code != SOV_OK || tensor->rank == 0 || tensor->shape[0] >= 0) continue;
    names[count] = tensor->name;
    code = check(api.ov_partial_shape_create(tensor->rank, dimensions, &shapes[count]));
    if (code == SOV_OK) count += 1;
  }
  if (code == SOV_OK && count > 0) code = check(api.ov_model_reshape(model->model, names, shapes, count));
  for (size_t index = 0; index < count; index++) api.ov_partial_shape_free(&shapes[index]);
  return code;
}

typedef ov_status_e (*compiled_port_getter)(const ov_compiled_model_t *, const size_t, ov_output_const_port_t **);
typedef ov_status_e (*tensor_setter)(ov_infer_request_t *, const size_t, const ov_tensor_t *);

// Memory of our own for an input or output, since whoever owns it knows how it is aligned.
static int32_t bind(
    sov_request *request, size_t index, const sov_tensor *tensor, compiled_port_getter get_port, tensor_setter set,
    buffer *buffer) {
  ov_output_const_port_t *port = NULL;
  ov_shape_t shape = {0, NULL};
  int32_t code = check(get_port(request->compiled, index, &port));
  if (code != SOV_OK) return code;
  code = check(api.ov_const_port_get_shape(port, &shape));
  api.ov_output_const_port_free(port);
  if (code != SOV_OK) return code;
  size_t size = element_size(tensor->type);
  for (int64_t axis = 0; axis < shape.rank; axis++)
    if (code == SOV_OK &&
        (__builtin_mul_overflow(size, (size_t)shape.dims[axis], &size) || size > maximum_bytes))
      code = fail(SOV_UNSUPPORTED, "\"%s\" takes more than %zu bytes a call", tensor->name, maximum_bytes);
  if (code == SOV_OK && posix_memalign(&buffer->memory, 64, size < 64 ? 64 : size) != 0)
    code = fail(SOV_REFUSED, "out of memory");
  if (code == SOV_OK) {
    memset(buffer->memory, 0, size);
    buffer->bytes = size;
    code = check(
        api.ov_tensor_create_from_host_ptr(element(tensor->type), shape, buffer->memory, &buffer->tensor));
  }
  api.ov_shape_free(&shape);
  return code == SOV_OK ? check(set(request->request, index, buffer->tensor)) : code;
}

int32_t sov_request_create(const sov_model *model, int64_t images, int32_t threads, sov_request **request) {
  if (images <= 0) return fail(SOV_UNSUPPORTED, "a call needs at least one image");
  int32_t code = fix_shapes(model, images);
  if (code != SOV_OK) return code;
  sov_request *created = calloc(1, sizeof *created);
  if (created == NULL) return fail(SOV_REFUSED, "out of memory");
  char thread_count[16];
  snprintf(thread_count, sizeof thread_count, "%d", (int)threads);
  // Without the precision hint, what is not integer runs in bfloat16 where the processor has it. Latency is the hint of
  // one request at a time.
  const ov_property_t properties[] = {
      {"PERFORMANCE_HINT", "LATENCY"},
      {"INFERENCE_PRECISION_HINT", "f32"},
      {"INFERENCE_NUM_THREADS", thread_count},
      {"NUM_STREAMS", "1"},
      {"ENABLE_CPU_PINNING", "NO"},
  };
  code = check(api.ov_core_compile_model_props(
      core, model->model, "CPU", sizeof properties / sizeof *properties, properties, &created->compiled));
  if (code == SOV_OK) code = check(api.ov_compiled_model_create_infer_request(created->compiled, &created->request));
  for (int32_t index = 0; code == SOV_OK && index < model->input_count; index++)
    code = bind(
        created, (size_t)index, &model->inputs[index], api.ov_compiled_model_input_by_index,
        api.ov_infer_request_set_input_tensor_by_index, &created->inputs[index]);
  for (int32_t index = 0; code == SOV_OK && index < model->output_count; index++)
    code = bind(
        created, (size_t)index, &model->outputs[index], api.ov_compiled_model_output_by_index,
        api.ov_infer_request_set_output_tensor_by_index, &created->outputs[index]);
  if (code != SOV_OK) {
    sov_request_free(created);
    return code;
  }
  *request = created;
  return SOV_OK;
}

static void free_buffer(buffer *buffer) {
  if (buffer->tensor != NULL) api.ov_tensor_free(buffer->tensor);
  free(buffer->memory);
}

void sov_request_free(sov_request *request) {
  if (request == NULL) return;
  if (request->request != NULL) api.ov_infer_request_free(request->request);
  for (int32_t index = 0; index < maximum_tensors; index++) {
    free_buffer(&request->inputs[index]);
    free_buffer(&request->outputs[index]);
  }
  if (request->compiled != NULL) api.ov_compiled_model_free(request->compiled);
  free(request);
}

void *sov_request_input(sov_request *request, int32_t index, size_t *bytes) {
  *bytes = request->inputs[index].bytes;
  return request->inputs[index].memory;
}

const void *sov_request_output(const sov_request *request, int32_t index, size_t *bytes) {
  *bytes = request->outputs[index].bytes;
  return request->outputs[index].memory;
}

int32_t sov_request_run(sov_request *request) { return check(api.ov_infer_request_infer(request->request)); }

static uint64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

int32_t sov_request_time(sov_request *request, int64_t count, uint64_t *nanoseconds) {
  for (int64_t index = 0; index < count; index++) {
    uint64_t start = now();
    ov_status_e status = api.ov_infer_request_infer(request->request);
    uint64_t end = now();
    if (status != OK) return check(status);
    nanoseconds[index] = end - start;
  }
  return SOV_OK;
}
