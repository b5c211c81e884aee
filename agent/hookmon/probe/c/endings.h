/* How a transaction ends: its status is counted, its calls are settled, and it is kept whole where it is one of the slowest. As in
 * transactions/statuses.py and Transaction.settle. */
#pragma once

#include "base.h"
#include "computing.h"
#include "counting.h"
#include "interned.h"
#include "nodes.h"
#include "numbers.h"
#include "state.h"
#include "traces.h"
#include "types.h"

/* Return the status by which a request counts: one that has raised before it had one gets that with which servers answer. */
static inline long
status_that_counts(Transaction *self, Node *node, uint32_t outcome)
{
    if (LIKELY(self->status || !(outcome & OUTCOME_RAISED))) {
        return self->status;
    }
    PyObject *name = PyObject_GetAttr(node->span, name_name);
    int is_websocket = !name || (PyUnicode_Check(name) && PyUnicode_Tailmatch(name, text_websocket_prefix, 0, PY_SSIZE_T_MAX, -1) == 1);
    Py_XDECREF(name);
    PyErr_Clear();
    return is_websocket ? 0 : NO_ANSWER;
}

/* Return the node that counts an entry's requests with a status, borrowed from the entry; NULL where there is none (E_ASK). */
static HOT Node *
node_of_status(Node *entry, long status)
{
    Endings *endings = entry->endings;
    for (int i = 0; endings && i < endings->count; i++) {
        if (endings->of[i].status == status) {
            return endings->of[i].node;
        }
    }
    PyObject *found = PyObject_CallFunction(state.callbacks.status_node, "Ol", (PyObject *)entry, status);
    if (!found) {
        return NULL;
    }
    Node *node = Py_IS_TYPE(found, NodeType) ? (Node *)found : NULL;
    endings = entry->endings; /* I2 */
    if (!endings) {
        endings = entry->endings = PyMem_Calloc(1, sizeof *endings);
    }
    if (endings && endings->count < MOST_ENDINGS && entry->number) { /* else it was retired meanwhile, or Python is asked each time */
        endings->of[endings->count++] = (StatusEnding){status, (Node *)Py_XNewRef((PyObject *)node)};
    }
    Py_DECREF(found); /* Python has one */
    return node;
}

/* Count a request in the node of its status. -1 with an error. */
static HOT int
count_status(Transaction *self, Node *node, const Event *last)
{
    Node *counted_in = node_of_status(node, status_that_counts(self, node, last->outcome));
    if (!counted_in) {
        return PyErr_Occurred() ? -1 : 0;
    }
    Py_XSETREF(self->counted_in, (Node *)Py_NewRef((PyObject *)counted_in));
    self->counted_ns = last->duration_ns;
    self->counted_as = last->outcome;
    uint64_t *words = state.words;
    if (self->failed || last->outcome & OUTCOME_RAISED) {
        words[counted_in->total + ERRORS]++;
    }
    if (last->outcome & OUTCOME_INTERRUPTED) {
        words[counted_in->total + INTERRUPTED]++;
    }
    if (last->outcome & OUTCOME_UNTIMED) {
        words[counted_in->total + UNTIMED]++;
        return 0;
    }
    words[counted_in->total] += last->duration_ns;
    return count_call(counted_in, last->duration_ns) && PyErr_Occurred() ? -1 : 0;
}

/* Write down what was counted. `last` is the entry's call; the calls without it are in one trace, or in a list of those of all
 * lanes. -1 with an error. */
static HOT int
settle_transaction(Transaction *self, Trace *own, PyObject *traces, const Event *last)
{
    Node *node = last->node;
    if ((self->status >= FAILED_FROM || self->failed) && (last->outcome & ~(uint32_t)OUTCOME_UNTIMED) == OUTCOME_RETURNED) {
        self->failed = 1;
        state.words[node->total + ERRORS]++;
    }
    if (is_text(node->kind, text_request) && count_status(self, node, last) < 0) {
        return -1;
    }
    if ((traces ? settle_list(traces) : settle(&own, 1)) < 0) {
        return -1;
    }
    if (last->outcome & OUTCOME_UNTIMED) {
        return 0;
    }
    int64_t computed_ns = self->stands_for ? settle_measured(self, node, last->duration_ns) : -1;
    if (computed_ns >= 0 && PyErr_Occurred()) {
        return -1;
    }
    if (last->duration_ns <= node->floor_ns) {
        return 0;
    }
    PyObject *list = traces ? Py_NewRef(traces) : Py_BuildValue("[O]", (PyObject *)own);
    PyObject *answer = !list ? NULL
                             : PyObject_CallFunction(state.callbacks.keep_if_slow, "OKKlLO", (PyObject *)node,
                                                   (unsigned long long)last->started_ns, (unsigned long long)last->duration_ns,
                                                   self->status, (long long)computed_ns, list);
    Py_XDECREF(list);
    Py_XDECREF(answer);
    return answer ? 0 : -1;
}
