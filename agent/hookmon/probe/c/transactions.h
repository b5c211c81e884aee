/* Transactions: begun, settled, ended. What is rare of them is in transactions/context.py. */
#pragma once

#include "base.h"
#include "clock.h"
#include "computing.h"
#include "contexts.h"
#include "endings.h"
#include "errors.h"
#include "freelist.h"
#include "interned.h"
#include "lanes.h"
#include "membership.h"
#include "numbers.h"
#include "state.h"
#include "traces.h"
#include "types.h"

static HOT PyObject *
make_transaction(PyTypeObject *type, Lane *lane, Node *node)
{
    Transaction *self = (Transaction *)freelist_pop(&transaction_freelist, type);
    if (!self) {
        return NULL;
    }
    self->lane = (Lane *)Py_NewRef(lane);
    self->node = (Node *)Py_NewRef(node);
    self->epoch = state.forks;
    self->route = Py_NewRef(no_text);
    PyObject *trace = new_trace();
    self->own = (Trace *)trace;
    if (!trace) {
        Py_DECREF(self);
        return NULL;
    }
    Member *member = (Member *)freelist_pop(&member_freelist, MemberType);
    self->before = member ? present_member() : NULL;
    if (!self->before) {
        Py_XDECREF(member);
        Py_DECREF(self);
        return NULL;
    }
    member->transaction = Py_NewRef(self);
    member->lane = Py_NewRef(lane);
    member->task = Py_NewRef(lane->task);
    member->trace = Py_NewRef(trace);
    self->member = (PyObject *)member;
    return (PyObject *)self;
}

static PyObject *
transaction_new(PyTypeObject *type, PyObject *args, PyObject *Py_UNUSED(kwargs))
{
    PyObject *lane, *node;
    if (!PyArg_ParseTuple(args, "O!O!", LaneType, &lane, NodeType, &node)) {
        return NULL;
    }
    return make_transaction(type, (Lane *)lane, (Node *)node);
}

static int
transaction_traverse(Transaction *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->lane);
    Py_VISIT(self->node);
    Py_VISIT(self->entry);
    Py_VISIT(self->counted_in);
    Py_VISIT(self->origin);
    Py_VISIT(self->error);
    Py_VISIT(self->traces);
    Py_VISIT(self->member);
    Py_VISIT(self->before);
    Py_VISIT(self->vars_before);
    Py_VISIT(self->vars_after);
    Py_VISIT(self->token);
    return 0;
}

static int
transaction_clear(Transaction *self)
{
    Py_CLEAR(self->member);
    Py_CLEAR(self->before);
    Py_CLEAR(self->vars_before);
    Py_CLEAR(self->vars_after);
    Py_CLEAR(self->token);
    return 0;
}

static HOT void
transaction_dealloc(Transaction *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    transaction_clear(self);
    Py_CLEAR(self->lane);
    Py_CLEAR(self->node);
    Py_CLEAR(self->own);
    Py_CLEAR(self->traces);
    Py_CLEAR(self->route);
    self->context = NULL;
    self->epoch = self->status = 0;
    self->is_routed = self->failed = self->ended = self->nested = 0;
    Py_CLEAR(self->counted_in);
    Py_CLEAR(self->origin);
    Py_CLEAR(self->error);
    self->counted_ns = self->counted_as = 0;
    forget_measured(self);
    freelist_push(&transaction_freelist, (PyObject *)self);
    Py_DECREF(type);
}

/* Return the trace of the lane that a transaction began in, borrowed; NULL when its traces are taken. */
static inline Trace *
first_trace(Transaction *self)
{
    if (self->own) {
        return self->own;
    }
    return self->traces && PyList_GET_SIZE(self->traces) ? (Trace *)PyList_GET_ITEM(self->traces, 0) : NULL;
}

/* Take the entry's call out of the trace of its lane and settle the transaction, which has none from then on. Returns 0 where there
 * is nothing to settle, -1 with an error. */
static HOT int
settle_last(Transaction *self)
{
    Trace *first = first_trace(self);
    Trace *own = self->own;
    PyObject *traces = self->traces;
    self->own = NULL;
    self->traces = NULL;
    int answer = 0;
    Event last;
    if (self->epoch == state.forks && first && pop_event(first, &last)) {
        Charge begun = begin_charge();
        answer = last.node == self->node ? settle_transaction(self, own, traces, &last) : 0;
        end_charge(begun, LONGEST_OF_MANY_NS);
        Py_DECREF(last.node);
    }
    Py_XDECREF((PyObject *)own);
    Py_XDECREF(traces);
    return answer;
}

/* Return the list of traces, borrowed. */
static PyObject *
traces_of(Transaction *self)
{
    if (!self->traces) {
        self->traces = self->own ? Py_BuildValue("[N]", (PyObject *)self->own) : PyList_New(0);
        self->own = NULL;
    }
    return self->traces;
}

