/* What all parts share: limits, structs, the state of the process, names that are looked up. */
#pragma once

#include "base.h"
#include "numbers.h"

#define MOST_SPARE 32
#define MOST_FILES 1024
#define NODE_CACHE_SIZE 256
#define MOST_FREE 8
#define MOST_ROOM_KEPT 64

/* Between two calls that wait for something, processor and caches are others': what a call then costs is the cache lines that it
 * touches, 20 to 100 ns each. So what every call needs stands in the first 64 bytes of each struct; sizes are such that CPython's
 * allocator, with the 16 bytes of its garbage collector before them, begins each on a line of its own; and what is rare is out
 * of the way of what runs. */
typedef struct {
    PyObject_HEAD
    unsigned long long number;
    Py_ssize_t total; /* index of the total; minimum and maximum follow */
    uint64_t min_ns;
    uint64_t max_ns;
    int slot;   /* offset in a lane */
    short skip; /* 0: all calls are timed; else counts up to the next one that is */
    char entry; /* its calls are transactions */
    int depth;
    int32_t per; /* index of its calls per transaction, 0 = none yet */
    /* a line of 64 bytes ends here */
    int32_t octave[OCTAVES]; /* index of the first bucket of an octave, 0 = not made yet */
    PyObject *parent;        /* Node or None */
    PyObject *span;          /* recorder.Span or None */
    PyObject *children;      /* dict: Span -> Node or None; shared among flat nodes */
    uint64_t tally_ns; /* of `settle` and `fold`, 0 in between, as these */
    uint32_t tally;
    uint32_t whole;
    PyObject *kind;    /* of its target, or NULL */
    uint64_t floor_ns; /* transactions that took no longer are not kept as examples */
    PyObject *tail;    /* Node or NULL: see response.py */
    uint64_t unused[6];
} Node;
_Static_assert(sizeof(Node) == 6 * 64 - 16, "see above");

/* A completed call in a transaction. */
typedef struct {
    Node *node;
    uint64_t started_ns; /* 0: several calls in one */
    uint64_t duration_ns;
    uint32_t outcome;
    uint32_t calls;
} Event;

typedef struct {
    PyObject_HEAD
    Event *events;
    Py_ssize_t count;
    Py_ssize_t room;
} Trace;

/* A node that open calls know, and the one that stands for it since its transaction got its name. */
typedef struct {
    Node *from;
    Node *to;
} Move;

typedef struct {
    PyObject_HEAD
    Node *node;
    Py_ssize_t base;
    PyObject *task;  /* None for a thread's own lane */
    Trace *trace;    /* set while a transaction is open */
    int moved_depth; /* no call that lies deeper was open when nodes moved; -1: none has */
    int moves;
    void *context; /* of a task's lane: what the task runs in, while it does; only compared */
    Move *moved;   /* in the order in which they did */
    int moves_room;
    uint64_t unused[4];
} Lane;
_Static_assert(sizeof(Lane) == 2 * 64 - 16, "see above");

/* One request, job or test, and one lane's part in it: as in transactions.py. */
typedef struct {
    PyObject_HEAD
    Lane *lane;
    Node *node;
    Trace *own;       /* of the lane that it began in, as long as nobody has asked for the list; else NULL */
    PyObject *traces; /* list of Trace, that one first; NULL where nobody has asked, or they are taken */
    PyObject *member; /* Member; NULL once it has ended, or the two would be a cycle */
    PyObject *before; /* what the context variable held */
    void *context;    /* that it was opened in; only compared */
    PyObject *vars_before; /* and what that held, with all other variables; NULL where we do not read contexts */
    PyObject *vars_after;
    PyObject *token; /* of the variable, where it was set as Python does */
    long epoch;
    PyObject *route; /* what adapters know of it */
    long status;
    char is_routed;
    char failed;
    char ended;
    char nested; /* a request within a job or a test */
} Transaction;

typedef struct {
    PyObject_HEAD
    PyObject *transaction;
    PyObject *lane;
    PyObject *task;
    PyObject *trace; /* Trace or None */
    long beside;     /* futures of it that are not done */
} Member;

