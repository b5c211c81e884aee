/* The nodes of a shard for Python: made, what the records refer to that are read there, and the nodes one by one. */
#pragma once

#include "base.h"
#include "numbers.h"
#include "shard_nodes.h"

#define RAW_FIELDS 19

/* Put a number into a tuple; NULL is an exception, which whoever makes the tuple sees at the end. */
static inline void
put_number(PyObject *row, int *at, uint64_t number)
{
    PyTuple_SET_ITEM(row, (*at)++, PyLong_FromUnsignedLongLong(number));
}

static int
put_bucket(PyObject *buckets, uint64_t bucket, uint64_t count)
{
    PyObject *key = PyLong_FromUnsignedLongLong(bucket), *value = PyLong_FromUnsignedLongLong(count);
    int failed = !key || !value || PyDict_SetItem(buckets, key, value) < 0;
    Py_XDECREF(key);
    Py_XDECREF(value);
    return failed ? -1 : 0;
}

static Py_ssize_t
shard_length(PyObject *self)
{
    return ((ShardNodes *)self)->nodes;
}

/* strings(): {number: text}, as the reader in Python has them. */
static PyObject *
shard_strings(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    const ShardNodes *shard = (ShardNodes *)self;
    PyObject *strings = PyDict_New();
    for (uint32_t number = 0; strings && number < shard->texts; number++) {
        PyObject *text = text_of(shard, number), *key = text ? PyLong_FromUnsignedLong(number) : NULL;
        if (text && (!key || PyDict_SetItem(strings, key, text) < 0)) {
            Py_CLEAR(strings);
        }
        Py_XDECREF(key);
    }
    return strings;
}

static PyObject *
list_of_words(const uint32_t *words, uint32_t count)
{
    PyObject *found = PyList_New(count);
    for (uint32_t at = 0; found && at < count; at++) {
        PyObject *value = PyLong_FromUnsignedLong(words[at]);
        if (!value) {
            Py_CLEAR(found);
            break;
        }
        PyList_SET_ITEM(found, at, value);
    }
    return found;
}

static PyObject *
shard_places(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    return list_of_words(((ShardNodes *)self)->place, ((ShardNodes *)self)->rest);
}

static PyObject *
shard_statuses(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    return list_of_words(((ShardNodes *)self)->status, 2 * ((ShardNodes *)self)->statuses);
}

/* index(number): the index of a node, -1 where there is none. */
static PyObject *
shard_index(PyObject *self, PyObject *value)
{
    const ShardNodes *shard = (ShardNodes *)self;
    unsigned long long number = PyLong_AsUnsignedLongLong(value);
    if (PyErr_Occurred()) {
        return NULL;
    }
    uint32_t index = number < shard->numbers ? shard->beside[number].index : NOBODY;
    return PyLong_FromLong(index == NOBODY ? -1 : (long)index);
}

static PyObject *
buckets_of_number(const ShardNodes *shard, uint64_t number)
{
    PyObject *buckets = PyDict_New();
    uint32_t place = number < shard->numbers ? shard->beside[number].octaves : NOBODY;
    for (; buckets && place != NOBODY; place = shard->octave[place].next) {
        uint32_t at = shard->octave[place].at;
        for (int bucket = 0; buckets && bucket < SUB_BUCKETS; bucket++) {
            uint64_t count = counts_at(shard, at)[bucket];
            if (count && put_bucket(buckets, shard->words[at + BUCKETS_OCTAVE] * SUB_BUCKETS + bucket, count) < 0) {
                Py_CLEAR(buckets);
            }
        }
    }
    return buckets;
}

static PyObject *
shard_buckets(PyObject *self, PyObject *value)
{
    unsigned long long number = PyLong_AsUnsignedLongLong(value);
    return PyErr_Occurred() ? NULL : buckets_of_number((ShardNodes *)self, number);
}

/* Return the sums of a record beside a node, zeros where there is none. */
static PyObject *
sums_beside(const ShardNodes *shard, uint32_t at, int words)
{
    PyObject *sums = PyTuple_New(words - 1);
    int place = 0;
    for (int word = 1; sums && word < words; word++) {
        put_number(sums, &place, at ? shard->words[at + word] : 0);
    }
    return sums;
}

