/* CPU time of transactions: which of them are measured, and part by part. As in transactions/computing.py. */
#pragma once

#include "base.h"
#include "clock.h"
#include "interned.h"
#include "nodes.h"
#include "numbers.h"
#include "state.h"
#include "types.h"

#include <time.h>

#define cpu_clock (state.cpu_clock)

OWN_TO_THREAD Transaction *measuring; /* what a part of this thread is measured for; only compared */

enum { PAIRS_OF_READINGS = 9, MEMORY = 32 };

static inline uint64_t
thread_cpu_ns(void)
{
    struct timespec now;
    return clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now) ? 0 : (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Put a value where it belongs among sorted ones. */
static void
insert_sorted(uint64_t *sorted, int count, uint64_t value)
{
    for (; count && sorted[count - 1] > value; count--) {
        sorted[count] = sorted[count - 1];
    }
    sorted[count] = value;
}

/* Measure what a reading of the clock takes: the middle of nine. */
static RARE void
calibrate_cpu_clock(void)
{
    uint64_t readings[PAIRS_OF_READINGS], parts[PAIRS_OF_READINGS];
    Charge begun = begin_charge();
    for (int i = 0; i < PAIRS_OF_READINGS; i++) {
        uint64_t begun_ns = now_ns();
        uint64_t first_ns = thread_cpu_ns();
        uint64_t second_ns = thread_cpu_ns();
        insert_sorted(readings, i, since_ns(begun_ns));
        insert_sorted(parts, i, second_ns > first_ns ? second_ns - first_ns : 0);
        if (!second_ns) {
            cpu_clock.reading_ns = -1;
            return;
        }
    }
    cpu_clock.empty_part_ns = parts[PAIRS_OF_READINGS / 2];
    int64_t reading_ns = (int64_t)(readings[PAIRS_OF_READINGS / 2] / 2);
    cpu_clock.reading_ns = reading_ns > 0 ? reading_ns : 1;
    end_charge(begun, LONGEST_OWN_NS);
}

/* Return 64 random bits: Marsaglia's xorshift. */
static inline uint64_t
random_bits(void)
{
    uint64_t bits = cpu_clock.random;
    bits ^= bits << 13;
    bits ^= bits >> 7;
    return cpu_clock.random = bits ^ bits << 17;
}

/* Begin a part of a transaction's own lane. */
static void
begin_own_part(Transaction *self)
{
    self->around = measuring;
    measuring = self;
    self->thread = thread_ident();
    self->readings++;
    self->began_ns = thread_cpu_ns();
}

static inline uint64_t
cpu_since(uint64_t began_ns)
{
    uint64_t used_ns = thread_cpu_ns() - began_ns;
    return used_ns > cpu_clock.empty_part_ns ? used_ns - cpu_clock.empty_part_ns : 0;
}

static RARE void
end_begun_part(Transaction *self)
{
    uint64_t began_ns = self->began_ns;
    self->began_ns = 0;
    if (self->thread != thread_ident()) {
        self->stands_for = 0;
        return;
    }
    self->computed_ns += cpu_since(began_ns);
    self->readings++;
    measuring = self->around;
    self->around = NULL;
}

/* End it. Where it ends in another thread the transaction cannot be measured. */
static inline void
end_own_part(Transaction *self)
{
    if (self->began_ns) {
        end_begun_part(self);
    }
}

/* Begin to measure a transaction that has been chosen, and choose the next one of its entry. E_KEEP. */
static RARE void
measure(Transaction *self, Node *entry)
{
    if (!cpu_clock.reading_ns) {
        calibrate_cpu_clock();
    }
    LOCK();
    if (!entry->measuring) {
        STORE(entry->measuring, PyMem_Calloc(1, sizeof *entry->measuring));
    }
    Measuring *share = entry->measuring;
    UNLOCK();
    if (!share) {
        return;
    }
    int can_measure = cpu_clock.reading_ns > 0;
    if (can_measure && state.getcurrent) {
        PyObject *answer = PyObject_CallNoArgs(state.callbacks.runs_alone);
        can_measure = answer == Py_True;
        Py_XDECREF(answer);
    }
    if (!can_measure) {
        share->until_measured = MOST_STANDS_FOR;
        return;
    }
    if (share->first_measured < FIRST_MEASURED) {
        share->wanted = 1;
    }
    self->stands_for = share->stands_for ? share->stands_for : 1;
    share->stands_for = share->wanted;
    share->until_measured = 1 + (int32_t)(random_bits() % (uint64_t)(2 * share->wanted - 1));
    self->entry = (Node *)Py_NewRef((PyObject *)entry);
    begin_own_part(self);
}

/* Measure a transaction that begins with a node, if it is chosen. */
static inline void
measure_share(Transaction *self, Node *entry)
{
    if (!entry->measuring || --entry->measuring->until_measured <= 0) {
        measure(self, entry);
    }
}

static PyObject *
transaction_measure(Transaction *self, PyObject *entry)
{
    if (!Py_IS_TYPE(entry, NodeType)) {
        PyErr_SetString(PyExc_TypeError, "an entry's node is a Node");
        return NULL;
    }
    measure_share(self, (Node *)entry);
    if (PyErr_Occurred()) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *
transaction_begin_part(Transaction *self, PyObject *Py_UNUSED(ignored))
{
    if (self->stands_for) {
        begin_own_part(self);
    }
    Py_RETURN_NONE;
}

static PyObject *
transaction_end_part(Transaction *self, PyObject *Py_UNUSED(ignored))
{
    end_own_part(self);
    Py_RETURN_NONE;
}

/* Choose how many of an entry are to be measured, after one that took so many readings of the clock. */
static void
adapt_share(Node *entry, uint64_t spent_ns, uint64_t duration_ns)
{
    Measuring *share = entry->measuring;
    if (!share) {
        return;
    }
    share->readings_ns += spent_ns - share->readings_ns / MEMORY;
    share->duration_ns += duration_ns - share->duration_ns / MEMORY;
    if (share->first_measured < FIRST_MEASURED) {
        share->first_measured++;
        return;
    }
    uint64_t duration = share->duration_ns ? share->duration_ns : 1;
    uint64_t wanted = (share->readings_ns * MOST_COMPUTING_SHARE + duration - 1) / duration;
    share->wanted = wanted < 1 ? 1 : wanted > MOST_STANDS_FOR ? MOST_STANDS_FOR : (int32_t)wanted;
}

/* Add a measured transaction to the sums of its node. Returns its CPU time, of all lanes (E_ASK). */
static RARE int64_t
settle_measured(Transaction *self, Node *node, uint64_t duration_ns)
{
    uint64_t stands_for = (uint64_t)self->stands_for;
    self->stands_for = 0; /* what a coroutine does later is no part of it */
    uint64_t own_ns = self->computed_ns < duration_ns ? self->computed_ns : duration_ns;
    uint64_t spent_ns = self->readings * (uint64_t)cpu_clock.reading_ns;
    if (!node->computing && node->number) {
        PyObject *answer = PyObject_CallOneArg(state.callbacks.new_computing, (PyObject *)node);
        Py_XDECREF(answer);
    }
    uint64_t *words = state.words;
    if (node->computing) {
        uint64_t *sums = words + node->computing;
        ADD_TO(sums[COMPUTING_MEASURED], 1);
        ADD_TO(sums[COMPUTING_STANDS_FOR], stands_for);
        ADD_TO(sums[COMPUTING_DURATION_NS], stands_for * duration_ns);
        ADD_TO(sums[COMPUTING_OWN_NS], stands_for * own_ns);
        ADD_TO(sums[COMPUTING_BESIDE_NS], stands_for * self->beside_ns);
    }
    ADD_TO(words[HEADER_OWN_NS], spent_ns);
    if (self->entry) {
        adapt_share(self->entry, spent_ns, duration_ns);
        Py_CLEAR(self->entry);
    }
    return (int64_t)(own_ns + self->beside_ns);
}

/* Forget what was measured, and who it was. */
static inline void
forget_measured(Transaction *self)
{
    if (LIKELY(!self->readings)) {
        return;
    }
    if (measuring == self) { /* it was never ended */
        measuring = NULL;
    }
    Py_CLEAR(self->entry);
    self->stands_for = 0;
    self->readings = self->computed_ns = self->beside_ns = self->began_ns = 0;
    self->around = NULL;
}

/* What another thread or task than a transaction's own computes for it. */
typedef struct {
    PyObject_HEAD
    Transaction *transaction;
    Transaction *around; /* only compared */
    uint64_t began_ns;
} Part;

static PyObject *
part_new(PyTypeObject *type, PyObject *args, PyObject *Py_UNUSED(kwargs))
{
    PyObject *transaction;
    if (!PyArg_ParseTuple(args, "O!", TransactionType, &transaction)) {
        return NULL;
    }
    Part *self = (Part *)type->tp_alloc(type, 0);
    if (self) {
        self->transaction = (Transaction *)Py_NewRef(transaction);
    }
    return (PyObject *)self;
}

static int
part_traverse(Part *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->transaction);
    return 0;
}

static void
part_dealloc(Part *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    Py_CLEAR(self->transaction);
    type->tp_free(self);
    Py_DECREF(type);
}

/* Begin a part in the running thread. Within another one of the same transaction nothing is measured. */
static void
begin_part(Part *self)
{
    Transaction *transaction = self->transaction;
    if (measuring == transaction || transaction->ended || !transaction->stands_for) {
        return;
    }
    self->around = measuring;
    measuring = transaction;
    transaction->readings++;
    self->began_ns = thread_cpu_ns();
}

/* End it, in the same thread. What comes after the transaction's end is none of its time. */
static void
end_part(Part *self)
{
    uint64_t began_ns = self->began_ns;
    self->began_ns = 0;
    if (!began_ns) {
        return;
    }
    uint64_t used_ns = cpu_since(began_ns);
    Transaction *transaction = self->transaction;
    measuring = self->around;
    self->around = NULL;
    if (transaction->stands_for && !transaction->ended) {
        transaction->readings++;
        transaction->beside_ns += used_ns;
    }
}

static PyObject *
part_begin(Part *self, PyObject *Py_UNUSED(ignored))
{
    begin_part(self);
    Py_RETURN_NONE;
}

static PyObject *
part_end(Part *self, PyObject *Py_UNUSED(ignored))
{
    end_part(self);
    Py_RETURN_NONE;
}

static PyMethodDef part_methods[] = {
    {"begin_part", (PyCFunction)part_begin, METH_NOARGS, "begin_part($self, /)\n--\n\nBegin a part in the running thread."},
    {"end_part", (PyCFunction)part_end, METH_NOARGS, "end_part($self, /)\n--\n\nEnd it, in the same thread."},
    {NULL, NULL, 0, NULL},
};

/* Return what measures the steps of a coroutine by what it has opened, a new reference: a transaction or a Part. NULL without an
 * error where they are not measured. */
static PyObject *
part_of(PyObject *opened)
{
    if (Py_IS_TYPE(opened, TransactionType)) {
        return ((Transaction *)opened)->stands_for ? Py_NewRef(opened) : NULL;
    }
    PyObject *part = PyObject_GetAttr(opened, name_part);
    if (part && !Py_IS_TYPE(part, PartType)) {
        Py_CLEAR(part);
    }
    if (!part) {
        PyErr_Clear();
    }
    return part;
}
