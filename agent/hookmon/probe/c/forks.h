/* Forks. Python is not told of all of them: a program that embeds Python (uWSGI) forks its workers itself. */
#pragma once

#include "base.h"
#include "errors.h"
#include "interned.h"
#include "numbers.h"
#include "state.h"

#include <sys/mman.h>

/* Put memory of our own over the parent's shard: what still runs with an index into it must not write there. The memory is mapped
 * elsewhere and moved: before Linux 6.12 a mapping at a fixed place that is refused (strict overcommit) takes away what was there.
 * Where the whole size is refused, the part with storage behind it is covered. */
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

/* Say once more that the shard is this process's, before new places are written to it. A child that was made by a bare system call is not
 * told to the C library either, and two processes would write their records to the same words. So a page is there that is empty in
 * each child, whoever made it (MADV_WIPEONFORK, Linux 4.14). Without it, only what the C library tells is known. */
static void
mark_process(void)
{
#ifdef MADV_WIPEONFORK
    if (!state.fork_mark) {
        void *page = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (page == MAP_FAILED) {
            return;
        }
        if (madvise(page, PAGE_BYTES, MADV_WIPEONFORK)) {
            munmap(page, PAGE_BYTES);
            return;
        }
        state.fork_mark = page;
    }
    *state.fork_mark = 1;
#endif
}

/* Say whether this process is a fork of the one that the shard belongs to, and `recorder` does not know of it yet. */
static inline int
is_unknown_fork(void)
{
    return state.forked || (state.fork_mark && !*state.fork_mark);
}

/* Begin a new epoch in the child of a fork. The C library calls this after each fork(), os.fork's as well, before anything else and
 * perhaps without the GIL; not after vfork() and posix_spawn(). No lane is of the new epoch, so the next call leaves the hot path,
 * and there `notice_fork` does the rest. */
static void
on_fork_in_child(void)
{
    for (Engine *engine = all_engines; engine; engine = engine->next) {
        if (!engine->words || !engine->interpreter) { /* nothing has been recorded yet, or it has ended */
            continue;
        }
        if (engine->shared) {
            cover(engine->words, (size_t)engine->buffer.len);
            engine->shared = 0;
        }
        if (!engine->forked) { /* else nothing has been recorded since the last one */
            engine->forked = 1;
            count_fork(engine);
        }
    }
}

/* Have `recorder` begin anew, as after os.fork. E_ADD. */
static RARE void
notice_fork(void)
{
    SavedException saved;
    exception_save(&saved);
    PyObject *answer = PyObject_CallNoArgs(state.callbacks.notice_fork);
    Py_XDECREF(answer);
    exception_restore_unless_new(&saved);
}
