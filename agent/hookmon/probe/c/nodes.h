/* Nodes of the call tree, and what the garbage collector is told of all types. */
#pragma once

#include "base.h"
#include "interned.h"
#include "numbers.h"
#include "state.h"
#include "types.h"

/* How transactions with one entry have ended: by status, the node that counts those. */
typedef struct {
    long status;
    Node *node; /* NULL: there is no space for one, or it is no request */
    uint64_t kept; /* 1 + the window in which one that failed was offered to be kept, 0: none was */
    void *error;   /* the type of what it had raised; only compared */
} StatusEnding;

enum { MOST_ENDINGS = MOST_STATUSES + 10 }; /* those that have nodes of their own, and classes */

typedef struct Endings {
    uint64_t window; /* of the last one that was offered to be kept */
    int count;
    StatusEnding of[MOST_ENDINGS];
} Endings;

static int
visit_endings(Endings *endings, visitproc visit, void *arg)
{
    for (int i = 0; endings && i < endings->count; i++) {
        Py_VISIT(endings->of[i].node);
    }
    return 0;
}

static void
forget_endings(Node *self)
{
    Endings *endings = self->endings;
    self->endings = NULL;
    for (int i = 0; endings && i < endings->count; i++) {
        Py_XDECREF(endings->of[i].node);
    }
    PyMem_Free(endings);
}

/* Return the children of a node, borrowed: those of the root where threads run at the same time are the running one's. NULL with an
 * error. */
static inline PyObject *
children_of(Node *node)
{
#ifdef Py_GIL_DISABLED
    if ((PyObject *)node == state.root) {
        return children_of_root();
    }
#endif
    return node->children;
}

static int
node_init(Node *self, PyObject *args, PyObject *kwargs)
{
    PyObject *parent, *span;
    unsigned long long number;
    Py_ssize_t at;
    long depth;
    if (kwargs && PyDict_GET_SIZE(kwargs)) {
        PyErr_SetString(PyExc_TypeError, "Node takes no keyword arguments");
        return -1;
    }
    if (!PyArg_ParseTuple(args, "OOKnl", &parent, &span, &number, &at, &depth)) {
        return -1;
    }
    int entry = 0;
    if (span != Py_None) {
        PyObject *target = PyObject_GetAttr(span, name_target);
        PyObject *flag = target ? PyObject_GetAttr(target, name_entry) : NULL;
        Py_XSETREF(self->kind, flag ? PyObject_GetAttr(target, name_kind) : NULL);
        entry = flag ? PyObject_IsTrue(flag) : -1;
        Py_XDECREF(flag);
        Py_XDECREF(target);
        if (entry < 0) {
            return -1;
        }
    }
    PyObject *children = PyDict_New();
    if (!children) {
        return -1;
    }
    self->entry = (char)entry;
    self->floor_ns = 0;
    self->per_transaction = self->computing = 0;
    self->until_measured = self->stands_for = self->wanted = 0;
    self->first_measured = self->readings_ns = self->duration_ns = 0;
    forget_endings(self);
    Py_XSETREF(self->children, children);
    Py_XSETREF(self->parent, Py_NewRef(parent));
    Py_XSETREF(self->span, Py_NewRef(span));
    self->number = number;
    self->total = at + NODE_TOTAL_NS;
    self->depth = (int)depth;
    self->slot = 2 * (int)(depth < LANE_DEPTH - 1 ? depth : LANE_DEPTH - 1);
    self->min_ns = UINT64_MAX;
    self->max_ns = 0;
    self->skip = 0;
    memset(self->octave, 0, sizeof self->octave);
    make_immortal((PyObject *)self);
    if (span != Py_None) {
        make_immortal(span);
    }
    return 0;
}

static PyObject *
node_retire(Node *self, PyObject *Py_UNUSED(ignored))
{
    self->number = 0;
    self->per_transaction = self->computing = 0;
    self->total = SCRATCH_TOTAL;
    self->slot = 0;
    for (int i = 0; i < OCTAVES; i++) {
        self->octave[i] = (int32_t)SCRATCH_BUCKET;
    }
    Py_CLEAR(self->tail);
    forget_endings(self);
    Py_XSETREF(self->children, Py_NewRef(state.no_children));
    Py_XSETREF(self->parent, Py_NewRef(Py_None));
    Py_RETURN_NONE;
}

