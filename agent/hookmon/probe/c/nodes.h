/* Nodes of the call tree, and what the garbage collector is told of all types. */
#pragma once

#include "base.h"
#include "children.h"
#include "errors.h"
#include "interned.h"
#include "numbers.h"
#include "spans.h"
#include "state.h"
#include "types.h"

/* Of an entry's node, how many of its transactions are measured: see computing.h. */
typedef struct Measuring {
    int32_t until_measured; /* the next one is when this comes to 0, */
    int32_t stands_for;     /* and stands for so many; */
    int32_t wanted;         /* the one after that for so many */
    uint64_t first_measured;
    uint64_t readings_ns; /* what measuring has taken of late, */
    uint64_t duration_ns; /* and the transactions that were measured */
} Measuring;

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

/* Return the children of a node, borrowed, NULL where it has none yet (E_ASK). Where threads run at the same time those of the root are
 * the running one's. */
static inline Children *
children_of(Node *node)
{
#ifdef Py_GIL_DISABLED
    if ((PyObject *)node == state.root) {
        return children_of_root();
    }
#endif
    return LOAD(node->children);
}

enum { NO_OCTAVE = 255, RETIRED = 254 };

/* Threads that run at the same time would take each other's pair of octave and index. */
#ifdef Py_GIL_DISABLED
#define KEEPS_LAST_OCTAVES 0
#else
#define KEEPS_LAST_OCTAVES 1
#endif

/* Return the index of the first bucket of an octave that was not the last even or odd one, 0 where it is not made yet. */
static HOT __attribute__((noinline)) int32_t
other_first(Node *self, int octave)
{
    int32_t first = 0, *all_first = LOAD(self->all_first);
    if (LOAD(self->octave[0]) == RETIRED) {
        first = (int32_t)SCRATCH_BUCKET;
    }
    else if (all_first) {
        first = LOAD(all_first[octave]);
    }
    for (int i = 0; i < FEW_OCTAVES && !first; i++) {
        first = LOAD(self->octave[i]) == octave ? self->first[i] : 0;
    }
    if (first && KEEPS_LAST_OCTAVES) {
        self->used[octave & 1] = (uint8_t)octave;
        self->used_first[octave & 1] = first;
    }
    return first;
}

/* Return the index of the first bucket of an octave, 0 where it is not made yet. */
static inline int32_t
first_of(Node *self, int octave)
{
    return LIKELY(KEEPS_LAST_OCTAVES && self->used[octave & 1] == octave) ? self->used_first[octave & 1] : other_first(self, octave);
}

/* Have room for one more octave; under the lock. -1 without memory (no error). */
static int
prepare_octave(Node *self)
{
    if (LIKELY(self->all_first || self->octave[FEW_OCTAVES - 1] == NO_OCTAVE)) {
        return 0;
    }
    int32_t *all_first = PyMem_Calloc(OCTAVES, sizeof *all_first);
    for (int i = 0; all_first && i < FEW_OCTAVES; i++) {
        all_first[self->octave[i]] = self->first[i];
    }
    STORE(self->all_first, all_first);
    return all_first ? 0 : -1;
}

/* Say where the buckets of an octave are, where there is room for it; under the lock. A node that was retired meanwhile stays so. */
static void
set_octave(Node *self, int octave, int32_t first)
{
    if (self->octave[0] == RETIRED) {
        return;
    }
    if (self->all_first) {
        STORE(self->all_first[octave], first);
    }
    for (int i = 0; i < FEW_OCTAVES; i++) {
        if (self->octave[i] == NO_OCTAVE || self->octave[i] == octave) {
            self->first[i] = first;
            STORE(self->octave[i], (uint8_t)octave);
            break;
        }
    }
    self->used[octave & 1] = (uint8_t)octave;
    self->used_first[octave & 1] = first;
}

static void
forget_octaves(Node *self)
{
    PyMem_Free(self->all_first);
    self->all_first = NULL;
    memset(self->octave, NO_OCTAVE, sizeof self->octave);
    memset(self->used, NO_OCTAVE, sizeof self->used);
}

/* Return the children of a node, borrowed, which are made where it has none yet; NULL without memory (no error). */
static Children *
own_children(Node *self)
{
    Children *children = children_of(self), *made = NULL;
    if (!children) {
        made = new_children();
        LOCK();
        if (!self->children && made) {
            make_immortal((PyObject *)made);
            STORE(self->children, made);
            made = NULL;
        }
        children = self->children;
        UNLOCK();
        Py_XDECREF(made); /* another thread was faster */
        if (!children) {
            PyErr_Clear();
        }
    }
    return children;
}

