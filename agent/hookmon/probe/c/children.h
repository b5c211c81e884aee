/* The children of a node: its spans, and the node of each. A dictionary takes four times the memory where there is one child. */
#pragma once

#include "base.h"
#include "state.h"
#include "types.h"

typedef struct {
    PyObject *span; /* NULL: free */
    PyObject *node; /* Node, or None where the span is not recorded there */
} Child;

struct Children {
    PyObject_HEAD
    Child *entries; /* an open table by the addresses of spans, at most three quarters full */
    uint32_t size;
    uint32_t used;
};

static inline size_t
span_hash(PyObject *span)
{
    return (size_t)(((uint64_t)(uintptr_t)span >> 4) * 0x9E3779B97F4A7C15ull >> 32);
}

/* Return the place of a span in a table that is not full, or the free one where it would be. */
static inline Child *
find_child(Child *entries, uint32_t size, PyObject *span)
{
    size_t mask = size - 1;
    size_t i = span_hash(span) & mask;
    while (entries[i].span && entries[i].span != span) {
        i = (i + 1) & mask;
    }
    return &entries[i];
}

static inline PyObject *
child_in_table(Children *self, PyObject *span)
{
    return self->size ? find_child(self->entries, self->size, span)->node : NULL;
}

/* Return the child of a span, borrowed; NULL where there is none. */
static inline PyObject *
child_of(Children *self, PyObject *span)
{
    if (!self) {
        return NULL;
    }
    LOCK();
    PyObject *node = child_in_table(self, span);
    UNLOCK();
    return node;
}

/* Have room for one more child; under the lock. -1 without memory (no error). */
static int
make_room_for_child(Children *self)
{
    if (LIKELY(4 * (self->used + 1) <= 3 * self->size)) {
        return 0;
    }
    uint32_t size = self->size ? 2 * self->size : 2;
    Child *entries = PyMem_Calloc(size, sizeof *entries);
    if (!entries) {
        return -1;
    }
    for (uint32_t i = 0; i < self->size; i++) {
        if (self->entries[i].span) {
            *find_child(entries, size, self->entries[i].span) = self->entries[i];
        }
    }
    PyMem_Free(self->entries);
    self->entries = entries;
    self->size = size;
    return 0;
}

/* Let a span have a child, where there is room; under the lock. Return the one that it had, whose reference is the caller's, or NULL. */
static PyObject *
replace_child(Children *self, PyObject *span, PyObject *node)
{
    Child *place = find_child(self->entries, self->size, span);
    PyObject *before = place->node;
    if (place->span) {
        place->node = Py_NewRef(node);
        return before;
    }
    *place = (Child){Py_NewRef(span), Py_NewRef(node)};
    self->used++;
    return NULL;
}

/* Let a span have a child, where there is room. */
static inline void
set_child(Children *self, PyObject *span, PyObject *node)
{
    Py_XDECREF(replace_child(self, span, node));
}

static Children *
new_children(void)
{
    return (Children *)ChildrenType->tp_alloc(ChildrenType, 0);
}

#ifdef Py_GIL_DISABLED
/* Return the children of the root in this thread, borrowed; NULL with an error. */
static RARE Children *
children_of_root(void)
{
    if (make_part() < 0) {
        PyErr_NoMemory();
        return NULL;
    }
    if (!own_part->children || own_part->epoch != state.epoch) {
        Children *children = new_children();
        if (!children) {
            return NULL;
        }
        own_part->spares = 0; /* they are of a parent process, too */
        own_part->epoch = state.epoch;
        Py_XSETREF(own_part->children, children);
    }
    return own_part->children;
}
#endif

static PyObject *
children_clear(Children *self, PyObject *Py_UNUSED(ignored))
{
    LOCK();
    Child *entries = self->entries;
    uint32_t size = self->size;
    self->entries = NULL; /* first: what goes may call us */
    self->size = self->used = 0;
    UNLOCK();
    for (uint32_t i = 0; i < size; i++) {
        Py_XDECREF(entries[i].span);
        Py_XDECREF(entries[i].node);
    }
    PyMem_Free(entries);
    Py_RETURN_NONE;
}

