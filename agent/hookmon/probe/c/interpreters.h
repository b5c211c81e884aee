/* The engines of other interpreters than the first: each has its own, with its own types, tables and shard, for as long as it is
 * there. Only _engine_others.c has this part. */
#pragma once

#include "base.h"
#include "children.h"
#include "control.h"
#include "errors.h"
#include "lanes.h"
#include "nodes.h"
#include "numbers.h"
#include "state.h"
#include "thread_lanes.h"
#include "types.h"

#include <pthread.h>
#include <sys/mman.h>

/* Its types are in use: somebody emptied sys.modules, or restarted the interpreter. */
#define ALREADY_LOADED "the compiled engine is loaded once in an interpreter"
static pthread_mutex_t engines_lock = PTHREAD_MUTEX_INITIALIZER;

#ifdef OTHER_INTERPRETERS
#define CAPSULE "hookmon.probe._engine"

/* What is called when its interpreter has let go of all that it had: nothing is recorded any more. An index into any shard leads into
 * its words, which are as many. */
static Engine nobody;
static uint64_t all_is_off[PAGE_BYTES / sizeof(uint64_t)];

OWN_TO_THREAD Engine *engine_here; /* that was found last, of */
OWN_TO_THREAD PyInterpreterState *interpreter_here;

static __attribute__((hot, noinline)) Engine *
find_engine(void)
{
    PyInterpreterState *interpreter = PyInterpreterState_Get();
    if (LIKELY(interpreter == interpreter_here && __atomic_load_n(&engine_here->interpreter, __ATOMIC_RELAXED) == interpreter)) {
        return engine_here;
    }
    for (Engine *engine = __atomic_load_n(&all_engines, __ATOMIC_ACQUIRE); engine; engine = engine->next) {
        if (__atomic_load_n(&engine->interpreter, __ATOMIC_ACQUIRE) == interpreter) {
            interpreter_here = interpreter;
            return engine_here = engine;
        }
    }
    return &nobody;
}

