/* The tables and freelists that an engine keeps: what stands in them. The parts that use them say what for. */
#pragma once

#include "base.h"
#include "compat.h"
#include "types.h"

/* Memory of objects that are gone: see freelist.h. */
typedef struct {
    PyObject *ones[MOST_SPARE];
    int count;
} Freelist;

/* An entry of the node cache: see finding.h. */
typedef struct {
    Node *parent;
    PyObject *span;
    Node *node;
    unsigned epoch;
} CachedNode;

#ifdef Py_GIL_DISABLED
/* The span of a value that a name depends on: see names.h. */
typedef struct {
    uint64_t timed; /* its number */
    Py_hash_t hash;
    PyObject *span;
} KnownSpan;
#endif

/* A file that code came from: see names.h. */
typedef struct {
    PyObject *name;
    int is_own;
} KnownFile;

/* What is known of a type and a name: the class has nothing by that name, and where its instances have it. See attributes.h. */
typedef struct {
    PyTypeObject *type;
    PyObject *name; /* only compared */
    unsigned version;
#ifdef HAS_VALUES
    Keys *keys; /* only compared; they grow at their end, and are the type's as long as it is there */
    Py_ssize_t position;
#endif
} OwnAttribute;

/* The processor's counter: see clock.h. */
typedef struct {
    uint64_t limit; /* ticks since the last look that are enough for another one; 0: the counter is not used */
    uint64_t ticks; /* the counter at the last look */
    uint64_t ns;    /* the time then */
    uint64_t rate;  /* ns a tick, times 2**32; 0 before the second look */
    int failures;   /* looks in a row that something came into */
} Counter;

/* The clock of CPU time, which is a call of the system: see computing.h. */
typedef struct {
    int64_t reading_ns; /* what one reading takes; 0 before the first one, -1 where there is no such clock */
    uint64_t empty_part_ns; /* CPU time between two readings with nothing in between */
    uint64_t random; /* the state of a generator of random numbers */
} CpuClock;

/* A code object, and what times its calls: by the slots of its functions, by its events, or both (a coroutine is named where it is
 * made and timed where it runs). */
typedef struct {
    PyObject *code; /* NULL: free */
    Timed *slot;
    Timed *events;
} Watched;

typedef struct {
    Watched *entries;
    size_t size; /* a power of two, or 0 */
    size_t used;
} WatchedCodes;

/* A function that is timed by itself: see taken_functions.h. */
typedef struct {
    PyObject *function; /* borrowed: an entry goes when its function dies. NULL: free */
    Timed *timed;
} TakenFunction;

typedef struct {
    TakenFunction *entries;
    size_t size; /* a power of two, or 0 */
    size_t used;
} TakenFunctions;

/* A generator or coroutine of watched code that has begun and not ended, by `run_key`: see runs.h. */
typedef struct {
    void *key;        /* NULL: free */
    PyObject *code;   /* only compared */
    PyObject *record; /* Coroutine: of a coroutine, or the open step of an asynchronous generator. Generator: of a generator */
    Generator *body;  /* of an asynchronous generator */
} Run;

typedef struct {
    Run *entries;
    size_t size; /* a power of two, or 0 */
    size_t count;
} Runs;

typedef struct Ended Ended; /* a thread that has ended: see lanes.h */
