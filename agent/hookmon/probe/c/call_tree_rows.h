/* The call tree of a run for Python: its rows, and copies. */
#pragma once

#include "base.h"
#include "call_tree.h"
#include "numbers.h"
#include "shard_rows.h"

static inline void
put_text(const CallTree *tree, PyObject *row, int *at, uint32_t number)
{
    PyTuple_SET_ITEM(row, (*at)++, Py_NewRef(PyList_GET_ITEM(tree->texts, number)));
}

static inline void
put_flag(PyObject *row, int *at, uint64_t flag)
{
    PyTuple_SET_ITEM(row, (*at)++, PyBool_FromLong(flag != 0));
}

static PyObject *
buckets_of_place(const CallTree *tree, const TreePlace *place)
{
    PyObject *buckets = PyDict_New();
    for (uint32_t at = place->octaves; buckets && at != NOBODY; at = tree->octave[at].next) {
        const TreeOctave *octave = tree->octave + at;
        for (int bucket = 0; bucket < SUB_BUCKETS; bucket++) {
            if (octave->counts[bucket] && put_bucket(buckets, octave->octave * SUB_BUCKETS + bucket, octave->counts[bucket]) < 0) {
                Py_CLEAR(buckets);
                break;
            }
        }
        if (!buckets) {
            break;
        }
    }
    return buckets;
}

#define ROW_FIELDS 34

/* Return a row: the fields of collector/rows.Node in their order. */
static PyObject *
row_of_place(const CallTree *tree, uint32_t which)
{
    const TreePlace *place = tree->place + which;
    const uint64_t *sums = place->sums;
    PyObject *row = PyTuple_New(ROW_FIELDS);
    const char *detached = place->flags & FLAG_CONCURRENT ? "concurrent" : place->flags & FLAG_AFTER ? "after" : "";
    int at = 0;
    if (!row) {
        return NULL;
    }
    PyTuple_SET_ITEM(row, at++, PyLong_FromLong(place->key.parent));
    put_text(tree, row, &at, place->key.name);
    put_text(tree, row, &at, place->kind);
    put_text(tree, row, &at, place->key.target);
    put_text(tree, row, &at, place->key.site);
    put_flag(row, &at, place->flags & FLAG_FLAT);
    put_number(row, &at, sums[OF_CALLS]);
    put_number(row, &at, sums[OF_ERRORS]);
    put_number(row, &at, sums[OF_INTERRUPTED]);
    put_number(row, &at, sums[OF_TOTAL_NS]);
    put_number(row, &at, sums[OF_SELF_NS]);
    put_number(row, &at, place->min_ns);
    put_number(row, &at, place->max_ns);
    put_number(row, &at, sums[OF_ACTIVE_NS]);
    put_number(row, &at, sums[OF_STEPS]);
    put_number(row, &at, sums[OF_UNTIMED]);
    put_flag(row, &at, place->flags & FLAG_SITED);
    put_flag(row, &at, place->flags & FLAG_ENTRY);
    put_flag(row, &at, place->flags & FLAG_WAITS);
    put_flag(row, &at, place->flags & FLAG_PART);
    put_flag(row, &at, place->flags & FLAG_GIVEN_UP);
    PyTuple_SET_ITEM(row, at++, PyUnicode_FromString(detached));
    put_number(row, &at, sums[OF_TRANSACTIONS]);
    put_number(row, &at, place->most);
    put_number(row, &at, sums[OF_REPEATED_LANES]);
    put_number(row, &at, sums[OF_REPEATED_CALLS]);
    put_number(row, &at, sums[OF_REPEATED_NS]);
    put_number(row, &at, place->most_repeated);
    put_number(row, &at, sums[OF_MEASURED]);
    put_number(row, &at, sums[OF_MEASURED_FOR]);
    put_number(row, &at, sums[OF_MEASURED_NS]);
    put_number(row, &at, sums[OF_COMPUTED_NS]);
    put_number(row, &at, sums[OF_BESIDE_NS]);
    PyTuple_SET_ITEM(row, at++, buckets_of_place(tree, place));
    if (PyErr_Occurred()) { /* no memory for one of them */
        Py_CLEAR(row);
    }
    return row;
}