static PyObject *
transaction_enter(Transaction *self, PyObject *Py_UNUSED(ignored))
{
    if (self->member && set_member(self) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

/* The entry's call has ended, and is the last in its trace. */
static HOT PyObject *
transaction_close(Transaction *self, PyObject *Py_UNUSED(ignored))
{
    end_own_part(self);
    self->ended = 1;
    Py_CLEAR(self->lane->trace);
    forget_moves(self->lane);
    if (restore_member(self) < 0) {
        return NULL;
    }
    Py_CLEAR(self->member);
    if (settle_last(self) < 0 || PyErr_Occurred()) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *
transaction_settle(Transaction *self, PyObject *args)
{
    PyObject *traces;
    Node *node;
    unsigned long long started_ns, duration_ns;
    unsigned outcome, calls;
    if (!PyArg_ParseTuple(args, "O!(O!KKII)", &PyList_Type, &traces, NodeType, &node, &started_ns, &duration_ns, &outcome, &calls)) {
        return NULL;
    }
    Event last = {node, started_ns, duration_ns, outcome, calls};
    if (settle_transaction(self, NULL, traces, &last) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *
transaction_new_trace(Transaction *self, PyObject *Py_UNUSED(ignored))
{
    PyObject *traces = traces_of(self);
    if (!traces) {
        return NULL;
    }
    if (PyList_GET_SIZE(traces) >= MOST_TRACES) {
        Py_RETURN_NONE;
    }
    PyObject *trace = new_trace();
    if (!trace || PyList_Append(traces, trace) < 0) {
        Py_XDECREF(trace);
        return NULL;
    }
    return trace;
}

static PyMethodDef transaction_methods[] = {
    {"enter", (PyCFunction)transaction_enter, METH_NOARGS, "enter($self, /)\n--\n\nHave the caller belong to it, until it is closed."},
    {"close", (PyCFunction)transaction_close, METH_NOARGS, "close($self, /)\n--\n\nSettle what was counted: the entry's call has ended."},
    {"measure", (PyCFunction)transaction_measure, METH_O, "measure($self, entry, /)\n--\n\nMeasure its CPU time, if it is chosen."},
    {"begin_part", (PyCFunction)transaction_begin_part, METH_NOARGS, "begin_part($self, /)\n--\n\nBegin a part of its own lane."},
    {"end_part", (PyCFunction)transaction_end_part, METH_NOARGS, "end_part($self, /)\n--\n\nEnd it, in the same thread."},
    {"settle", (PyCFunction)transaction_settle, METH_VARARGS, "settle($self, traces, own, /)\n--\n\nWrite down what was counted."},
    {"new_trace", (PyCFunction)transaction_new_trace, METH_NOARGS, "new_trace($self, /)\n--\n\nReturn a trace of its own for what runs at the same time."},
    {NULL, NULL, 0, NULL},
};

/* Return the open transaction that the caller belongs to, a new reference; NULL when there is none (E_ASK). */
static HOT Transaction *
open_transaction(void)
{
    PyObject *member;
    if (PyContextVar_Get(state.members, Py_None, &member) < 0) {
        return NULL;
    }
    Transaction *transaction = NULL;
    if (Py_IS_TYPE(member, MemberType)) {
        transaction = (Transaction *)Py_NewRef(((Member *)member)->transaction);
        if (transaction->ended || transaction->epoch != state.forks) {
            Py_CLEAR(transaction);
        }
    }
    Py_DECREF(member);
    return transaction;
}

/* The caller's request has raised: an error, also when its response has ended; counted once. */
static void
mark_failed(Transaction *self)
{
    if (!self->failed && self->epoch == state.forks) {
        self->failed = 1;
        if (self->ended) {
            ADD_TO(state.words[self->node->total + ERRORS], 1);
            if (self->counted_in) {
                ADD_TO(state.words[self->counted_in->total + ERRORS], 1);
            }
        }
    }
}

/* Open a transaction with its entry's node. NULL where that failed (E_ASK). */
static HOT PyObject *
begin_transaction(Lane *lane, Node *node)
{
    if (!state.joining) {
        PyObject *done = PyObject_CallNoArgs(state.callbacks.join_from_now_on);
        if (!done) {
            return NULL;
        }
        Py_DECREF(done);
    }
    Transaction *opened = (Transaction *)make_transaction(TransactionType, lane, node);
    if (!opened || set_member(opened) < 0) {
        PyErr_Clear(); /* no memory: the call goes on without */
        Py_XDECREF(opened);
        return NULL;
    }
    Py_XSETREF(lane->trace, (Trace *)Py_NewRef((PyObject *)opened->own));
    forget_moves(lane);
    measure_share(opened, node);
    return (PyObject *)opened;
}

/* Return what an entry's call opens, whose reference it takes where there is one already: a transaction, or within another one, a job
 * or a test, a request of its own name. NULL where there is nothing (E_ASK). */
static HOT PyObject *
open_entry(Lane *lane, Node *node, PyObject *opened)
{
    if (!lane->trace && !opened) {
        return begin_transaction(lane, node);
    }
    if (!node->is_request) {
        return opened;
    }
    PyObject *nested =
        PyObject_CallFunctionObjArgs(state.callbacks.nest, (PyObject *)lane, (PyObject *)node, opened ? opened : Py_None, NULL);
    if (!nested || nested == Py_None) {
        Py_XDECREF(nested);
        return opened;
    }
    Py_XDECREF(opened);
    return nested;
}

static HOT void
close_opened(PyObject *opened)
{
    SavedException saved;
    exception_save(&saved);
    if (Py_IS_TYPE(opened, TransactionType)) {
        Py_XSETREF(((Transaction *)opened)->error, Py_XNewRef(saved_type(&saved)));
    }
    PyObject *answer = Py_IS_TYPE(opened, TransactionType) ? transaction_close((Transaction *)opened, NULL)
                                                           : PyObject_CallMethodNoArgs(opened, name_close);
    Py_XDECREF(answer);
    exception_restore_unless_new(&saved);
    Py_DECREF(opened);
}