/* Fill a node in which nothing is. */
static void
fill_node(Node *self, PyObject *parent, PyObject *span, uint32_t number, Py_ssize_t at, int depth)
{
    TargetFields *target = Py_IS_TYPE(span, SpanType) ? ((Span *)span)->target : NULL;
    self->entry = target && target->entry;
    self->is_request = target && is_text(target->kind, text_request);
    make_immortal((PyObject *)self);
    if (target) {
        make_immortal(span);
    }
    self->parent = Py_NewRef(parent);
    self->span = Py_NewRef(span);
    self->number = number;
    self->total = (int32_t)(at + NODE_TOTAL_NS);
    self->depth = (int16_t)depth;
    self->slot = (int16_t)(2 * (depth < LANE_DEPTH - 1 ? depth : LANE_DEPTH - 1));
    self->min_ns = UINT64_MAX;
    self->special = depth == 0 && state.joining ? IS_OUTERMOST : 0;
    forget_octaves(self);
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
    if (self->span || (span != Py_None && !Py_IS_TYPE(span, SpanType))) {
        PyErr_SetString(PyExc_TypeError, "a node is of one Span, or of None");
        return -1;
    }
    fill_node(self, parent, span, (uint32_t)number, at, (int)depth);
    return 0;
}

static PyObject *
node_retire(Node *self, PyObject *Py_UNUSED(ignored))
{
    self->number = 0;
    self->per_transaction = self->computing = 0;
    self->total = SCRATCH_TOTAL;
    self->slot = 0;
    self->special = IS_RETIRED;
    forget_octaves(self);
    self->octave[0] = RETIRED;
    Py_CLEAR(self->tail);
    forget_endings(self);
    Py_XSETREF(self->children, (Children *)Py_XNewRef(state.no_children));
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
        LOCK();
        int failed = prepare_octave(self) < 0;
        if (!failed) {
            set_octave(self, (int)octave, (int32_t)first);
        }
        UNLOCK();
        if (failed) {
            return PyErr_NoMemory();
        }
    }
    Py_RETURN_NONE;
}

static PyObject *
node_get_children(Node *self, void *Py_UNUSED(closure))
{
    Children *children = own_children(self);
    return children ? Py_NewRef(children) : PyErr_NoMemory();
}

static int
node_set_children(Node *self, PyObject *value, void *Py_UNUSED(closure))
{
    if (!value || !Py_IS_TYPE(value, ChildrenType)) {
        PyErr_SetString(PyExc_TypeError, "a node's children are Children");
        return -1;
    }
    Py_XSETREF(self->children, (Children *)Py_NewRef(value));
    return 0;
}

static PyGetSetDef node_getset[] = {
    {"children", (getter)node_get_children, (setter)node_set_children, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

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
    Py_VISIT((PyObject *)self->children);
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
    Py_CLEAR(self->children);
    Py_CLEAR(self->tail);
    forget_endings(self);
    PyMem_Free(self->all_first);
    PyMem_Free(self->measuring);
    type->tp_free(self);
    Py_DECREF(type);
    Py_TRASHCAN_END
}

static PyMemberDef node_members[] = {
    {"parent", Py_T_OBJECT_EX, offsetof(Node, parent), 0, NULL},
    {"span", Py_T_OBJECT_EX, offsetof(Node, span), 0, NULL},
    {"number", Py_T_UINT, offsetof(Node, number), 0, NULL},
    {"total", Py_T_INT, offsetof(Node, total), 0, NULL},
    {"slot", Py_T_SHORT, offsetof(Node, slot), 0, NULL},
    {"depth", Py_T_SHORT, offsetof(Node, depth), 0, NULL},
    {"skip", Py_T_SHORT, offsetof(Node, skip), 0, NULL},
    {"per_transaction", Py_T_INT, offsetof(Node, per_transaction), 0, NULL},
    {"computing", Py_T_INT, offsetof(Node, computing), 0, NULL},
    {"is_outermost", Py_T_BOOL, offsetof(Node, special), 0, NULL},
    {"entry", Py_T_BOOL, offsetof(Node, entry), Py_READONLY, NULL},
    {"floor_ns", Py_T_ULONGLONG, offsetof(Node, floor_ns), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyMethodDef node_methods[] = {
    {"retire", (PyCFunction)node_retire, METH_NOARGS, "retire($self, /)\n--\n\nSend whatever is still to be written into the scratch record."},
    {"add_octave", (PyCFunction)node_add_octave, METH_VARARGS, "add_octave($self, octave, first, /)\n--\n\nSay where the buckets of an octave are."},
    {NULL, NULL, 0, NULL},
};
