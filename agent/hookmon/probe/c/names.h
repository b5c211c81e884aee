/* Spans of calls, by their arguments and the line that calls. Python finds a span (naming/names.py) and here it is remembered. */
#pragma once

#include "base.h"
#include "clock.h"
#include "compat.h"
#include "interned.h"
#include "numbers.h"
#include "state.h"
#include "types.h"

static void
forget_known(Timed *self)
{
    Known *table = self->known;
    Py_ssize_t size = self->known_size;
    self->known = NULL; /* first: what goes may call us */
    self->known_size = self->known_used = 0;
    for (Py_ssize_t i = 0; i < size; i++) {
        Py_XDECREF(table[i].value);
    }
    PyMem_Free(table);
}

/* Return what is remembered by a hash, borrowed; NULL where nothing is. */
static PyObject *
known_in_table(Timed *self, Py_hash_t hash)
{
    if (!self->known_size) {
        return NULL;
    }
    size_t mask = (size_t)self->known_size - 1;
    for (size_t i = (size_t)hash & mask;; i = (i + 1) & mask) {
        if (!self->known[i].value) {
            return NULL;
        }
        if (self->known[i].hash == hash) {
            return self->known[i].value;
        }
    }
}

#ifdef Py_GIL_DISABLED
/* Each thread remembers some by itself, or all would wait for the lock. */
static PyObject *
known_value(Timed *self, Py_hash_t hash)
{
    KnownSpan *known = &per_thread.known_spans[((uint64_t)hash ^ self->number * 0x9E3779B97F4A7C15ull) % MOST_KNOWN_SPANS];
    if (LIKELY(known->timed == self->number && known->hash == hash && known->span)) {
        return known->span;
    }
    LOCK();
    PyObject *value = known_in_table(self, hash);
    UNLOCK();
    if (value && has_part()) {
        *known = (KnownSpan){self->number, hash, value};
    }
    return value;
}
#else
static inline PyObject *
known_value(Timed *self, Py_hash_t hash)
{
    return known_in_table(self, hash);
}
#endif

static void
remember_in_table(Timed *self, Py_hash_t hash, PyObject *value)
{
    if (self->known_used >= MOST_KNOWN) {
        forget_known(self);
    }
    if (2 * self->known_used >= self->known_size) {
        Py_ssize_t size = self->known_size ? self->known_size * 2 : 8;
        Known *table = PyMem_Calloc((size_t)size, sizeof *table);
        if (!table) {
            return;
        }
        size_t mask = (size_t)size - 1;
        for (Py_ssize_t i = 0; i < self->known_size; i++) {
            if (self->known[i].value) {
                size_t at = (size_t)self->known[i].hash & mask;
                while (table[at].value) {
                    at = (at + 1) & mask;
                }
                table[at] = self->known[i];
            }
        }
        PyMem_Free(self->known);
        self->known = table;
        self->known_size = size;
    }
    size_t mask = (size_t)self->known_size - 1;
    size_t at = (size_t)hash & mask;
    while (self->known[at].value) {
        at = (at + 1) & mask;
    }
    self->known[at].hash = hash;
    self->known[at].value = Py_NewRef(value);
    self->known_used++;
}

/* Remember a span by the hash of what it depends on. */
static inline void
remember_value(Timed *self, Py_hash_t hash, PyObject *value)
{
    make_immortal(value); /* without a GIL, so that what is forgotten under the lock calls nothing */
    LOCK();
#ifdef Py_GIL_DISABLED
    if (!known_in_table(self, hash)) /* another thread may have been faster */
#endif
        remember_in_table(self, hash, value);
    UNLOCK();
}

/* Say whether the calling line is part of the span. It is for a client's calls, from the first transaction on: to find the line
 * costs as much again as the call. */
static inline int
is_located(Timed *self)
{
    return self->sited && state.joining;
}

/* Return the span of a call, borrowed, where it takes no work; NULL without an error where it has to be found. */
static inline PyObject *
cached_span(Timed *self, PyObject *const *args, Py_ssize_t count)
{
    if (is_located(self)) {
        return NULL;
    }
    if (self->span || self->position < 0 || self->position >= count || !PyUnicode_CheckExact(args[self->position])) {
        return self->span;
    }
    Py_hash_t hash = cached_hash(args[self->position]);
    return hash == -1 ? NULL : known_value(self, hash);
}