static PyObject *
tree_row(PyObject *self, PyObject *value)
{
    CallTree *tree = (CallTree *)self;
    unsigned long which = PyLong_AsUnsignedLong(value);
    if (PyErr_Occurred()) {
        return NULL;
    }
    if (which >= tree->places) {
        PyErr_SetString(PyExc_IndexError, "the tree has no such place");
        return NULL;
    }
    return row_of_place(tree, (uint32_t)which);
}

/* take_changes(most): return [(place, row)] of what has changed since it was taken last, so many at most, in ascending order. */
static PyObject *
take_changes(PyObject *self, PyObject *value)
{
    CallTree *tree = (CallTree *)self;
    Py_ssize_t most = PyLong_AsSsize_t(value);
    if (PyErr_Occurred()) {
        return NULL;
    }
    PyObject *found = PyList_New(0);
    for (uint32_t which = 0; found && which < tree->places && PyList_GET_SIZE(found) < most; which++) {
        if (tree->place[which].has_changed) {
            PyObject *own = row_of_place(tree, which);
            PyObject *pair = own ? Py_BuildValue("kN", (unsigned long)which, own) : NULL;
            if (!pair || PyList_Append(found, pair) < 0) {
                Py_CLEAR(found);
            }
            Py_XDECREF(pair);
            tree->place[which].has_changed = 0;
        }
    }
    return found;
}

static PyObject *
call_tree_new(PyTypeObject *type, PyObject *args, PyObject *Py_UNUSED(names))
{
    if (!PyArg_ParseTuple(args, "")) {
        return NULL;
    }
    CallTree *tree = (CallTree *)type->tp_alloc(type, 0);
    if (tree && (!(tree->numbers = PyDict_New()) || !(tree->texts = PyList_New(0)))) {
        Py_CLEAR(tree);
    }
    return (PyObject *)tree;
}

static void *
copy_of(const void *content, size_t size)
{
    void *copy = PyMem_Malloc(size ? size : 1);
    if (copy && size) {
        memcpy(copy, content, size);
    }
    return copy;
}

/* copy(): return a tree that can be added to without changing this one; all of its rows are new. */
static PyObject *
tree_copy(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    const CallTree *tree = (CallTree *)self;
    CallTree *copy = (CallTree *)Py_TYPE(self)->tp_alloc(Py_TYPE(self), 0);
    if (!copy) {
        return NULL;
    }
    copy->numbers = PyDict_Copy(tree->numbers);
    copy->texts = PyList_GetSlice(tree->texts, 0, PyList_GET_SIZE(tree->texts));
    copy->bound = tree->bound;
    copy->places = tree->places;
    copy->room = tree->places;
    copy->place = copy_of(tree->place, tree->places * sizeof(TreePlace));
    copy->octaves = tree->octaves;
    copy->octave_room = tree->octaves;
    copy->octave = copy_of(tree->octave, tree->octaves * sizeof(TreeOctave));
    copy->slots = tree->slots;
    copy->slot = copy_of(tree->slot, tree->slots * sizeof(uint32_t));
    if (!copy->numbers || !copy->texts || !copy->place || !copy->octave || !copy->slot) {
        Py_DECREF(copy);
        return PyErr_Occurred() ? NULL : PyErr_NoMemory();
    }
    for (uint32_t which = 0; which < copy->places; which++) {
        copy->place[which].has_changed = 1;
    }
    return (PyObject *)copy;
}

static void
call_tree_dealloc(PyObject *self)
{
    CallTree *tree = (CallTree *)self;
    PyTypeObject *type = Py_TYPE(self);
    Py_XDECREF(tree->numbers);
    Py_XDECREF(tree->texts);
    PyMem_Free(tree->place);
    PyMem_Free(tree->octave);
    PyMem_Free(tree->slot);
    type->tp_free(self);
    Py_DECREF(type);
}