static PyObject *
node_add_octave(Node *self, PyObject *args)
{
    Py_ssize_t octave, first;
    if (!PyArg_ParseTuple(args, "nn", &octave, &first)) {
        return NULL;
    }
    if (octave < 0 || octave >= OCTAVES) {
        PyErr_SetString(PyExc_IndexError, "no such octave");
        return NULL;
    }
    if (self->number) { /* not retired meanwhile */
        self->octave[octave] = (int32_t)first;
    }
    Py_RETURN_NONE;
}

/* untrack(*objects): keep what is ours for good, or leaves nothing to collect, from the garbage collector, which would look at each of
 * tens of thousands of objects whenever it collects the program's. */
static PyObject *
untrack(PyObject *Py_UNUSED(module), PyObject *const *objects, Py_ssize_t count)
{
    for (Py_ssize_t i = 0; i < count; i++) {
        if (PyObject_IS_GC(objects[i])) {
            PyObject_GC_UnTrack(objects[i]);
        }
    }
    Py_RETURN_NONE;
}

static int
node_traverse(Node *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->parent);
    Py_VISIT(self->span);
    Py_VISIT(self->children);
    Py_VISIT(self->tail);
    return visit_endings(self->endings, visit, arg);
}

/* Neither nodes and lanes nor what a stand-in stands for are ever cleared by the garbage collector: they may be called
 * until they are gone, by a __del__ that it does not know of. Each cycle through them has a dictionary, a function's cell or
 * the like in it, whose clearing breaks it. */

static void
node_dealloc(Node *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    Py_TRASHCAN_BEGIN(self, node_dealloc)
    Py_CLEAR(self->parent);
    Py_CLEAR(self->span);
    Py_CLEAR(self->kind);
    Py_CLEAR(self->children);
    Py_CLEAR(self->tail);
    forget_endings(self);
    type->tp_free(self);
    Py_DECREF(type);
    Py_TRASHCAN_END
}

static PyMemberDef node_members[] = {
    {"parent", Py_T_OBJECT_EX, offsetof(Node, parent), 0, NULL},
    {"span", Py_T_OBJECT_EX, offsetof(Node, span), 0, NULL},
#ifndef Py_GIL_DISABLED
    {"children", Py_T_OBJECT_EX, offsetof(Node, children), 0, NULL},
#endif
    {"number", Py_T_ULONGLONG, offsetof(Node, number), 0, NULL},
    {"total", Py_T_PYSSIZET, offsetof(Node, total), 0, NULL},
    {"slot", Py_T_INT, offsetof(Node, slot), 0, NULL},
    {"depth", Py_T_INT, offsetof(Node, depth), 0, NULL},
    {"skip", Py_T_SHORT, offsetof(Node, skip), 0, NULL},
    {"per_transaction", Py_T_INT, offsetof(Node, per_transaction), 0, NULL},
    {"computing", Py_T_INT, offsetof(Node, computing), 0, NULL},
    {"entry", Py_T_BOOL, offsetof(Node, entry), Py_READONLY, NULL},
    {"floor_ns", Py_T_ULONGLONG, offsetof(Node, floor_ns), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

#ifdef Py_GIL_DISABLED
static PyObject *
node_get_children(Node *self, void *Py_UNUSED(closure))
{
    return Py_XNewRef(children_of(self));
}

static int
node_set_children(Node *self, PyObject *value, void *Py_UNUSED(closure))
{
    if (!value) {
        PyErr_SetString(PyExc_AttributeError, "a node has children");
        return -1;
    }
    Py_XSETREF(self->children, Py_NewRef(value));
    return 0;
}
#endif

static PyGetSetDef node_getset[] = {
#ifdef Py_GIL_DISABLED
    {"children", (getter)node_get_children, (setter)node_set_children, NULL, NULL},
#endif
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMethodDef node_methods[] = {
    {"retire", (PyCFunction)node_retire, METH_NOARGS, "retire($self, /)\n--\n\nSend whatever is still to be written into the scratch record."},
    {"add_octave", (PyCFunction)node_add_octave, METH_VARARGS, "add_octave($self, octave, first, /)\n--\n\nSay where the buckets of an octave are."},
    {NULL, NULL, 0, NULL},
};
