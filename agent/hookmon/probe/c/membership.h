/* Membership: who joins a transaction, and how the context variable is set and taken back. */
#pragma once

#include "base.h"
#include "compat.h"
#include "contexts.h"
#include "freelist.h"
#include "interned.h"
#include "state.h"
#include "tree_swapping.h"
#include "types.h"

/* Put a lane that is at its root below the transaction that the context belongs to. NULL where there is none (E_ASK). */
static PyObject *
join_transaction(Lane *lane, PyObject *span)
{
    if (!is_member()) {
        return NULL;
    }
    PyObject *visit = PyObject_CallFunctionObjArgs(state.callbacks.join, (PyObject *)lane, span, NULL);
    if (visit == Py_None) {
        Py_CLEAR(visit);
    }
    return visit;
}

static PyObject *
member_new(PyTypeObject *type, PyObject *args, PyObject *Py_UNUSED(kwargs))
{
    PyObject *transaction, *lane, *trace;
    if (!PyArg_ParseTuple(args, "OO!O", &transaction, LaneType, &lane, &trace)) {
        return NULL;
    }
    Member *self = (Member *)freelist_pop(&member_freelist, type);
    if (self) {
        self->transaction = Py_NewRef(transaction);
        self->lane = Py_NewRef(lane);
        self->task = Py_NewRef(((Lane *)lane)->task);
        self->trace = Py_NewRef(trace);
    }
    return (PyObject *)self;
}

static int
member_traverse(Member *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->transaction);
    Py_VISIT(self->lane);
    return 0;
}

static HOT void
member_dealloc(Member *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    Py_CLEAR(self->transaction);
    Py_CLEAR(self->lane);
    Py_CLEAR(self->task);
    Py_CLEAR(self->trace);
    self->concurrent = 0;
    freelist_push(&member_freelist, (PyObject *)self);
    Py_DECREF(type);
}

static PyMemberDef member_members[] = {
    {"transaction", Py_T_OBJECT_EX, offsetof(Member, transaction), Py_READONLY, NULL},
    {"lane", Py_T_OBJECT_EX, offsetof(Member, lane), Py_READONLY, NULL},
    {"task", Py_T_OBJECT_EX, offsetof(Member, task), 0, NULL},
    {"trace", Py_T_OBJECT_EX, offsetof(Member, trace), Py_READONLY, NULL},
    {"concurrent", Py_T_LONG, offsetof(Member, concurrent), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

/* Have the caller belong to a transaction. -1 with an error. */
static HOT int
set_member(Transaction *self)
{
#ifdef HAS_CONTEXTS
    PyThreadState *thread = PyThreadState_Get();
    if (reads_contexts && !thread_context(thread) && make_context() < 0) {
        return -1;
    }
    if (LIKELY(set_in_empty(self, thread))) {
        return 0;
    }
    self->vars_before = Py_XNewRef(present_vars());
#endif
    PyObject *token = PyContextVar_Set(state.members, self->member);
    if (!token) {
        return -1;
    }
    Py_XSETREF(self->token, token);
#ifdef HAS_CONTEXTS
    if (self->vars_before) {
        self->context = thread_context(PyThreadState_Get());
        self->vars_after = Py_NewRef(present_vars());
    }
#endif
    return 0;
}

/* Have the caller belong to what it belonged to before. -1 with an error. */
static HOT int
restore_member(Transaction *self)
{
#ifdef HAS_CONTEXTS
    Context *context = running_context(PyThreadState_Get());
    if (restore_tree(self, context)) {
        return 0;
    }
    if (self->vars_after && context == self->context && !self->token) {
        make_token(self, context);
    }
    Py_CLEAR(self->vars_before); /* the program has set other variables; and the tree, its member and we would be a cycle */
    Py_CLEAR(self->vars_after);
#endif
    PyObject *member;
    if (PyContextVar_Get(state.members, Py_None, &member) < 0) {
        return -1;
    }
    if (member == self->member && (!self->token || PyContextVar_Reset(state.members, self->token) < 0)) {
        PyErr_Clear(); /* in a copy of the context that it was set in */
        PyObject *token = PyContextVar_Set(state.members, self->before);
        Py_XDECREF(token);
    }
    Py_DECREF(member);
    Py_CLEAR(self->token);
    return PyErr_Occurred() ? -1 : 0;
}
