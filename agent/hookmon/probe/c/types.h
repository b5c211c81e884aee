/* The structs that all parts share, and what must hold while they are used.
 *
 * I1  Words. Between reading `state.words` and storing there, nothing runs that may run Python: a signal handler may fork, and then
 *     the words are others.
 * I2  Stale copies. What may run Python is a call, Py_DECREF of what the program may own, a dictionary with the program's keys, and
 *     from 3.12 on an allocation, at which the garbage collector may begin. After it read again: `state.words`, `lane->base`, the node
 *     and its slot. A fork retires nodes and lanes; a transaction that gets its name replaces nodes (`follow_move`).
 * I3  References. A lane owns its node. During a call, the C frame of the caller owns that reference instead, and the lane owns the
 *     node that is called; the frame has a second one to it. A thread owns the lane that it runs, a coroutine what it puts aside for
 *     its steps: neither lets go of a lane with open calls, except that a fork or a detaching keeps it for ever. So the hot path,
 *     which only knows lanes of threads, has no reference to the lane.
 * I4  Errors. The comment of a function says which of these holds:
 *       E_SET    NULL or -1 comes with an error.
 *       E_ASK    NULL comes perhaps with an error: ask PyErr_Occurred().
 *       E_KEEP   an error that is set stays set, and none comes.
 *       E_ADD    an error that is set stays set; where none is set one may come, and must reach the program.
 *       E_SAY    as E_ADD, and the answer says whether one may be set now.
 *     What the callbacks of Python raise is never ours, they are shielded: it comes from a signal handler of the program, or is a
 *     KeyboardInterrupt.
 * I5  Lifetimes. What outlives an operation may be in the program's hands: gc.get_objects() returns all that is tracked. Memory is
 *     used again only where nobody can have it: freelists hold what is dead and untracked, tree_swapping.h has a proof for trees. What
 *     stands for nothing (the records of runs.h) is never tracked: it would be asked for the attributes of what is not there.
 *
 * CHECK() holds the code to them in builds with -DHOOKMON_CHECKS: see checks.h. */
#pragma once

#include "base.h"
#include "numbers.h"

#define MOST_SPARE 32
#define MOST_FILES 1024
#define MOST_OWN_ATTRIBUTES 64
#define MOST_KNOWN_SPANS 256
#define NODE_CACHE_SIZE 256
#define MOST_FREE 8
#define MOST_ROOM_KEPT 64
#define FEW_OCTAVES 4

/* While a call blocks, other work evicts our cache lines: what the next call costs is the lines that it touches, 20 to 100 ns each. So
 * what every call needs stands in the first 64 bytes of each struct. Sizes are such that CPython's allocator, with the 16 bytes of its
 * garbage collector before them, begins each on a line of its own. Rare functions lie apart from those that run (RARE, HOT). */
typedef struct Children Children; /* see children.h */

typedef struct {
    PyObject_HEAD
    uint32_t number;
    int32_t total; /* index of the total; minimum and maximum follow */
    uint64_t min_ns;   /* UINT64_MAX until there is one, */
#ifdef Py_GIL_DISABLED
    uint64_t max_ns; /* 0 until then */
#else
    uint64_t range_ns; /* and what the longest one took longer */
#endif
    int16_t slot; /* offset in a lane */
    int16_t depth;
    union {
        struct {
            int16_t skip; /* 0: all calls are timed; else counts up to the next one that is */
            char entry;   /* its calls are transactions */
            char special; /* IS_OUTERMOST, IS_RETIRED */
        };
        uint32_t is_special; /* 0: a call is nothing but counted and timed */
    };
    char is_request; /* by the kind of its target */
    /* The octaves that were used last, one even and one odd: calls of one place lie in one or two that are neighbours. */
    uint8_t used[2];
    int32_t used_first[2]; /* index of the first bucket */
    int32_t per_transaction; /* index of its calls per transaction, 0 = none yet */
    /* a line of 64 bytes ends here */
    uint8_t octave[FEW_OCTAVES]; /* those that it has, in the order in which they were made */
    int32_t first[FEW_OCTAVES];
    int32_t *all_first; /* by octave, once there are more of them; or NULL */
    PyObject *parent;        /* Node or None */
    PyObject *span;          /* Span, or None */
    Children *children; /* shared among flat nodes, and with that of which it is a recursion; NULL: none yet */
    uint64_t tally_ns; /* of `settle` and `fold`, 0 in between, as these */
    uint32_t tally;
    uint32_t whole;
    uint64_t floor_ns; /* transactions that took no longer are not kept as examples */
    PyObject *tail;    /* Node or NULL: see transactions/response.py */
    int32_t computing; /* index of its CPU time, 0 = none yet */
    struct Measuring *measuring; /* of an entry's node: which of its transactions are measured, see computing.h; or NULL */
    struct Endings *endings; /* of an entry's node: how its transactions have ended, see endings.h; or NULL */
} Node;
#ifndef Py_GIL_DISABLED
_Static_assert(sizeof(Node) == 3 * 64 - 16, "see above");
#endif

