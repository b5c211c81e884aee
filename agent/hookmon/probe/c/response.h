/* The end of a response, and what still runs then: as in transactions/response.py. */
#pragma once

#include "base.h"
#include "clock.h"
#include "counting.h"
#include "errors.h"
#include "interned.h"
#include "lanes.h"
#include "numbers.h"
#include "state.h"
#include "traces.h"
#include "transactions.h"
#include "types.h"

/* Say whether a node is that of a call that is open: between the innermost one and the entry's. */
static int
is_open(Node *innermost, Node *entry, Node *node)
{
    for (Node *open_node = innermost;; open_node = (Node *)open_node->parent) {
        if (open_node == node || open_node == entry) {
            return open_node == node;
        }
    }
}

/* Lead the calls that are open now, and what leads to them already, to the tail. -1 with an error. */
static int
move_to_tail(Lane *lane, Node *entry, Node *tail)
{
    for (int i = 0; i < lane->moves; i++) {
        if (is_open(lane->node, entry, lane->moved[i].to)) {
            Py_SETREF(lane->moved[i].to, (Node *)Py_NewRef(tail));
        }
    }
    for (Node *open_node = lane->node;; open_node = (Node *)open_node->parent) {
        if (move_node(lane, open_node, tail) < 0) {
            return -1;
        }
        if (open_node == entry) {
            return 0;
        }
    }
}

/* Count a call that is open as if it ended now. */
static HOT void
count_open(Lane *lane, Trace *trace, Node *node, uint64_t ended_ns)
{
    Py_ssize_t slot = lane->base + node->slot;
    uint64_t started_ns = state.words[slot] == node->number ? state.words[slot + 1] : 0; /* else it is only counted */
    uint64_t duration_ns = started_ns && ended_ns > started_ns ? ended_ns - started_ns : 0;
    state.words[slot] = 0;
    if (started_ns) {
        ADD_TO(state.words[node->total], duration_ns);
        count_call(node, duration_ns);
    }
    else {
        ADD_TO(state.words[node->total + UNTIMED], 1);
    }
    trace_add(trace, node, started_ns, duration_ns, started_ns ? OUTCOME_RETURNED : OUTCOME_UNTIMED);
}

/* Settle a transaction: its response has ended for the client. */
static HOT void
finish_response(Transaction *self)
{
    Lane *lane = self->lane;
    Node *entry = self->node;
    Node *innermost = lane->node;
#ifdef Py_GIL_DISABLED
    if (lane != present_lane()) { /* whose thread is in the midst of its calls */
        return;
    }
#endif
    if (self->ended || self->nested || self->epoch != state.forks || lane->base == SCRATCH_LANE ||
        !entry->is_request) {
        return;
    }
    for (Node *open_node = innermost; open_node != entry; open_node = (Node *)open_node->parent) {
        if ((PyObject *)open_node == state.root || !Py_IS_TYPE(open_node->parent, NodeType)) {
            return; /* the entry is not open there */
        }
    }
    if (!entry->tail) {
        entry->tail = PyObject_CallOneArg(state.callbacks.tail, (PyObject *)entry);
    }
    if (!entry->tail || !Py_IS_TYPE(entry->tail, NodeType)) {
        Py_CLEAR(entry->tail);
        return;
    }
    Node *tail = (Node *)entry->tail;
    Trace *own = first_trace(self);
    if (!own || move_to_tail(lane, entry, tail) < 0) {
        return;
    }
    end_own_part(self);
    self->ended = 1;
    Py_CLEAR(lane->trace);
    lane->node = (Node *)Py_NewRef(tail); /* the reference to the innermost node is ours now, and it has one to each above */
    Py_INCREF(entry);
    Py_INCREF(own); /* what is counted may call Python, which may ask for the list of traces */
    uint64_t ended_ns = now_ns();
    for (Node *open_node = innermost;; open_node = (Node *)open_node->parent) {
        int is_last = open_node == entry || !Py_IS_TYPE(open_node->parent, NodeType); /* a fork in between has retired them */
        count_open(lane, own, open_node, ended_ns);
        if (is_last) {
            break;
        }
    }
    (void)settle_last(self);
    Py_DECREF(own);
    Py_DECREF(entry);
    Py_DECREF(innermost);
}

static PyObject *
finish_response_for_python(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *transaction = Py_None;
    if (!PyArg_ParseTuple(args, "|O", &transaction)) {
        return NULL;
    }
    Transaction *open = transaction == Py_None ? open_transaction() : (Transaction *)Py_NewRef(transaction);
    if (open && Py_IS_TYPE((PyObject *)open, TransactionType)) {
        finish_response(open);
    }
    Py_XDECREF(open);
    if (PyErr_Occurred()) {
        return NULL;
    }
    Py_RETURN_NONE;
}
