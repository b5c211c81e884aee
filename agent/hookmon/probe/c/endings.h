/* How a transaction ends: its status is counted, its calls are settled, and it is kept whole where it is one of the slowest. As in
 * transactions/statuses.py and Transaction.settle. */
#pragma once

#include "base.h"
#include "computing.h"
#include "control.h"
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

/* Return what is known of an entry's transactions with a status; NULL where nothing is. */
static HOT StatusEnding *
find_ending(Node *entry, long status)
{
    Endings *endings = entry->endings;
    for (int i = 0; endings && i < endings->count; i++) {
        if (endings->of[i].status == status) {
            return &endings->of[i];
        }
    }
    return NULL;
}

/* Return the endings of an entry's node; NULL where there is no memory, or it was retired meanwhile. */
static Endings *
endings_of(Node *entry)
{
    if (!entry->endings && entry->number) {
        entry->endings = PyMem_Calloc(1, sizeof(Endings));
    }
    return entry->endings;
}

/* Make a place for a status, with the node that counts it, or NULL. There may be no room: then the answer is NULL. */
static StatusEnding *
add_ending(Node *entry, long status, Node *node)
{
    Endings *endings = endings_of(entry);
    if (!endings || endings->count >= MOST_ENDINGS) {
        return NULL;
    }
    StatusEnding *ending = &endings->of[endings->count++];
    *ending = (StatusEnding){status, (Node *)Py_XNewRef((PyObject *)node), 0, NULL};
    return ending;
}

/* Return the node that counts an entry's requests with a status, borrowed from Python or the entry; NULL where there is none
 * (E_ASK). */
static HOT Node *
node_of_status(Node *entry, long status)
{
    StatusEnding *known = find_ending(entry, status);
    if (LIKELY(known != NULL)) {
        return known->node;
    }
    PyObject *found = PyObject_CallFunction(state.callbacks.status_node, "Ol", (PyObject *)entry, status);
    if (!found) {
        return NULL;
    }
    Node *node = Py_IS_TYPE(found, NodeType) ? (Node *)found : NULL;
    if (!find_ending(entry, status)) { /* I2 */
        add_ending(entry, status, node);
    }
    Py_DECREF(found); /* Python has one */
    return node;
}

/* Count a request in the node of its status. -1 with an error. */
static HOT int
count_status(Transaction *self, Node *node, const Event *last, long status)
{
    Node *counted_in = node_of_status(node, status);
    if (!counted_in) {
        return PyErr_Occurred() ? -1 : 0;
    }
    Py_XSETREF(self->counted_in, (Node *)Py_NewRef((PyObject *)counted_in));
    self->counted_ns = last->duration_ns;
    self->counted_as = last->outcome;
    uint64_t *words = state.words;
    if (self->failed || last->outcome & OUTCOME_RAISED) {
        ADD_TO(words[counted_in->total + ERRORS], 1);
    }
    if (last->outcome & OUTCOME_INTERRUPTED) {
        ADD_TO(words[counted_in->total + INTERRUPTED], 1);
    }
    if (last->outcome & OUTCOME_UNTIMED) {
        ADD_TO(words[counted_in->total + UNTIMED], 1);
        return 0;
    }
    ADD_TO(words[counted_in->total], last->duration_ns);
    return count_call(counted_in, last->duration_ns) && PyErr_Occurred() ? -1 : 0;
}

/* Say whether a transaction that has failed like this one was offered to be kept in this window. */
static int
was_offered(Transaction *self, Node *node, long status, uint64_t window)
{
    StatusEnding *ending = find_ending(node, status);
    return ending && ending->kept == window + 1 && ending->error == (void *)self->error;
}

/* Have Python keep a transaction whole, if it is one of those. -1 with an error. */
static RARE int
offer(Transaction *self, Node *node, const Event *last, long status, int64_t computed_ns, uint64_t window, int has_failed,
      Trace *own, PyObject *traces)
{
    PyObject *list = traces ? Py_NewRef(traces) : Py_BuildValue("[O]", (PyObject *)own);
    PyObject *answer = !list ? NULL
                             : PyObject_CallFunction(state.callbacks.keep_example, "OOKKILKO", (PyObject *)self, (PyObject *)node,
                                                     (unsigned long long)last->started_ns, (unsigned long long)last->duration_ns,
                                                     (unsigned)last->outcome, (long long)computed_ns, (unsigned long long)window,
                                                     list);
    Py_XDECREF(list);
    if (!answer) {
        return -1;
    }
    Py_DECREF(answer);
    if (window || has_failed) {
        Endings *endings = endings_of(node);
        if (endings) {
            endings->window = window;
        }
    }
    else if (node->endings) {
        node->endings->window = 0;
    }
    StatusEnding *ending = has_failed ? find_ending(node, status) : NULL;
    if (has_failed && !ending) {
        ending = add_ending(node, status, NULL);
    }
    if (ending) {
        ending->kept = window + 1;
        ending->error = (void *)self->error;
    }
    return 0;
}

/* Write down what was counted. `last` is the entry's call; the calls without it are in one trace, or in a list of those of all
 * lanes. -1 with an error. */
static HOT int
settle_transaction(Transaction *self, Trace *own, PyObject *traces, const Event *last)
{
    Node *node = last->node;
    if ((self->status >= FAILED_FROM || self->failed) && (last->outcome & ~(uint32_t)OUTCOME_UNTIMED) == OUTCOME_RETURNED) {
        self->failed = 1;
        ADD_TO(state.words[node->total + ERRORS], 1);
    }
    long status = status_that_counts(self, node, last->outcome);
    if (node->is_request && count_status(self, node, last, status) < 0) {
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
    uint64_t window = window_of(last->started_ns + last->duration_ns);
    int has_failed = self->failed || last->outcome & OUTCOME_RAISED;
    if (LIKELY(last->duration_ns <= node->floor_ns && window == (node->endings ? node->endings->window : 0) &&
               (!has_failed || was_offered(self, node, status, window)))) {
        return 0;
    }
    return offer(self, node, last, status, computed_ns, window, has_failed, own, traces);
}
