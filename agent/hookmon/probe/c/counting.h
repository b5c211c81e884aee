/* What a completed call adds to the words of its node in the shard. */
#pragma once

#include "base.h"
#include "checks.h"
#include "errors.h"
#include "histogram.h"
#include "interned.h"
#include "numbers.h"
#include "places.h"
#include "state.h"
#include "types.h"

enum { TRIES = 9 }; /* to get storage before others do */

/* Return the index of a bucket whose octave the node does not have yet. E_ADD. */
static RARE Py_ssize_t
missing_bucket(Node *node, uint64_t duration_ns)
{
    int bucket = bucket_of(duration_ns);
    Py_ssize_t at = make_octave(node, bucket / SUB_BUCKETS);
    if (LIKELY(at)) {
        return at + bucket % SUB_BUCKETS;
    }
    SavedException saved;
    exception_save(&saved);
    unsigned epoch = state.epoch;
#ifdef Py_GIL_DISABLED /* Python would make it twice if two threads were there at the same time */
    Records *records = (Records *)Py_XNewRef((PyObject *)state.records);
    for (int left = TRIES; !at && left && records && epoch == state.epoch && node->number && ensure_storage(records, BUCKETS_WORDS); left--) {
        at = make_octave(node, bucket / SUB_BUCKETS);
    }
    Py_XDECREF((PyObject *)records);
    if (at || (node->number && !is_unknown_fork())) {
        exception_restore_unless_new(&saved);
        return epoch == state.epoch && at ? at + bucket % SUB_BUCKETS : node->total + UNTIMED;
    }
#endif
    PyObject *duration = PyLong_FromUnsignedLongLong(duration_ns);
    PyObject *answer =
        duration ? PyObject_CallFunctionObjArgs(state.callbacks.new_bucket, (PyObject *)node, duration, NULL) : NULL;
    if (answer) {
        at = PyLong_AsSsize_t(answer);
    }
    Py_XDECREF(answer);
    Py_XDECREF(duration);
    exception_restore_unless_new(&saved);
    /* I2: where a signal handler has forked in between, the place is one of the parent's shard */
    return at > 0 && epoch == state.epoch ? at : node->total + UNTIMED;
}

/* Have Python look at what the node's target costs: see recording/overhead.py. E_ADD. */
static RARE void
look_at_cost(Node *node)
{
    SavedException saved;
    exception_save(&saved);
    PyObject *answer = PyObject_CallOneArg(state.callbacks.look, (PyObject *)node);
    Py_XDECREF(answer);
    exception_restore_unless_new(&saved);
}

