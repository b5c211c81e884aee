/* The writer's side of a shard: words are handed out one behind the other, records and strings are written. `recording/records.py` is
 * the same in Python, the layout in `core` has what the words mean. */
#pragma once

#include "base.h"
#include "interned.h"
#include "numbers.h"
#include "state.h"
#include "types.h"

#define STRINGS_AT_FIRST 64

/* A string that is stored, by the hash of its bytes. The bytes themselves are in the shard: to keep them once more as a text of Python
 * with a dictionary would take three times as much memory as the rest of a place. */
typedef struct {
    uint32_t hash;
    uint32_t number; /* 0: free */
    uint32_t at;     /* of its record */
} StoredString;

typedef struct Records {
    PyObject_HEAD
    uint64_t *memory;
    Py_ssize_t used;
    Py_ssize_t capacity; /* words that have storage behind them; 0: nothing more is handed out */
    Py_buffer buffer;
    PyObject *words;      /* memoryview of `memory` */
    unsigned long long nodes; /* how many have a number */
    StoredString *strings; /* an open table, at most three quarters full */
    uint32_t strings_size;
    uint32_t strings_used;
    unsigned serial; /* tells the shards of this process apart: see Span and TargetFields */
} Records;

static int
records_init(Records *self, PyObject *args, PyObject *kwargs)
{
    PyObject *words;
    Py_ssize_t capacity;
    Py_buffer buffer;
    if (kwargs && PyDict_GET_SIZE(kwargs)) {
        PyErr_SetString(PyExc_TypeError, "Records takes no keyword arguments");
        return -1;
    }
    if (!PyArg_ParseTuple(args, "On", &words, &capacity) ||
        PyObject_GetBuffer(words, &buffer, PyBUF_WRITABLE | PyBUF_SIMPLE) < 0) {
        return -1;
    }
    if (self->words) {
        PyBuffer_Release(&self->buffer);
    }
    self->buffer = buffer;
    self->memory = buffer.buf;
    Py_XSETREF(self->words, Py_NewRef(words));
    self->used = PAGE_BYTES / (Py_ssize_t)sizeof *self->memory;
    self->capacity = capacity;
    self->serial = ++state.last_serial;
    return 0;
}

static void
records_dealloc(Records *self)
{
    PyTypeObject *type = Py_TYPE(self);
    if (self->words) {
        PyBuffer_Release(&self->buffer);
        Py_CLEAR(self->words);
    }
    PyMem_Free(self->strings);
    type->tp_free(self);
    Py_DECREF(type);
}

/* Have storage behind so many fresh words; 0 without an error where there is none (E_ASK). Python makes the storage. */
static int
ensure_storage(Records *self, Py_ssize_t size)
{
    while (!LIKELY(self->used + size <= self->capacity)) {
        PyObject *answer = PyObject_CallMethodNoArgs((PyObject *)self, name_grow);
        int is_larger = answer == Py_True;
        Py_XDECREF(answer);
        if (!is_larger) {
            return 0;
        }
    }
    return 1;
}

/* Hand out fresh words, behind which there is storage: they are zero. Nothing of Python runs. Under the lock. */
static inline Py_ssize_t
take_words(Records *self, Py_ssize_t size)
{
    Py_ssize_t at = self->used;
    self->used += size;
    self->memory[at] = (uint64_t)size << 8;
    self->memory[HEADER_USED] = (uint64_t)self->used;
    return at;
}

/* Return the index of fresh words, behind which storage is made where there is none; 0 where that cannot be (E_ASK). */
static Py_ssize_t
reserve_words(Records *self, Py_ssize_t size)
{
    for (;;) {
        LOCK();
        Py_ssize_t at = self->used + size <= self->capacity ? take_words(self, size) : 0;
        UNLOCK();
        if (LIKELY(at) || !ensure_storage(self, size)) {
            return at;
        }
    }
}

