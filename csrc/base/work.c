/* work.c -- threads that count up one number. */
#include "base/work.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

enum { THREADS_MAX = 64 };

typedef struct shared {
    const kw_work *work;
    atomic_size_t next;
    atomic_bool failed;
} shared;

typedef struct worker {
    shared *all;
    pthread_t thread;
    kw_error err;
    size_t failed_at; /* step; SIZE_MAX */
} worker;

/* Takes steps until none is left. */
static void *take_steps(void *argument) {
    worker *w = argument;
    const kw_work *work = w->all->work;
    void *own = work->own_len > 0 ? calloc(1, work->own_len) : NULL;
    bool ready = own != NULL || work->own_len == 0;
    w->failed_at = SIZE_MAX;
    while (!atomic_load(&w->all->failed)) {
        size_t index = atomic_fetch_add(&w->all->next, 1);
        if (index >= work->count) break;
        if ((ready ? work->step(work->context, index, own, &w->err) : kw_fail_memory(&w->err)) != 0) {
            w->failed_at = index;
            atomic_store(&w->all->failed, true);
        }
    }
    if (own != NULL && work->end != NULL) work->end(own);
    free(own);
    return NULL;
}

int kw_work_run(const kw_work *work, int threads, kw_error *err) {
    worker workers[THREADS_MAX] = {0};
    shared all = {.work = work};
    size_t limit = threads < 1 ? 1 : threads > THREADS_MAX ? THREADS_MAX : (size_t)threads;
    size_t count = work->count < limit ? work->count : limit, started = 1;
    const worker *first = &workers[0];
    /* A thread that cannot be had leaves its share to the others. */
    for (; started < count; started++) {
        workers[started].all = &all;
        if (pthread_create(&workers[started].thread, NULL, take_steps, &workers[started]) != 0) break;
    }
    workers[0].all = &all;
    (void)take_steps(&workers[0]);
    for (size_t i = 1; i < started; i++) {
        (void)pthread_join(workers[i].thread, NULL);
        if (workers[i].failed_at < first->failed_at) first = &workers[i];
    }
    if (first->failed_at == SIZE_MAX) return 0;
    *err = first->err;
    return -1;
}

int kw_work_cores(void) {
    cpu_set_t set;
    int count = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    return count > 0 ? count : 1;
}