#ifdef Py_GIL_DISABLED
/* Take a duration into the minimum and the maximum of a node, which other threads may have as well. */
static inline void
count_extremes(Node *node, uint64_t *words, uint64_t duration_ns)
{
    uint64_t known = __atomic_load_n(&node->min_ns, __ATOMIC_RELAXED);
    while (duration_ns < known) {
        if (__atomic_compare_exchange_n(&node->min_ns, &known, duration_ns, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
            __atomic_store_n(&words[MIN], duration_ns, __ATOMIC_RELAXED);
            break;
        }
    }
    known = __atomic_load_n(&node->max_ns, __ATOMIC_RELAXED);
    while (duration_ns > known || !known) {
        if (__atomic_compare_exchange_n(&node->max_ns, &known, duration_ns, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
            __atomic_store_n(&words[MAX], duration_ns, __ATOMIC_RELAXED);
            break;
        }
    }
}

/* Count a completed call in a bucket that is there. Says whether its cost is to be looked at. */
static inline int
count_in_bucket(Node *node, uint64_t duration_ns, uint64_t *count)
{
    uint64_t now = __atomic_add_fetch(count, 1, __ATOMIC_RELAXED);
    count_extremes(node, &state.words[node->total], duration_ns);
    return now % CALLS_A_LOOK == 0;
}
#else
/* Have the shortest or the longest duration of a node be another one. */
static RARE void
widen_range(Node *node, uint64_t duration_ns)
{
    uint64_t *least = &state.words[node->total + MIN], *most = &state.words[node->total + MAX];
    uint64_t min_ns = node->min_ns, max_ns = min_ns + node->range_ns;
    if (min_ns == UINT64_MAX) { /* the first one */
        max_ns = 0;
    }
    if (duration_ns < min_ns) {
        min_ns = *least = duration_ns;
    }
    if (duration_ns > max_ns || !max_ns) {
        max_ns = *most = duration_ns;
    }
    node->min_ns = min_ns;
    node->range_ns = max_ns - min_ns;
}

/* Count a completed call in a bucket that is there. Says whether its cost is to be looked at. */
static inline __attribute__((always_inline)) int
count_in_bucket(Node *node, uint64_t duration_ns, uint64_t *count)
{
    (*count)++;
    uint64_t now = *(volatile uint64_t *)count; /* read again later takes less than to keep it */
    if (!LIKELY(duration_ns - node->min_ns <= node->range_ns)) { /* one comparison for both ends */
        widen_range(node, duration_ns);
    }
    return now % CALLS_A_LOOK == 0;
}
#endif

/* Count a completed call; its time is charged separately. E_SAY. */
static HOT __attribute__((noinline)) int
count_call(Node *node, uint64_t duration_ns)
{
    int bucket = (int)bucket_of(duration_ns);
    int32_t first = first_of(node, bucket / SUB_BUCKETS);
    Py_ssize_t at = LIKELY(first) ? first + bucket % SUB_BUCKETS : missing_bucket(node, duration_ns);
    uint64_t *words = state.words; /* only now: I2 */
    CHECK(is_word(at) && is_word(node->total) && is_word(node->total + UNTIMED));
    int is_due = count_in_bucket(node, duration_ns, &words[at]);
    CHECK(words == state.words); /* I1 */
    if (LIKELY(first && !is_due)) {
        return 0;
    }
    if (is_due) {
        look_at_cost(node);
    }
    return 1;
}

/* Say whether the error that is set is control flow for what a node counts (E_KEEP). */
static RARE int
is_expected(Node *node)
{
    if (!Py_IS_TYPE(node->span, SpanType) || !(((Span *)node->span)->target->flags & FLAG_EXPECTS)) {
        return 0;
    }
    PyObject *error = Py_NewRef(PyErr_Occurred());
    SavedException saved;
    exception_save(&saved);
    PyObject *answer = PyObject_CallFunctionObjArgs(state.callbacks.is_expected, node->span, error, NULL);
    int expected = answer == Py_True;
    Py_XDECREF(answer);
    Py_DECREF(error);
    exception_restore_unless_new(&saved);
    return expected;
}

/* Count the outcome of a call that raised, and return it. */
static RARE int
count_exception(Node *node)
{
    if (PyErr_ExceptionMatches(PyExc_StopIteration) || PyErr_ExceptionMatches(PyExc_StopAsyncIteration)) {
        return OUTCOME_RETURNED;
    }
    int outcome = PyErr_ExceptionMatches(PyExc_Exception) && !is_expected(node) ? OUTCOME_RAISED : OUTCOME_INTERRUPTED;
    ADD_TO(state.words[node->total + (outcome == OUTCOME_RAISED ? ERRORS : INTERRUPTED)], 1);
    return outcome;
}

/* Move one completed call from a node to another: (node, other, nanoseconds, outcome). */
static PyObject *
move_call(PyObject *Py_UNUSED(module), PyObject *args)
{
    static const struct { int flag, offset; } endings[] = {
        {OUTCOME_RAISED, ERRORS}, {OUTCOME_INTERRUPTED, INTERRUPTED}, {OUTCOME_UNTIMED, UNTIMED}};
    Node *node, *other;
    unsigned long long duration_ns;
    int outcome;
    if (!PyArg_ParseTuple(args, "O!O!Ki", NodeType, &node, NodeType, &other, &duration_ns, &outcome)) {
        return NULL;
    }
    uint64_t *words = state.words;
    for (size_t i = 0; i < Py_ARRAY_LENGTH(endings); i++) {
        if (outcome & endings[i].flag) {
            ADD_TO(words[node->total + endings[i].offset], -1);
            ADD_TO(words[other->total + endings[i].offset], 1);
        }
    }
    if (!(outcome & OUTCOME_UNTIMED)) {
        int bucket = (int)bucket_of(duration_ns);
        Py_ssize_t first = first_of(node, bucket / SUB_BUCKETS);
        ADD_TO(words[first ? first + bucket % SUB_BUCKETS : node->total + UNTIMED], -1);
        ADD_TO(words[node->total], -duration_ns);
        ADD_TO(words[other->total], duration_ns);
        count_call(other, duration_ns);
    }
    if (PyErr_Occurred()) {
        return NULL;
    }
    Py_RETURN_NONE;
}