/* Files that code came from, by the address of their names, and whether they are the program's own. */
#define files (state.files)
#define known_files (state.known_files)

static HOT int
is_own(PyObject *filename)
{
    size_t at = ((size_t)filename >> 4) % MOST_FILES;
    for (PyObject *name; (name = LOAD(files[at].name)); at = (at + 1) % MOST_FILES) {
        if (name == filename) {
            return files[at].is_own;
        }
    }
    PyObject *answer = PyObject_CallOneArg(state.callbacks.is_own, filename);
    int own = answer ? answer == Py_True : 0;
    Py_XDECREF(answer);
    PyErr_Clear();
    LOCK();
    if (known_files < MOST_FILES / 2) {
        at = ((size_t)filename >> 4) % MOST_FILES; /* again: Python has run */
        while (files[at].name && files[at].name != filename) {
            at = (at + 1) % MOST_FILES;
        }
        if (!files[at].name) {
            files[at].is_own = own;
            STORE(files[at].name, Py_NewRef(filename));
            known_files++;
        }
    }
    UNLOCK();
    return own;
}

static inline uint64_t
mix(uint64_t a, uint64_t b)
{
    a ^= b + 0x9E3779B97F4A7C15ull + (a << 6) + (a >> 2);
    return a * 0xFF51AFD7ED558CCDull ^ a >> 31;
}

#define reads_frames (state.reads_frames)

/* Return the hash of a text. */
static inline Py_hash_t
hash_of(PyObject *text)
{
    Py_hash_t hash = cached_hash(text);
    return LIKELY(hash != -1) ? hash : PyObject_Hash(text);
}

static inline Py_hash_t
hash_of_value(PyObject *value)
{
    return PyUnicode_CheckExact(value) ? hash_of(value) : PyObject_Hash(value);
}

static inline uint64_t
key_of(PyCodeObject *code, uint64_t instruction)
{
    return mix((uint64_t)hash_of(code->co_filename), (uint64_t)code->co_firstlineno << 32 | (uint32_t)instruction);
}

#define is_beginning (per_thread.is_beginning)

/* Return a key of the innermost line of the program's own code, 0 when there is none. */
static uint64_t
site_key(void)
{
#ifdef HAS_FRAMES
    if (reads_frames) {
        Frame *internal = running_frame();
        for (int depth = 0; internal && depth < MOST_FRAMES; depth++, internal = internal->previous) {
            PyCodeObject *code = (PyCodeObject *)internal->code;
            if (code && PyCode_Check(code) && (depth || !is_beginning) && is_own(code->co_filename)) {
                return key_of(code, frame_offset(internal));
            }
        }
        return 0;
    }
#endif
    PyFrameObject *frame = (PyFrameObject *)Py_XNewRef((PyObject *)PyEval_GetFrame());
    uint64_t key = 0;
    for (int depth = 0; frame && !key && depth < MOST_FRAMES; depth++) {
        PyCodeObject *code = PyFrame_GetCode(frame);
        if ((depth || !is_beginning) && is_own(code->co_filename)) {
            key = key_of(code, (uint64_t)PyFrame_GetLasti(frame));
        }
        Py_DECREF(code);
        PyFrameObject *back = key ? NULL : PyFrame_GetBack(frame);
        Py_DECREF(frame);
        frame = back;
    }
    Py_XDECREF((PyObject *)frame);
    return key;
}

/* Return the one text that the name depends on, borrowed: an argument, or its item under a key. NULL when that is no text. */
static HOT PyObject *
key_argument(Timed *self, PyObject *const *args, Py_ssize_t count)
{
    if (self->position < 0 || self->position >= count) {
        return NULL;
    }
    PyObject *value = args[self->position];
    if (self->detail) {
        value = PyDict_CheckExact(value) ? PyDict_GetItemWithError(value, self->detail) : NULL;
        if (!value) {
            PyErr_Clear();
            return NULL;
        }
    }
    return PyUnicode_CheckExact(value) ? value : NULL;
}

