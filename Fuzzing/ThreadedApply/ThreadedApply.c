// dispatch_apply on threads that are made and joined for each call.
//
// The toolchain's libdispatch is not compiled for ThreadSanitizer, which then knows nothing of the order that the library
// makes between whoever calls and the pool's threads, and takes every block for a race. It knows pthread_create and
// pthread_join. Linked into the tests of `make sanitize` only; there it stands before the library's function.
#include "ThreadedApply.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>

// The beginning of a block: its function takes the block itself, and here an index.
struct block {
  void *isa;
  int flags, reserved;
  void (*invoke)(void *, size_t);
};

struct work {
  struct block *block;
  size_t count;
  atomic_size_t next;
};

static void *serve(void *argument) {
  struct work *work = argument;
  for (;;) {
    const size_t index = atomic_fetch_add(&work->next, 1);
    if (index >= work->count) return NULL;
    work->block->invoke(work->block, index);
  }
}

__attribute__((visibility("default"))) void dispatch_apply(size_t count, void *queue, void *block) {
  (void)queue;
  struct work work = {block, count, 0};
  pthread_t threads[4];
  size_t made = 0;
  while (made < 4 && made + 1 < count && pthread_create(&threads[made], NULL, serve, &work) == 0) made++;
  serve(&work);
  for (size_t index = 0; index < made; index++) pthread_join(threads[index], NULL);
}