typedef struct {
    Py_hash_t hash;
    PyObject *span; /* NULL: free */
} Known;

typedef struct {
    PyObject_HEAD
    vectorcallfunc vectorcall;
    PyObject *function;
    PyObject *span; /* NULL: `name` finds it */
    Node *last_parent; /* where the last call found its node */
    Node *last_node;
    unsigned last_epoch;
    int sited; /* the calling line tells spans apart */
    /* a line of 64 bytes ends here */
    PyObject *last_span;
    Known *known; /* spans by the hash of that argument */
    int32_t known_size;
    int32_t known_used;
    Py_ssize_t position; /* of the one argument that the name depends on, -1: on anything */
    PyObject *name;      /* function of (args, kwargs), or NULL */
    PyObject *detail;    /* the one key in that argument, a dict, or NULL; of a marked function: see tell */
    PyObject *weakrefs;
    uint64_t unused[7];
} Timed;
_Static_assert(sizeof(Timed) == 3 * 64 - 16, "see above");

typedef struct {
    PyObject_HEAD
    PyObject *inner;
    PyObject *span;
    Lane *lane;  /* set while the coroutine has begun and not ended */
    Lane *outer; /* what ran before this step */
    Node *parent;
    Node *node;       /* NULL: not recorded */
    PyObject *opened; /* the transaction that this is, or the visit to another one */
    short owns_lane;
    short stepping;
    short ended;
    short role; /* what it is of a response; 0: nothing */
    uint64_t started_ns;
    uint64_t active_ns;
    uint64_t steps;
    PyObject *weakrefs;
} Coroutine;

enum { APPLICATION = 1, LAST_PART = 2 };

/* What an ASGI application gets as its `send`. */
typedef struct {
    PyObject_HEAD
    vectorcallfunc vectorcall;
    PyObject *send;
} ObservedSend;

typedef struct {
    PyObject_HEAD
    PyObject *inner;
    PyObject *span;
    Node *node;
    uint64_t used_ns;
    uint64_t steps;
    int started;
    int stepping;
    int ended;
    PyObject *weakrefs;
} Generator;

#define FEW_ARGUMENTS 4

/* A generator of callbacks: what it yields is replaced by stand-ins. Mostly there is nothing to yield. */
typedef struct {
    PyObject_HEAD
    PyObject *inner;
    PyObject *copy; /* function of (args, kwargs, what is yielded) that returns the stand-in, or None */
    PyObject **args; /* those of the call: `few`, or memory of its own */
    Py_ssize_t count; /* of positional ones, before those with names */
    PyObject *kwnames;
    PyObject *few[FEW_ARGUMENTS];
    PyObject *weakrefs;
} CallbackIterator;

/* A method of what another method makes: `cursor.execute` in the place of `connection.execute`. It has positional arguments. */
typedef struct {
    PyObject_HEAD
    vectorcallfunc vectorcall;
    PyObject *inner; /* what it stands for, and is like but for its calls */
    PyObject *make;  /* called with the first argument and `given` */
    PyObject *given;
    PyObject *then; /* called with what was made, in the place of the first argument */
} Chained;

/* Offsets from a node's total. */
enum {
    MIN = NODE_MIN_NS - NODE_TOTAL_NS,
    MAX = NODE_MAX_NS - NODE_TOTAL_NS,
    ACTIVE = NODE_ACTIVE_NS - NODE_TOTAL_NS,
    ERRORS = NODE_ERRORS - NODE_TOTAL_NS,
    INTERRUPTED = NODE_INTERRUPTED - NODE_TOTAL_NS,
    STEPS = NODE_STEPS - NODE_TOTAL_NS,
    UNTIMED = NODE_UNTIMED - NODE_TOTAL_NS,
};

/* As LONGEST_OWN_NS, which holds for what is done once: for the calls of a transaction that gets its name or ends. */
enum { LONGEST_OF_MANY_NS = 2000000 };