/* What is watched: base/target.py's Target begins with it. */
typedef struct {
    PyObject_HEAD
    PyObject *kind;
    PyObject *carrier; /* kind of the calls that this kind may carry, else its own */
    PyObject *package; /* whose own frames are no call sites; "" when the direct caller is meant */
    PyObject *place;   /* "file:line" of a function that the user has named */
    PyObject *nodes;   /* list of the nodes of an own function, */
    PyObject *recursions; /* and of those of calls in itself */
    int flags;
    char entry;
    char nested;
    char has_sites;
    char may_be_covered;
    char is_sampled;
    char is_all_own;
    uint32_t number; /* in the shard with that serial, */
    unsigned serial; /* 0: in none */
} TargetFields;

typedef struct {
    PyObject_HEAD
    TargetFields *target;
    PyObject *name;
    PyObject *site;    /* "" where it is no part of it */
    PyObject *made_at; /* where its first coroutine was made, or "" */
    uint32_t name_number; /* in the shard with that serial, */
    unsigned serial;      /* 0: in none */
} Span;

/* Of a node: its calls lie at the root of their lane, and may belong to a transaction; what they count is the parent process's. */
enum { IS_OUTERMOST = 1, IS_RETIRED = 2 };

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
#ifdef Py_GIL_DISABLED
    PyMutex lock; /* who settles a transaction reads what other threads add to; nothing is called while it is held */
#endif
} Trace;

/* A node that open calls know, and the one that stands for it since its transaction got its name. */
typedef struct {
    Node *from;
    Node *to;
} Move;

/* A call that is open and known by the events of its code: see events.h. */
typedef struct {
    PyObject *code; /* only compared */
    Node *parent;   /* the lane's reference is ours: I3 */
    Node *node;     /* NULL: not recorded */
    PyObject *opened; /* the transaction that this is, or the visit to another one */
    uint64_t start_ns; /* 0: only counted */
} OpenCall;

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
    int open_calls;
    int open_room;
    OpenCall *open; /* innermost last */
    uint64_t *pairs; /* the words from `base` on */
    uint64_t unused[1];
} Lane;
#ifndef Py_GIL_DISABLED
_Static_assert(sizeof(Lane) == 2 * 64 - 16, "see above");
#endif

/* One request, job or test, and one lane's part in it: as in transactions/context.py. */
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
    /* Its CPU time: see computing.h. All is 0 where it is not measured. */
    long stands_for;
    uint64_t readings;    /* how often the clock was read */
    uint64_t computed_ns; /* of its own lane */
    uint64_t beside_ns;   /* of its other threads and tasks */
    uint64_t began_ns;    /* of the part that runs, by that clock */
    unsigned long thread; /* and where it runs */
    void *around;         /* the transaction whose part is around it; only compared */
    Node *entry;          /* that it began with */
    PyObject *origin;     /* the traceparent that came with it, or its ids; NULL: none yet */
    PyObject *error;      /* type of what its entry has raised, or NULL */
    Node *counted_in;     /* when it has ended: the node of its status, or NULL, */
    uint64_t counted_ns;  /* and the time */
    uint64_t counted_as;  /* and the outcome there */
} Transaction;

typedef struct {
    PyObject_HEAD
    PyObject *transaction;
    PyObject *lane;
    PyObject *task;
    PyObject *trace; /* Trace or None */
    long concurrent; /* futures of it that are not done */
} Member;

typedef struct {
    Py_hash_t hash;
    PyObject *value; /* a span; of a Selective, the stand-in of an instance. NULL: free */
} Known;

