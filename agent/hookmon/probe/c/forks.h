/* Forks, also those that Python is not told of: a program that embeds Python (uWSGI) forks its workers itself. */
#pragma once

#include "base.h"
#include "errors.h"
#include "interned.h"
#include "numbers.h"
#include "state.h"

#include <sys/mman.h>

/* Put memory of our own over the parent's shard, so that no word of it can be written from here, whatever still runs with an
 * index into it. Moved there and not mapped there: before Linux 6.12 a mapping at a fixed place that is refused (strict
 * overcommit) has taken away what was there. Where it is refused, what has storage behind it is covered at least. */
static void
cover(void *words, size_t size)
{
    size_t capacity = (size_t)((uint64_t *)words)[HEADER_CAPACITY] * sizeof(uint64_t);
    size_t sizes[] = {size, capacity < size ? capacity : size};
    for (size_t i = 0; i < Py_ARRAY_LENGTH(sizes); i++) {
        void *blank = mmap(NULL, sizes[i], PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (blank == MAP_FAILED) {
            continue;
        }
#ifdef MREMAP_FIXED
        if (mremap(blank, sizes[i], sizes[i], MREMAP_MAYMOVE | MREMAP_FIXED, words) != MAP_FAILED) {
            return;
        }
        munmap(blank, sizes[i]);
#else
        munmap(blank, sizes[i]);
        if (mmap(words, sizes[i], PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0) !=
            MAP_FAILED) {
            return;
        }
#endif
    }
}

/* Runs in the child of each fork() of the C library, os.fork's as well, before anything else and perhaps without the GIL; not
 * after vfork() and posix_spawn(). Lanes of the new epoch are nobody's: so the next call leaves the hot path, and there it is
 * noticed (`notice_fork`). */
static void
on_fork_in_child(void)
{
    if (!state.words) { /* nothing has been recorded yet */
        return;
    }
    if (state.shared) {
        cover(state.words, (size_t)state.buffer.len);
        state.shared = 0;
    }
    if (!state.forked) { /* else nothing has been recorded since the last one */
        state.forked = 1;
        state.epoch++;
    }
}

/* Have `recorder` do what Python's own forks have it do. E_ADD. */
static RARE void
notice_fork(void)
{
    SavedException saved;
    exception_save(&saved);
    PyObject *answer = PyObject_CallNoArgs(state.callbacks.notice_fork);
    Py_XDECREF(answer);
    exception_restore_unless_new(&saved);
}
