/* What the values of a call say of a transaction, by their hash: a table of each observed function. */
#pragma once

#include "base.h"
#include "numbers.h"
#include "types.h"

static void
forget_readings(Observed *self)
{
    Reading *table = self->readings;
    Py_ssize_t size = self->readings_size;
    self->readings = NULL; /* first: what goes may call us */
    self->readings_size = self->readings_used = 0;
    for (Py_ssize_t i = 0; i < size; i++) {
        Py_XDECREF(table[i].name);
        Py_XDECREF((PyObject *)table[i].from);
        Py_XDECREF((PyObject *)table[i].to);
    }
    PyMem_Free(table);
}

/* Return the place of a reading in a table of that size: its own, or a free one. */
static inline Reading *
place_of_reading(Reading *table, Py_ssize_t size, Py_hash_t hash)
{
    size_t mask = (size_t)size - 1;
    size_t at = (size_t)hash & mask;
    while (table[at].name && table[at].hash != hash) {
        at = (at + 1) & mask;
    }
    return &table[at];
}

/* Return what these values said the last time, NULL when they are new. It is valid until Python runs. */
static inline Reading *
find_reading(Observed *self, Py_hash_t hash)
{
    Reading *place = self->readings_size ? place_of_reading(self->readings, self->readings_size, hash) : NULL;
    return place && place->name ? place : NULL;
}

/* Remember what values say. Without memory they are read anew the next time. */
static void
remember_reading(Observed *self, Py_hash_t hash, PyObject *name, long status)
{
    if (self->readings_used >= MOST_KNOWN) {
        forget_readings(self);
    }
    if (2 * self->readings_used >= self->readings_size) {
        int32_t size = self->readings_size ? self->readings_size * 2 : 8;
        Reading *table = PyMem_Calloc((size_t)size, sizeof *table);
        if (!table) {
            return;
        }
        for (int32_t i = 0; i < self->readings_size; i++) {
            if (self->readings[i].name) {
                *place_of_reading(table, size, self->readings[i].hash) = self->readings[i];
            }
        }
        PyMem_Free(self->readings);
        self->readings = table;
        self->readings_size = size;
    }
    Reading *place = place_of_reading(self->readings, self->readings_size, hash);
    if (!place->name) { /* Python has run since it was looked for */
        *place = (Reading){hash, Py_NewRef(name), status, NULL, NULL};
        self->readings_used++;
    }
}