typedef struct {
    PyObject_HEAD
    vectorcallfunc vectorcall;
    PyObject *function;
    PyObject *span; /* NULL: `name` finds it */
    Node *last_parent; /* where the last call found its node */
    Node *last_node;
    char sited;       /* the calling line tells spans apart */
    char is_fixed;    /* nothing does, nor do the arguments: it is always `span` */
    char is_given_up; /* its calls are not recorded any more: see weighing.h */
    unsigned short until_weighed; /* events, 0 = it never is */
    /* a line of 64 bytes ends here */
    PyObject *last_span;
    Known *known; /* by the hash of that argument, or the address of an instance */
    int32_t known_size;
    int32_t known_used;
    Py_ssize_t position; /* of the one argument that the name depends on, -1: on anything */
    PyObject *name;      /* function of (args, kwargs), or NULL */
    PyObject *detail;    /* the one key in that argument, a dict, or NULL */
    PyObject *weakrefs;
    PyObject *entry_kind; /* kind of its transactions, of a coroutine function; None: its calls are none; NULL: not known */
    uint32_t events; /* since it was weighed last */
    char is_off;     /* at that value of the switch: see control.h */
    uint64_t switched_at;
    PyObject *target; /* or NULL */
    uint64_t number; /* of all of these, where threads run at the same time */
    uint64_t unused[2];
} Timed;
#ifndef Py_GIL_DISABLED
_Static_assert(sizeof(Timed) == 3 * 64 - 16, "see above");
#endif

/* What the values of a call say of the open transaction. */
typedef struct {
    Py_hash_t hash; /* of these values, and of the route that was known */
    PyObject *name; /* of the transaction; None: they name none. NULL: free */
    long status;    /* -1: none */
    Node *from;     /* the node that a transaction had when it was last named so, or NULL */
    Node *to;       /* and the one that it got */
} Reading;

/* An observed function: its calls say something of the open transaction and are not timed. Of `timed` it has the function and, as
 * `name`, the observer, which Python calls with (args, kwargs, result). */
typedef struct {
    Timed timed;
    PyObject *read;   /* function of (args, kwargs, result): (name or None, status or -1), None where Python is to look; or NULL */
    PyObject *fields; /* tuple of all that decides: (position or keyword, -1 for the result; tuple of names that lead on) */
    PyObject *body;   /* such a field, of which a generator is left to Python; or NULL */
    PyObject *kind;   /* of transactions that it is about; NULL: any */
    Reading *readings;
    int32_t readings_size;
    int32_t readings_used;
    int is_route; /* it gives nothing but the route */
} Observed;

typedef struct {
    PyObject_HEAD
    PyObject *inner; /* NULL: as of a generator */
    PyObject *span;
    Lane *lane;  /* set while the coroutine has begun and not ended */
    Lane *outer; /* what ran before this step */
    Node *parent;
    Node *node;       /* NULL: not recorded */
    PyObject *opened; /* the transaction that this is, or the visit to another one */
    short duties; /* what each step has to do besides: OWNS_LANE, IS_MEASURED */
    short stepping;
    short ended;
    short role; /* what it is of a response; 0: nothing */
    uint64_t started_ns;
    uint64_t active_ns;
    uint64_t steps;
    uint64_t step_ns; /* when the open step began, where `inner` is NULL */
    PyObject *weakrefs;
    PyObject *origin; /* the traceparent that an entry's call came with, until its transaction has it; or NULL */
} Coroutine;

enum { APPLICATION = 1, LAST_PART = 2 };
enum { OWNS_LANE = 1, IS_MEASURED = 2 };

/* What an ASGI application gets as its `send`. */
typedef struct {
    PyObject_HEAD
    vectorcallfunc vectorcall;
    PyObject *send;
} ObservedSend;

/* One step of a generator: push the span where it is consumed, resume the body, charge its time there. */
typedef struct {
    Lane *lane;
    Node *parent;
    Node *node;
    PyObject *opened; /* the visit to a transaction */
    uint64_t start_ns;
} Step;

typedef struct {
    PyObject_HEAD
    PyObject *inner; /* NULL: the program has the generator itself, and we know it by the events of its code */
    PyObject *span;
    Node *node;
    uint64_t used_ns;
    uint64_t waited_ns; /* of these, in an asynchronous generator */
    uint64_t steps;
    int started;
    int stepping;
    int ended;
    PyObject *weakrefs;
    Step step; /* the one that is open, where `inner` is NULL */
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