/* Have words for what is called too late. -1 with an error. */
static int
fill_nobody(void)
{
    if (!nobody.words) {
        void *words = mmap(NULL, LARGEST_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (words == MAP_FAILED) {
            PyErr_SetString(PyExc_ImportError, "there is no room for the calls of interpreters that have ended");
            return -1;
        }
        all_is_off[CONTROL_SWITCH] = SWITCH_ALL_OFF;
        nobody.control = all_is_off;
        PyObject **callback = (PyObject **)&nobody.callbacks;
        for (size_t i = 0; i < sizeof nobody.callbacks / sizeof *callback; i++) {
            callback[i] = Py_None;
        }
        nobody.epoch = nobody.lane_epoch = (unsigned)NO_EPOCH;
        nobody.forks = -1;
        nobody.member_freelist.count = nobody.transaction_freelist.count = nobody.coroutine_freelist.count = MOST_SPARE;
        nobody.send_freelist.count = nobody.callback_iterator_freelist.count = MOST_SPARE; /* nothing is kept */
        nobody.trace_freelist_count = MOST_FREE;
        nobody.of_thread.spare_record_count = nobody.of_thread.spare_generator_count = nobody.of_thread.spares = MOST_SPARE;
        nobody.words = words;
    }
    return 0;
}

/* Make the engine of an interpreter that is not the first, in memory of one that has ended, or in new. NULL with an error. */
static Engine *
make_engine(PyInterpreterState *interpreter)
{
    (void)pthread_mutex_lock(&engines_lock);
    Engine *made = all_engines;
    while (made && made->interpreter) {
        made = made->next;
    }
    int is_new = !made;
    void *memory = NULL;
    if (is_new && posix_memalign(&memory, 64, sizeof *made)) {
        memory = NULL;
    }
    made = is_new ? memory : made;
    if (made && fill_nobody() == 0) {
        Engine *next = is_new ? all_engines : made->next;
        memset(made, 0, sizeof *made);
        made->control = no_control;
        made->cpu_clock.random = SEED;
        made->next = next;
        begin_epoch(made);
        made->number = made->epoch;
        __atomic_store_n(&made->interpreter, interpreter, __ATOMIC_RELEASE);
        if (is_new) {
            __atomic_store_n(&all_engines, made, __ATOMIC_RELEASE);
        }
    }
    else {
        free(memory);
        made = NULL;
    }
    (void)pthread_mutex_unlock(&engines_lock);
    if (!made && !PyErr_Occurred()) {
        PyErr_NoMemory();
    }
    return made;
}

/* Break the cycles of the call tree: neither nodes nor their children are known to the garbage collector. */
static void
forget_children(PyObject *node)
{
    PyObject *left = PyList_New(0);
    for (int failed = !left || PyList_Append(left, node) < 0; !failed && PyList_GET_SIZE(left);) {
        Py_ssize_t last = PyList_GET_SIZE(left) - 1;
        Node *parent = (Node *)Py_NewRef(PyList_GET_ITEM(left, last));
        failed = PyList_SetSlice(left, last, last + 1, NULL) < 0;
        Children *children = (Children *)Py_XNewRef((PyObject *)parent->children);
        for (uint32_t i = 0; !failed && children && i < children->size; i++) {
            PyObject *child = children->entries[i].node;
            failed = child && Py_IS_TYPE(child, NodeType) && PyList_Append(left, child) < 0;
        }
        if (children) {
            Py_XDECREF(children_clear(children, NULL));
        }
        TargetFields *target = target_of(parent);
        PyObject *lists[] = {target ? target->nodes : NULL, target ? target->recursions : NULL};
        for (size_t i = 0; i < Py_ARRAY_LENGTH(lists); i++) {
            if (lists[i] && PyList_CheckExact(lists[i])) {
                (void)PyList_SetSlice(lists[i], 0, PyList_GET_SIZE(lists[i]), NULL);
            }
        }
        Py_CLEAR(parent->tail);
        forget_endings(parent);
        Py_XDECREF((PyObject *)children);
        Py_DECREF((PyObject *)parent);
    }
    Py_XDECREF(left);
    PyErr_Clear();
}

static void
free_all(PyObject **memory, int count)
{
    while (count) {
        PyObject_GC_Del(memory[--count]);
    }
}

static void
drop_all(PyObject **objects, int count)
{
    while (count) {
        Py_DECREF(objects[--count]);
    }
}

/* Forget what this thread has in the interpreter. */
static void
forget_thread(unsigned number)
{
    Lane *lane = present_lane();
    if (lane && lane == thread_lane) {
        thread_epoch = 0;
        Py_CLEAR(thread_lane);
    }
    Py_CLEAR(asked_last.task);
    asked_last.version = 0;
    for (Ended *ended = pthread_getspecific(thread_key); ended; ended = ended->next) {
        if (ended->engine == &state && ended->number == number) {
            Py_CLEAR(ended->lane);
        }
    }
}

/* The interpreter ends, and has let go of its modules. Let go of all that the engine has: nobody calls it any more, but for what is
 * freed last. */
static void
end_engine(PyObject *capsule)
{
    Engine *engine = PyCapsule_GetPointer(capsule, CAPSULE);
    if (!engine || engine != &state) {
        PyErr_Clear();
        return;
    }
    SavedException saved;
    exception_save(&saved);
    take_ended_threads();
    forget_thread(engine->number);
    if (engine->root) {
        forget_children(engine->root);
    }
    if (engine->flat) {
        Py_XDECREF(children_clear(engine->flat, NULL));
    }
    for (size_t i = 0; i < NODE_CACHE_SIZE; i++) {
        CachedNode *cached = &engine->of_thread.node_cache[i];
        Py_CLEAR(cached->parent);
        Py_CLEAR(cached->span);
        Py_CLEAR(cached->node);
    }
    for (size_t i = 0; i < MOST_FILES; i++) {
        Py_CLEAR(engine->files[i].name);
    }
    for (size_t i = 0; i < engine->watched_codes.size; i++) {
        Watched *watched = &engine->watched_codes.entries[i];
        Py_XDECREF(watched->code);
        Py_XDECREF((PyObject *)watched->slot);
        Py_XDECREF((PyObject *)watched->events);
    }
    PyMem_Free(engine->watched_codes.entries);
    engine->watched_codes = (WatchedCodes){NULL, 0, 0};
    for (size_t i = 0; i < engine->runs.size; i++) {
        Py_XDECREF(engine->runs.entries[i].record);
        Py_XDECREF((PyObject *)engine->runs.entries[i].body);
    }
    PyMem_Free(engine->runs.entries);
    engine->runs = (Runs){NULL, 0, 0};
    drop_all((PyObject **)engine->of_thread.spare, engine->of_thread.spares);
    drop_all((PyObject **)engine->spare_of_thread, engine->thread_spares);
    drop_all(engine->of_thread.spare_records, engine->of_thread.spare_record_count);
    drop_all(engine->of_thread.spare_generators, engine->of_thread.spare_generator_count);
    drop_all(engine->spare_trees, engine->spare_trees_count);
    PyObject **callback = (PyObject **)&engine->callbacks;
    for (size_t i = 0; i < sizeof engine->callbacks / sizeof *callback; i++) {
        Py_CLEAR(callback[i]);
    }
    Py_CLEAR(engine->root);
    Py_CLEAR(engine->no_children);
    Py_CLEAR(engine->records);
    Py_CLEAR(engine->nodes);
    Py_CLEAR(engine->flat);
    Py_CLEAR(engine->members);
    Py_CLEAR(engine->getcurrent);
    Py_CLEAR(engine->greenlet_lanes);
    Py_CLEAR(engine->get_loop);
    Py_CLEAR(engine->current_task);
    Py_CLEAR(engine->current_tasks);
    Py_CLEAR(engine->own_files);
    __atomic_store_n(&engine->number, 0, __ATOMIC_RELAXED);
    Py_buffer buffer = engine->buffer;
    forget_control();
    if (engine->fork_mark) {
        (void)munmap((void *)engine->fork_mark, PAGE_BYTES);
        engine->fork_mark = NULL;
    }
    Engine ended = *engine; /* the rest is memory of what is gone: to free it calls nobody */
    __atomic_store_n(&engine->interpreter, NULL, __ATOMIC_RELEASE);
    if (buffer.obj) {
        PyBuffer_Release(&buffer);
    }
    free_all(ended.member_freelist.ones, ended.member_freelist.count);
    free_all(ended.transaction_freelist.ones, ended.transaction_freelist.count);
    free_all(ended.coroutine_freelist.ones, ended.coroutine_freelist.count);
    free_all(ended.send_freelist.ones, ended.send_freelist.count);
    free_all(ended.callback_iterator_freelist.ones, ended.callback_iterator_freelist.count);
    for (int i = 0; i < ended.trace_freelist_count; i++) {
        PyMem_Free(ended.trace_freelist[i]->events);
        PyObject_Free(ended.trace_freelist[i]);
    }
    exception_restore(&saved);
}

/* Begin the engine of the running interpreter, which has none. -1 with an error. */
static __attribute__((noinline)) int
begin_engine(void)
{
    PyInterpreterState *interpreter = PyInterpreterState_Get();
    if (find_engine() != &nobody) {
        PyErr_SetString(PyExc_ImportError, ALREADY_LOADED);
        return -1;
    }
    PyObject *kept = PyInterpreterState_GetDict(interpreter);
    Engine *engine = kept ? make_engine(interpreter) : NULL;
    PyObject *capsule = engine ? PyCapsule_New(engine, CAPSULE, end_engine) : NULL;
    int failed = !capsule || PyDict_SetItemString(kept, CAPSULE, capsule) < 0;
    if (failed && engine && !capsule) {
        __atomic_store_n(&engine->interpreter, NULL, __ATOMIC_RELEASE);
    }
    Py_XDECREF(capsule);
    if (failed && !PyErr_Occurred()) {
        PyErr_SetString(PyExc_ImportError, "the interpreter keeps nothing for extensions");
    }
    return failed ? -1 : 0;
}
#else
static __attribute__((noinline)) int
begin_engine(void)
{
    if (state.interpreter) {
        PyErr_SetString(PyExc_ImportError, ALREADY_LOADED);
        return -1;
    }
    state.interpreter = PyInterpreterState_Get();
    return 0;
}
#endif