/* row(index): return what collector/records.RawNode has, in its order. */
static PyObject *
shard_row(PyObject *self, PyObject *value)
{
    const ShardNodes *shard = (ShardNodes *)self;
    unsigned long index = PyLong_AsUnsignedLong(value);
    if (PyErr_Occurred()) {
        return NULL;
    }
    if (index >= shard->nodes) {
        PyErr_SetString(PyExc_IndexError, "no node has this index");
        return NULL;
    }
    const ShardNode *node = shard->node + index;
    const uint64_t *words = shard->words + node->at;
    const Beside *beside = shard->beside + node->number;
    const TargetOfShard *target = shard->target + node->target;
    PyObject *kind = text_of(shard, target->kind);
    int at = 0;
    PyObject *row = PyTuple_New(RAW_FIELDS);
    if (!row) {
        return NULL;
    }
    PyTuple_SET_ITEM(row, at++, PyLong_FromLong(node->parent));
    PyTuple_SET_ITEM(row, at++, Py_NewRef(name_of(shard, node)));
    PyTuple_SET_ITEM(row, at++, PyUnicode_GET_LENGTH(kind) ? Py_NewRef(kind) : PyUnicode_FromString("function"));
    PyTuple_SET_ITEM(row, at++, Py_NewRef(path_of(shard, node)));
    PyTuple_SET_ITEM(row, at++, Py_NewRef(text_of(shard, node->site)));
    put_number(row, &at, node->flags);
    put_number(row, &at, node->total_ns);
    for (int word = NODE_MIN_NS; word < NODE_WORDS; word++) {
        put_number(row, &at, words[word]);
    }
    PyTuple_SET_ITEM(row, at++, buckets_of_number(shard, node->number));
    PyTuple_SET_ITEM(row, at++, sums_beside(shard, beside->per, PER_WORDS));
    PyTuple_SET_ITEM(row, at++, sums_beside(shard, beside->computing, COMPUTING_WORDS));
    put_number(row, &at, node->in_flight_ns);
    put_number(row, &at, node->self_ns);
    if (PyErr_Occurred()) { /* no memory for one of them */
        Py_CLEAR(row);
    }
    return row;
}

static void
shard_nodes_dealloc(PyObject *self)
{
    ShardNodes *shard = (ShardNodes *)self;
    PyTypeObject *type = Py_TYPE(self);
    for (uint32_t number = 0; shard->text && number < shard->texts; number++) {
        Py_XDECREF(shard->text[number]);
    }
    PyMem_Free(shard->node);
    PyMem_Free(shard->status);
    PyMem_Free(shard->octave);
    PyMem_Free(shard->place);
    PyMem_Free(shard->beside);
    PyMem_Free(shard->text);
    PyMem_Free(shard->target);
    Py_XDECREF(shard->content);
    Py_XDECREF(shard->empty);
    Py_XDECREF(shard->unknown);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *
shard_nodes_new(PyTypeObject *type, PyObject *args, PyObject *Py_UNUSED(names))
{
    PyObject *content;
    if (!PyArg_ParseTuple(args, "S", &content)) {
        return NULL;
    }
    Py_ssize_t words = PyBytes_GET_SIZE(content) / (Py_ssize_t)sizeof(uint64_t);
    ShardNodes *shard = (ShardNodes *)type->tp_alloc(type, 0);
    if (!shard) {
        return NULL;
    }
    shard->content = Py_NewRef(content);
    shard->empty = PyUnicode_FromStringAndSize(NULL, 0);
    shard->unknown = PyUnicode_FromString("(unknown)");
    shard->words = (const uint64_t *)PyBytes_AS_STRING(content); /* bytes begin at a multiple of 8 */
    shard->end = (uint32_t)words;
    if (!shard->empty || !shard->unknown) {
        ; /* no memory */
    }
    else if (words >= INT32_MAX || (uintptr_t)shard->words % sizeof(uint64_t)) {
        refuse("too large");
    }
    else if (count_records(shard) < 0 || make_tables(shard) < 0 || take_records(shard) < 0 || take_targets(shard) < 0 ||
             take_nodes(shard) < 0) {
        ; /* that has set the error */
    }
    else {
        return (PyObject *)shard;
    }
    Py_DECREF(shard);
    return NULL;
}