/* Say what a record is whose other words are written: from then on readers look at it. */
static inline void
publish_record(Records *self, Py_ssize_t at, unsigned type, uint64_t number)
{
    __atomic_store_n(&self->memory[at], self->memory[at] | type | number << 32, __ATOMIC_RELEASE);
}

static inline uint32_t
hash_of_bytes(const char *bytes, size_t size)
{
    uint64_t hash = size * 0x9E3779B97F4A7C15ull, word;
    for (; size >= sizeof word; bytes += sizeof word, size -= sizeof word) {
        memcpy(&word, bytes, sizeof word);
        hash = (hash ^ word) * 0xFF51AFD7ED558CCDull;
        hash ^= hash >> 32;
    }
    word = 0;
    memcpy(&word, bytes, size);
    hash = (hash ^ word) * 0xFF51AFD7ED558CCDull;
    return (uint32_t)(hash >> 32);
}

/* Return the place in the table of a string, or the free one where it would be; the table is not full. */
static StoredString *
find_string(Records *self, uint32_t hash, const char *bytes, size_t size)
{
    size_t mask = self->strings_size - 1;
    for (size_t i = hash & mask;; i = (i + 1) & mask) {
        StoredString *found = &self->strings[i];
        if (!found->number) {
            return found;
        }
        if (found->hash == hash && self->memory[found->at + STRING_BYTES] == size &&
            !memcmp(&self->memory[found->at + STRING_FIRST], bytes, size)) {
            return found;
        }
    }
}

/* Have room for one more string in the table. -1 without memory (no error). */
static int
make_room_for_string(Records *self)
{
    if (LIKELY(4 * (self->strings_used + 1) <= 3 * self->strings_size)) {
        return 0;
    }
    uint32_t size = self->strings_size ? 2 * self->strings_size : STRINGS_AT_FIRST;
    StoredString *table = PyMem_Calloc(size, sizeof *table);
    if (!table) {
        return -1;
    }
    for (uint32_t i = 0; i < self->strings_size; i++) {
        if (self->strings[i].number) {
            size_t at = self->strings[i].hash & (size - 1);
            while (table[at].number) {
                at = (at + 1) & (size - 1);
            }
            table[at] = self->strings[i];
        }
    }
    PyMem_Free(self->strings);
    self->strings = table;
    self->strings_size = size;
    return 0;
}

/* Return the number of a string of UTF-8, 0 when it could not be stored (E_ASK). */
static uint32_t
string_number(Records *self, const char *bytes, size_t size)
{
    size = size < LONGEST_STRING ? size : LONGEST_STRING;
    uint32_t hash = hash_of_bytes(bytes, size);
    Py_ssize_t words = STRING_FIRST + (Py_ssize_t)((size + 7) / 8);
    for (;;) {
        LOCK();
        StoredString *found = make_room_for_string(self) < 0 ? NULL : find_string(self, hash, bytes, size);
        int is_room = self->used + words <= self->capacity;
        if (found && !found->number && LIKELY(is_room)) {
            Py_ssize_t at = take_words(self, words);
            memcpy(&self->memory[at + STRING_FIRST], bytes, size);
            self->memory[at + STRING_BYTES] = size;
            *found = (StoredString){hash, ++self->strings_used, (uint32_t)at};
            publish_record(self, at, RECORD_STRING, found->number);
        }
        uint32_t number = found ? found->number : 0;
        UNLOCK();
        if (LIKELY(number) || is_room || !ensure_storage(self, words)) {
            return number;
        }
    } /* Python has run, and may have stored it */
}

/* Return the number of a text, 0 when it could not be stored (E_ASK). */
static uint32_t
text_number(Records *self, PyObject *text)
{
    if (LIKELY(PyUnicode_IS_COMPACT_ASCII(text))) {
        return string_number(self, (const char *)PyUnicode_1BYTE_DATA(text), (size_t)PyUnicode_GET_LENGTH(text));
    }
    PyObject *content = PyUnicode_AsEncodedString(text, "utf-8", "backslashreplace");
    uint32_t number = content ? string_number(self, PyBytes_AS_STRING(content), (size_t)PyBytes_GET_SIZE(content)) : 0;
    Py_XDECREF(content);
    return number;
}