static void
children_dealloc(Children *self)
{
    PyTypeObject *type = Py_TYPE(self);
    Py_XDECREF(children_clear(self, NULL));
    type->tp_free(self);
    Py_DECREF(type);
}

static Py_ssize_t
children_length(Children *self)
{
    return self->used;
}

static int
children_contains(Children *self, PyObject *span)
{
    return child_of(self, span) != NULL;
}

static PyObject *
children_item(Children *self, PyObject *span)
{
    PyObject *node = child_of(self, span);
    if (!node) {
        PyErr_SetObject(PyExc_KeyError, span);
    }
    return Py_XNewRef(node);
}

static int
children_set_item(Children *self, PyObject *span, PyObject *node)
{
    LOCK();
    int failed = !node || make_room_for_child(self) < 0;
    PyObject *before = failed ? NULL : replace_child(self, span, node);
    UNLOCK();
    if (failed) {
        PyErr_SetString(node ? PyExc_MemoryError : PyExc_TypeError, "a child stays");
        return -1;
    }
    Py_XDECREF(before);
    return 0;
}

static PyObject *
children_get(Children *self, PyObject *const *args, Py_ssize_t count)
{
    if (count < 1 || count > 2) {
        PyErr_SetString(PyExc_TypeError, "get(span, default=None)");
        return NULL;
    }
    PyObject *node = child_of(self, args[0]);
    return Py_NewRef(node ? node : count > 1 ? args[1] : Py_None);
}

static PyObject *
children_setdefault(Children *self, PyObject *const *args, Py_ssize_t count)
{
    if (count != 2) {
        PyErr_SetString(PyExc_TypeError, "setdefault(span, node)");
        return NULL;
    }
    LOCK();
    PyObject *node = child_in_table(self, args[0]);
    int failed = !node && make_room_for_child(self) < 0;
    if (!node && !failed) {
        (void)replace_child(self, args[0], node = args[1]);
    }
    UNLOCK();
    return failed ? PyErr_NoMemory() : Py_NewRef(node);
}

static PyObject *
children_values(Children *self, PyObject *Py_UNUSED(ignored))
{
    PyObject *values = PyList_New(0);
    LOCK();
    for (uint32_t i = 0; values && i < self->size; i++) {
        if (self->entries[i].span && PyList_Append(values, self->entries[i].node) < 0) {
            Py_CLEAR(values);
        }
    }
    UNLOCK();
    return values;
}

static PyMethodDef children_methods[] = {
    {"get", (PyCFunction)(void (*)(void))children_get, METH_FASTCALL, "get($self, span, default=None, /)\n--\n\nReturn the child of a span."},
    {"setdefault", (PyCFunction)(void (*)(void))children_setdefault, METH_FASTCALL,
     "setdefault($self, span, node, /)\n--\n\nReturn the child of a span, which is this node where there was none."},
    {"values", (PyCFunction)children_values, METH_NOARGS, "values($self, /)\n--\n\nReturn a list of all children."},
    {"clear", (PyCFunction)children_clear, METH_NOARGS, "clear($self, /)\n--\n\nForget all children."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot children_slots[] = {
    SLOT(Py_tp_new, PyType_GenericNew),           SLOT(Py_tp_dealloc, children_dealloc), SLOT(Py_tp_methods, children_methods),
    SLOT(Py_mp_length, children_length),          SLOT(Py_mp_subscript, children_item),
    SLOT(Py_mp_ass_subscript, children_set_item), SLOT(Py_sq_contains, children_contains),
    SLOT(Py_tp_doc, "Children()\n--\n\n"),
    {0, NULL},
};
static PyType_Spec children_spec = {"hookmon.probe._engine.Children", sizeof(Children), 0, Py_TPFLAGS_DEFAULT, children_slots};