/* Put the arguments of a call into a tuple and a dictionary. -1 with an error. */
static int
gather(PyObject *const *args, Py_ssize_t count, PyObject *kwnames, PyObject **positional, PyObject **keywords)
{
    *positional = PyTuple_New(count);
    *keywords = PyDict_New();
    int failed = !*positional || !*keywords;
    for (Py_ssize_t i = 0; i < count && !failed; i++) {
        PyTuple_SET_ITEM(*positional, i, Py_NewRef(args[i]));
    }
    for (Py_ssize_t i = 0; kwnames && i < PyTuple_GET_SIZE(kwnames) && !failed; i++) {
        failed = PyDict_SetItem(*keywords, PyTuple_GET_ITEM(kwnames, i), args[count + i]) < 0;
    }
    if (failed) {
        Py_CLEAR(*positional);
        Py_CLEAR(*keywords);
    }
    return failed ? -1 : 0;
}

/* Call a function of Python with (args, kwargs, result). */
static PyObject *
call_observer(PyObject *observe, PyObject *const *args, Py_ssize_t count, PyObject *kwnames, PyObject *result)
{
    PyObject *positional, *keywords;
    Charge begun = begin_charge();
    if (gather(args, count, kwnames, &positional, &keywords) < 0) {
        return NULL;
    }
    PyObject *answer = PyObject_CallFunctionObjArgs(observe, positional, keywords, result, NULL);
    Py_DECREF(positional);
    Py_DECREF(keywords);
    end_charge(begun, LONGEST_OWN_NS);
    return answer;
}

static PyObject *span_by_name(Timed *, PyObject *const *, Py_ssize_t, PyObject *, int);

/* Return the span of a call and of its calling line, a new reference (E_SET). */
static HOT PyObject *
span_of(Timed *self, PyObject *const *args, Py_ssize_t count, PyObject *kwnames)
{
    if (!is_located(self)) {
        return self->span ? Py_NewRef(self->span) : span_by_name(self, args, count, kwnames, 1);
    }
    uint64_t site = site_key();
    Py_hash_t name = 0;
    PyObject *span = NULL;
    PyObject *text;
    if (self->span) {
        span = Py_NewRef(self->span);
    }
    else if ((text = key_argument(self, args, count))) {
        name = hash_of(text);
    }
    else {
        span = span_by_name(self, args, count, kwnames, 1);
        if (!span) {
            return NULL;
        }
    }
    if (span) {
        name = (Py_hash_t)((uintptr_t)span >> 4);
    }
    Py_hash_t key = (Py_hash_t)mix((uint64_t)name, site);
    PyObject *known = known_value(self, key);
    if (known) {
        Py_XDECREF(span);
        return Py_NewRef(known);
    }
    if (!span) {
        span = span_by_name(self, args, count, kwnames, 0);
        if (!span) {
            return NULL;
        }
    }
    if (site) {
        Charge begun = begin_charge();
        PyObject *there = PyObject_CallOneArg(state.callbacks.locate, span);
        Py_DECREF(span);
        end_charge(begun, LONGEST_OWN_NS);
        if (!there) {
            return NULL;
        }
        span = there;
    }
    remember_value(self, key, span);
    return span;
}

/* Return the span that the arguments name, a new reference (E_SET). `remembers`: the span is kept by `key_argument`. */
static PyObject *
span_by_name(Timed *self, PyObject *const *args, Py_ssize_t count, PyObject *kwnames, int remembers)
{
    Py_hash_t hash = -1;
    PyObject *text = remembers ? key_argument(self, args, count) : NULL;
    if (text) {
        hash = hash_of(text);
        PyObject *known = known_value(self, hash);
        if (known) {
            return Py_NewRef(known);
        }
    }
    PyObject *positional, *keywords;
    Charge begun = begin_charge();
    if (gather(args, count, kwnames, &positional, &keywords) < 0) {
        return NULL;
    }
    PyObject *span = PyObject_CallFunctionObjArgs(self->name, positional, keywords, NULL);
    Py_DECREF(positional);
    Py_DECREF(keywords);
    end_charge(begun, LONGEST_OWN_NS);
    if (!span) {
        return NULL;
    }
    if (hash != -1) {
        remember_value(self, hash, span);
    }
    return span;
}