static PyObject *
records_reserve(Records *self, PyObject *argument)
{
    Py_ssize_t size = PyLong_AsSsize_t(argument);
    if (size <= 0) {
        return PyErr_Occurred() ? NULL : PyLong_FromLong(0);
    }
    Py_ssize_t at = reserve_words(self, size);
    return PyErr_Occurred() ? NULL : PyLong_FromSsize_t(at);
}

static PyObject *
records_record(Records *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"record_type", "number", "values", "zeros", NULL};
    unsigned type;
    unsigned long long number;
    PyObject *values;
    Py_ssize_t zeros = 0;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "IKO!|n", names, &type, &number, &PyList_Type, &values, &zeros)) {
        return NULL;
    }
    if (zeros < 0) {
        PyErr_SetString(PyExc_ValueError, "a record has no less than 0 zeros");
        return NULL;
    }
    Py_ssize_t size = PyList_GET_SIZE(values) + zeros + 1, at = reserve_words(self, size);
    if (at) {
        for (Py_ssize_t i = 0; i < PyList_GET_SIZE(values) && i < size - 1; i++) {
            self->memory[at + 1 + i] = PyLong_AsUnsignedLongLong(PyList_GET_ITEM(values, i));
        }
        if (!PyErr_Occurred()) {
            publish_record(self, at, type, number);
        }
    }
    return PyErr_Occurred() ? NULL : PyLong_FromSsize_t(at);
}

static PyObject *
records_string(Records *self, PyObject *text)
{
    if (!PyUnicode_Check(text)) {
        PyErr_SetString(PyExc_TypeError, "a string is a str");
        return NULL;
    }
    uint32_t number = text_number(self, text);
    return PyErr_Occurred() ? NULL : PyLong_FromUnsignedLong(number);
}

static PyObject *
records_grow(PyObject *Py_UNUSED(self), PyObject *Py_UNUSED(ignored))
{
    Py_RETURN_FALSE;
}

static PyMethodDef records_methods[] = {
    {"reserve", (PyCFunction)records_reserve, METH_O, "reserve($self, size, /)\n--\n\nReturn the index of fresh words, 0 without space."},
    {"record", (PyCFunction)(void (*)(void))records_record, METH_VARARGS | METH_KEYWORDS,
     "record($self, record_type, number, values, zeros=0)\n--\n\nWrite a record; return its index, 0 without space."},
    {"string", (PyCFunction)records_string, METH_O, "string($self, text, /)\n--\n\nReturn the number of a string, 0 without space."},
    {"grow", records_grow, METH_NOARGS, "grow($self, /)\n--\n\nHave storage behind more words; say whether there is more now."},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef records_members[] = {
    {"words", Py_T_OBJECT_EX, offsetof(Records, words), Py_READONLY, NULL},
    {"used", Py_T_PYSSIZET, offsetof(Records, used), Py_READONLY, NULL},
    {"capacity", Py_T_PYSSIZET, offsetof(Records, capacity), 0, NULL},
    {"nodes", Py_T_ULONGLONG, offsetof(Records, nodes), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot records_slots[] = {
    SLOT(Py_tp_new, PyType_GenericNew), SLOT(Py_tp_init, records_init), SLOT(Py_tp_dealloc, records_dealloc),
    SLOT(Py_tp_members, records_members), SLOT(Py_tp_methods, records_methods),
    SLOT(Py_tp_doc, "Records(words, capacity, /)\n--\n\n"),
    {0, NULL},
};
static PyType_Spec records_spec = {
    "hookmon.probe._engine.Records", sizeof(Records), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, records_slots};
