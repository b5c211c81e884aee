/* The compiled engine: the hot path of `calls` and `steps` in C.
 *
 * In: callables and their spans. Out: words in the shard. Runs in the watched process, under the GIL.
 *
 * What happens rarely stays in Python and serves both engines: new nodes, lanes and octaves, names that were not seen yet,
 * forks (`recorder`), asynchronous generators (`steps`). What happens at each call is here: find the node under the lane's
 * present one, publish it, call, and add to the counters straight in the mapped file. No Python frame of ours is on the
 * stack, and no lock: CPython does not switch threads inside a C function that calls nothing.
 */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#if PY_VERSION_HEX < 0x030C0000
#include <structmember.h>
#define Py_T_OBJECT_EX T_OBJECT_EX
#define Py_T_ULONGLONG T_ULONGLONG
#define Py_T_PYSSIZET T_PYSSIZET
#define Py_T_INT T_INT
#define Py_T_LONG T_LONG
#define Py_T_SHORT T_SHORT
#define Py_T_BOOL T_BOOL
#define Py_READONLY READONLY
#endif

#ifdef Py_GIL_DISABLED
#error "counters are plain additions under the GIL; free-threaded builds use the pure engine"
#endif

#define OCTAVES 48
#define SUB_BUCKETS 16
#define MOST_KNOWN 16384
#define CALLS_A_LOOK 4096 /* core.plan */
#define ONE_TIMED_OF 64
#define MOST_SPARE 32
#define MOST_EVENTS 4096 /* trace.py */
#define REPEATED 5       /* core.layout */
#define FAILED_FROM 500  /* transactions.py */
#define MOST_TRACES 1000
#define MOST_FRAMES 100  /* target.py */
#define MOST_FILES 1024
#define MOST_LATELY 256
#define MOST_GONE 8
#define MOST_ROOM_KEPT 64

/* Between two calls that wait for something, processor and caches are others': what a call then costs is the cache lines that it
 * touches, 20 to 100 ns each. So what every call needs stands in the first 64 bytes of each struct; sizes are such that CPython's
 * allocator, with the 16 bytes of its garbage collector before them, begins each on a line of its own; and what is rare is out
 * of the way of what runs. */
#define LIKELY(claim) __builtin_expect(!!(claim), 1)
#define RARE __attribute__((cold, noinline))
#define HOT __attribute__((hot)) /* beside each other in memory */
#if defined(__GLIBC__) /* which keeps some room for it; elsewhere a library that is loaded late cannot have it */
#define OWN_TO_THREAD static _Thread_local __attribute__((tls_model("initial-exec")))
#else
#define OWN_TO_THREAD static _Thread_local
#endif

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
    long epoch;
    PyObject *route; /* what adapters know of it */
    long status;
    char is_routed;
    char failed;
    char ended;
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
} Telling;

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
} Handed;

/* A method of what another method makes: `cursor.execute` in the place of `connection.execute`. It has positional arguments. */
typedef struct {
    PyObject_HEAD
    vectorcallfunc vectorcall;
    PyObject *inner; /* what it stands for, and is like but for its calls */
    PyObject *make;  /* called with the first argument and `given` */
    PyObject *given;
    PyObject *then; /* called with what was made, in the place of the first argument */
} Chained;

/* One process has one recorder; the module refuses to load into a second interpreter. */
static struct {
    uint64_t *words;
    PyObject *getcurrent; /* greenlet.getcurrent, NULL without greenlets */
    PyObject *root;
    unsigned epoch;       /* counts forks: a lane of an earlier one is not ours */
    int joining;          /* there has been a transaction */
    /* a line of 64 bytes ends before here */
    int spares;
    Py_buffer buffer;
    PyObject *recorder; /* the module, for what is rare */
    PyObject *steps;
    PyObject *greenlet_lanes;
    Py_ssize_t scratch_total;
    Py_ssize_t scratch_bucket;
    Py_ssize_t scratch_lane;
    PyObject *get_loop;      /* _asyncio._get_running_loop, NULL until the program has asyncio */
    PyObject *current_task;  /* _asyncio.current_task, from 3.12 on */
    PyObject *current_tasks; /* or the dict that 3.11 keeps them in, by loop */
    Lane *spare[MOST_SPARE]; /* lanes of tasks that have ended, of this epoch */
    Lane *spare_of_thread[MOST_SPARE];
    int thread_spares;
    long deepest; /* nodes under each other at the most */
    PyObject *no_children;
    PyObject *members; /* context variable: who belongs to which transaction */
} state __attribute__((aligned(64)));

OWN_TO_THREAD Lane *thread_lane;
OWN_TO_THREAD unsigned thread_epoch;

static PyTypeObject *NodeType, *LaneType, *TimedCallableType, *TimedType, *CoroutineFunctionType, *GeneratorFunctionType;
static PyTypeObject *TransactionType, *MemberType, *ApplicationType, *TellingType, *HandingType, *HandedType, *ChainedType, *TimedMethodType;
static PyTypeObject *CoroutineType, *GeneratorType, *TraceType, *MarkedType, *MarkedBeforeType, *MarkedCoroutineType;

static PyObject *name_new_node, *name_new_bucket, *name_enter_thread, *name_free_lane, *name_new_lane;
static PyObject *name_look, *name_wrapped, *name_throw, *name_close, *name_awaited;
static PyObject *name_note_maker, *name_timed_generator, *name_rename, *name_kind;
static PyObject *name_join, *name_join_from_now_on, *name_end_left, *name_located, *name_is_own, *name_new_per, *name_entry, *name_target;
static PyObject *name_awaiting, *name_tail, *name_type, *name_status, *name_more_body, *text_http, *text_websocket, *text_request;
static PyObject *text_start, *text_body, *text_pathsend, *no_text;
static PyObject *name_asyncio, *name_get_running_loop, *name_current_task, *name_current_tasks;

/* Offsets from a node's total, as in core.layout. */
enum { MIN = 1, MAX = 2, ACTIVE = 3, ERRORS = 4, INTERRUPTED = 5, STEPS = 6, UNTIMED = 7 };

/* ---- the clock ---- */

/* Stamps are nanoseconds of CLOCK_MONOTONIC. Asking the system for them takes 23 ns, two thirds of which are an instruction that
 * waits for all before it; a call reads the clock twice. Where the kernel itself keeps time by the processor's time-stamp counter
 * (clock source "tsc": constant, synchronous over all processors, and the launcher looked), we read the counter and go by the
 * last look at the system's clock. There is one at least every second, at first after 1, 4, 16 ms …: each corrects what has come
 * together meanwhile, and the rate. When counter and clock have ever gone apart (a suspend, a machine that has moved), we are
 * back at the system's clock for good. */

static __attribute__((noinline)) uint64_t
system_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

#if defined(__linux__) && defined(__x86_64__)
#include <x86intrin.h>
#define HAS_COUNTER

static struct {
    uint64_t limit; /* ticks since the last look that are enough for another one; 0: the counter is not used */
    uint64_t ticks; /* the counter at the last look */
    uint64_t ns;    /* the time then */
    uint64_t rate;  /* ns a tick, times 2**32; 0 before the second look */
    int failures;   /* looks in a row that something came into */
} counter __attribute__((aligned(64)));

enum { FIRST_LOOK_NS = 1000000, LAST_LOOK_NS = 1000000000, MOST_TICKS_BETWEEN = 1500, MOST_FAILURES = 1000 };

/* Look at both clocks at once. -1: something came in between each time. */
static int
look_at_clocks(uint64_t *ticks, uint64_t *ns)
{
    for (int i = 0; i < 4; i++) {
        uint64_t before = __rdtsc();
        *ns = system_ns();
        uint64_t between = __rdtsc() - before;
        *ticks = before + between / 2;
        if (between < MOST_TICKS_BETWEEN) {
            return 0;
        }
    }
    return -1;
}

static RARE uint64_t
correct_counter(void)
{
    uint64_t ticks, ns;
    if (look_at_clocks(&ticks, &ns) < 0) {
        if (++counter.failures > MOST_FAILURES) {
            counter.limit = 0;
        }
        return ns;
    }
    counter.failures = 0;
    uint64_t ticks_since = ticks - counter.ticks, ns_since = ns - counter.ns;
    if (!counter.rate && ns_since < FIRST_LOOK_NS) {
        return ns;
    }
    uint64_t told_ns = counter.rate ? (uint64_t)((unsigned __int128)ticks_since * counter.rate >> 32) : ns_since;
    uint64_t apart_ns = told_ns > ns_since ? told_ns - ns_since : ns_since - told_ns;
    if (ticks_since >> 60 || ticks_since < ns_since / 16 || apart_ns > ns_since / 1024 + 1000) {
        counter.limit = 0;
        return ns;
    }
    counter.rate = (uint64_t)(((unsigned __int128)ns_since << 32) / ticks_since);
    uint64_t wait_ns = ns_since < LAST_LOOK_NS / 4 ? 4 * ns_since : LAST_LOOK_NS;
    counter.limit = (uint64_t)((unsigned __int128)ticks_since * wait_ns / ns_since);
    counter.ticks = ticks;
    counter.ns = ns;
    return ns;
}

static inline uint64_t
now_ns(void)
{
    if (LIKELY(counter.limit)) {
        uint64_t since = __rdtsc() - counter.ticks;
        if (LIKELY(since < counter.limit)) {
            return counter.ns + (uint64_t)((unsigned __int128)since * counter.rate >> 32);
        }
        return correct_counter();
    }
    return system_ns();
}
#else
#define now_ns system_ns
#endif

/* A correction may put the clock back by a little, of which no duration is to know. */
static inline uint64_t
since_ns(uint64_t start_ns)
{
    uint64_t now = now_ns();
    return now > start_ns ? now - start_ns : 0;
}

/* ---- histogram: core.histogram in integers ---- */

/* By the 6 bits behind the leading one: the bucket's limit within that 64th, if any, and in its lowest 5 bits how many limits lie
 * below that 64th. No duration of less than 2**48 ns has those bits, so they change no comparison. */
static uint64_t threshold[64] __attribute__((aligned(64)));

static void
fill_histogram(void)
{
    /* floor(2**(63 + i/16)), computed with 128-bit integer square roots: four halvings of the exponent */
    uint64_t limit[SUB_BUCKETS + 1];
    for (int i = 0; i <= SUB_BUCKETS; i++) {
        /* the largest m with (m / 2**63)**16 <= 2**i, by bisection in long double and a check in exact integers is not
         * needed: limits are irrational but for i = 0 and 16, and the nearest 64-bit neighbour of a duration below
         * 2**47 is 2**16 units away */
        long double value = 9223372036854775808.0L;
        long double root = 1.0L;
        if (i & 8) root *= 1.41421356237309504880168872420969807857L;
        if (i & 4) root *= 1.18920711500272106671749997056047591529L;
        if (i & 2) root *= 1.09050773266525765920701065576070797899L;
        if (i & 1) root *= 1.04427378242741384032196647873992910237L;
        value *= root;
        limit[i] = i == SUB_BUCKETS ? UINT64_MAX : (uint64_t)value;
    }
    for (int part = 0; part < 64; part++) {
        uint64_t first = (1ull << 63) + ((uint64_t)part << 57);
        uint64_t last = first + ((1ull << 57) - 1);
        unsigned below = 0;
        uint64_t within = UINT64_MAX;
        for (int i = 0; i < SUB_BUCKETS; i++) {
            if (limit[i] < first) {
                below++;
            }
            else if (limit[i] <= last) {
                within = limit[i];
            }
        }
        threshold[part] = (within & ~31ull) | below;
    }
}

static inline int
bucket_of(uint64_t duration_ns)
{
    if (duration_ns <= 1) {
        return 0;
    }
    int octave = 63 - __builtin_clzll(duration_ns);
    uint64_t mantissa = duration_ns << (63 - octave);
    int part = (int)(mantissa >> 57) & 63;
    uint64_t limit = threshold[part];
    int bucket = octave * SUB_BUCKETS + (int)(limit & 31) + (mantissa > limit);
    return bucket < OCTAVES * SUB_BUCKETS ? bucket : OCTAVES * SUB_BUCKETS - 1;
}

/* ---- errors of the program ---- */

typedef struct {
#if PY_VERSION_HEX >= 0x030C0000
    PyObject *raised;
#else
    PyObject *type, *value, *trace;
#endif
} Raised;

static inline void
put_aside(Raised *raised)
{
#if PY_VERSION_HEX >= 0x030C0000
    raised->raised = PyErr_GetRaisedException();
#else
    PyErr_Fetch(&raised->type, &raised->value, &raised->trace);
#endif
}

static inline void
put_back(Raised *raised)
{
#if PY_VERSION_HEX >= 0x030C0000
    PyErr_SetRaisedException(raised->raised);
#else
    PyErr_Restore(raised->type, raised->value, raised->trace);
#endif
}

/* Put an error back that was set aside; when there was none, one that came since stays. */
static inline void
put_back_unless_new(Raised *raised)
{
#if PY_VERSION_HEX >= 0x030C0000
    int had = raised->raised != NULL;
#else
    int had = raised->type != NULL;
#endif
    if (had) {
        PyErr_Clear();
        put_back(raised);
    }
}

/* Say whether a value is that text of ASCII. */
static inline int
is_text(PyObject *value, PyObject *text)
{
    return value == text || (value && PyUnicode_CheckExact(value) && PyUnicode_GET_LENGTH(value) == PyUnicode_GET_LENGTH(text) &&
                             PyUnicode_IS_COMPACT_ASCII(value) &&
                             !memcmp(PyUnicode_1BYTE_DATA(value), PyUnicode_1BYTE_DATA(text), (size_t)PyUnicode_GET_LENGTH(text)));
}

/* ---- nodes ---- */

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
    self->per = 0;
    Py_XSETREF(self->children, children);
    Py_XSETREF(self->parent, Py_NewRef(parent));
    Py_XSETREF(self->span, Py_NewRef(span));
    self->number = number;
    self->total = at + 4; /* layout.NODE_TOTAL_NS */
    self->depth = (int)depth;
    self->slot = 2 * (int)(depth < 29 ? depth : 29); /* layout.LANE_DEPTH - 1 */
    self->min_ns = UINT64_MAX;
    self->max_ns = 0;
    self->skip = 0;
    memset(self->octave, 0, sizeof self->octave);
    return 0;
}

static PyObject *
node_retire(Node *self, PyObject *Py_UNUSED(ignored))
{
    self->number = 0;
    self->per = 0;
    self->total = state.scratch_total;
    self->slot = 0;
    for (int i = 0; i < OCTAVES; i++) {
        self->octave[i] = (int32_t)state.scratch_bucket;
    }
    Py_CLEAR(self->tail);
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

static int
node_traverse(Node *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->parent);
    Py_VISIT(self->span);
    Py_VISIT(self->children);
    Py_VISIT(self->tail);
    return 0;
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
    type->tp_free(self);
    Py_DECREF(type);
    Py_TRASHCAN_END
}

static PyMemberDef node_members[] = {
    {"parent", Py_T_OBJECT_EX, offsetof(Node, parent), 0, NULL},
    {"span", Py_T_OBJECT_EX, offsetof(Node, span), 0, NULL},
    {"children", Py_T_OBJECT_EX, offsetof(Node, children), 0, NULL},
    {"number", Py_T_ULONGLONG, offsetof(Node, number), 0, NULL},
    {"total", Py_T_PYSSIZET, offsetof(Node, total), 0, NULL},
    {"slot", Py_T_INT, offsetof(Node, slot), 0, NULL},
    {"depth", Py_T_INT, offsetof(Node, depth), 0, NULL},
    {"skip", Py_T_SHORT, offsetof(Node, skip), 0, NULL},
    {"per", Py_T_INT, offsetof(Node, per), 0, NULL},
    {"entry", Py_T_BOOL, offsetof(Node, entry), Py_READONLY, NULL},
    {"floor_ns", Py_T_ULONGLONG, offsetof(Node, floor_ns), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyMethodDef node_methods[] = {
    {"retire", (PyCFunction)node_retire, METH_NOARGS, "Send whatever is still to be written into the scratch record."},
    {"add_octave", (PyCFunction)node_add_octave, METH_VARARGS, "Say where the buckets of an octave are."},
    {NULL, NULL, 0, NULL},
};

/* ---- traces: as in trace.py ---- */

enum { RETURNED = 0, RAISED = 1, INTERRUPTED_CALL = 2, UNTIMED_CALL = 4 };

static HOT void
forget_events(Trace *self)
{
    Py_ssize_t count = self->count;
    self->count = 0;
    for (Py_ssize_t i = 0; i < count; i++) {
        Py_DECREF(self->events[i].node);
    }
}

/* Add the calls up by node. */
static void
fold(Trace *self)
{
    Event *events = self->events;
    Py_ssize_t kept = 0;
    for (Py_ssize_t i = 0; i < self->count; i++) {
        events[i].node->tally += events[i].calls;
        events[i].node->tally_ns += events[i].duration_ns;
    }
    for (Py_ssize_t i = 0; i < self->count; i++) {
        Node *node = events[i].node;
        if (node->tally) {
            events[kept++] = (Event){node, 0, node->tally_ns, RETURNED, (uint32_t)node->tally};
            node->tally = node->tally_ns = 0;
        }
        else {
            Py_DECREF(node); /* never the last one: the event that was kept has one */
        }
    }
    self->count = kept;
    if (kept > MOST_EVENTS / 2) { /* thousands of names in one transaction: what is per transaction begins anew */
        forget_events(self);
    }
}

static HOT void
trace_add(Trace *self, Node *node, uint64_t started_ns, uint64_t duration_ns, int outcome)
{
    if (self->count >= self->room) {
        if (self->room >= MOST_EVENTS) {
            fold(self);
        }
        else {
            Py_ssize_t room = self->room ? 4 * self->room : 16;
            Event *events = PyMem_Realloc(self->events, (size_t)room * sizeof *events);
            if (!events) {
                return;
            }
            self->events = events;
            self->room = room;
        }
    }
    self->events[self->count++] =
        (Event){(Node *)Py_NewRef(node), started_ns, duration_ns, (uint32_t)outcome, 1};
}

static PyObject *
event_tuple(Event *event)
{
    return Py_BuildValue("OKKII", (PyObject *)event->node, (unsigned long long)event->started_ns,
                         (unsigned long long)event->duration_ns, (unsigned)event->outcome, (unsigned)event->calls);
}

static PyObject *
trace_add_for_python(Trace *self, PyObject *args)
{
    Node *node;
    unsigned long long started_ns, duration_ns;
    int outcome;
    if (!PyArg_ParseTuple(args, "O!KKi", NodeType, &node, &started_ns, &duration_ns, &outcome)) {
        return NULL;
    }
    trace_add(self, node, started_ns, duration_ns, outcome);
    Py_RETURN_NONE;
}

static PyObject *
trace_take_last(Trace *self, PyObject *Py_UNUSED(ignored))
{
    if (!self->count) {
        Py_RETURN_NONE;
    }
    Event *last = &self->events[--self->count];
    PyObject *answer = event_tuple(last);
    Py_DECREF(last->node);
    return answer;
}

static PyObject *
trace_events(Trace *self, PyObject *Py_UNUSED(ignored))
{
    PyObject *answer = PyList_New(0);
    for (Py_ssize_t i = 0; answer && i < self->count; i++) {
        PyObject *event = event_tuple(&self->events[i]);
        if (!event || PyList_Append(answer, event) < 0) {
            Py_CLEAR(answer);
        }
        Py_XDECREF(event);
    }
    return answer;
}

static PyObject *
trace_replace(Trace *self, PyObject *events)
{
    if (!PyList_Check(events) || PyList_GET_SIZE(events) > self->room) {
        PyErr_SetString(PyExc_ValueError, "as many events as there were, or fewer");
        return NULL;
    }
    Py_ssize_t count = PyList_GET_SIZE(events);
    for (Py_ssize_t i = 0; i < count; i++) {
        Event event;
        Node *node;
        unsigned long long started_ns, duration_ns;
        unsigned outcome, calls;
        if (!PyArg_ParseTuple(PyList_GET_ITEM(events, i), "O!KKII", NodeType, &node, &started_ns, &duration_ns, &outcome, &calls)) {
            return NULL;
        }
        event = (Event){(Node *)Py_NewRef(node), started_ns, duration_ns, outcome, calls};
        if (i < self->count) {
            Node *before = self->events[i].node;
            self->events[i] = event;
            Py_DECREF(before);
        }
        else {
            self->events[i] = event;
            self->count = i + 1;
        }
    }
    while (self->count > count) {
        Py_DECREF(self->events[--self->count].node);
    }
    Py_RETURN_NONE;
}

/* What is gone, for the next ones of its type: memory that was in use a moment ago is still near. */
typedef struct {
    PyObject *ones[MOST_SPARE];
    int count;
} Gone;

/* Return an object of a type that the garbage collector follows, with nothing in it. */
static PyObject *
renewed(Gone *gone, PyTypeObject *type)
{
    if (!gone->count) {
        return type->tp_alloc(type, 0);
    }
    PyObject *self = PyObject_Init(gone->ones[--gone->count], type);
    PyObject_GC_Track(self);
    return self;
}

/* Take the memory of an object that the garbage collector does not follow any more, and in which there is nothing; the reference
 * to its type stays the caller's. */
static inline void
let_go(Gone *gone, PyObject *self)
{
    if (LIKELY(gone->count < MOST_SPARE)) {
        gone->ones[gone->count++] = self;
    }
    else {
        Py_TYPE(self)->tp_free(self);
    }
}

static Gone gone_members, gone_transactions, gone_coroutines, gone_tellings, gone_handed;

/* Traces keep their room. */
static Trace *gone_traces[MOST_GONE];
static int gone_traces_count;

static HOT void
trace_dealloc(Trace *self)
{
    PyTypeObject *type = Py_TYPE(self);
    forget_events(self);
    if (gone_traces_count < MOST_GONE && self->room <= MOST_ROOM_KEPT) {
        gone_traces[gone_traces_count++] = self;
    }
    else {
        PyMem_Free(self->events);
        type->tp_free(self);
    }
    Py_DECREF(type);
}

static PyObject *
new_trace(void)
{
    return gone_traces_count ? PyObject_Init((PyObject *)gone_traces[--gone_traces_count], TraceType)
                             : TraceType->tp_alloc(TraceType, 0);
}

static PyMethodDef trace_methods[] = {
    {"add", (PyCFunction)trace_add_for_python, METH_VARARGS, "Note a completed call."},
    {"take_last", (PyCFunction)trace_take_last, METH_NOARGS, "Remove and return the call that ended last."},
    {"events", (PyCFunction)trace_events, METH_NOARGS, "Return the calls by their ends."},
    {"replace", (PyCFunction)trace_replace, METH_O, "Put other calls in the place of those that are known."},
    {NULL, NULL, 0, NULL},
};

/* Offsets in a record of calls per transaction, as in core.layout. */
enum { PER_TRANSACTIONS = 1, PER_MOST, PER_REPEATED, PER_REPEATED_CALLS, PER_REPEATED_NS, PER_MOST_REPEATED };

static inline void
raise_to(uint64_t *word, uint64_t value)
{
    if (*word < value) {
        *word = value;
    }
}

/* Count a node's calls in a transaction. */
static inline void
settle_node(uint64_t *words, Node *node)
{
    if (node->whole && node->per) {
        words[node->per + PER_TRANSACTIONS]++;
        raise_to(&words[node->per + PER_MOST], node->whole);
    }
    node->whole = 0;
}

/* Write down how often each node was called in one transaction, whose lanes these are. First all that calls Python; what comes
 * then, with its sums in the nodes, nobody can interrupt. -1 with an error. */
static HOT int
settle(Trace *const *traces, Py_ssize_t lanes)
{
    for (Py_ssize_t k = 0; k < lanes; k++) {
        for (Py_ssize_t i = 0; i < traces[k]->count; i++) {
            Node *node = traces[k]->events[i].node;
            if (!node->per && node->number) {
                Py_INCREF(node);
                PyObject *answer = PyObject_CallMethodOneArg(state.steps, name_new_per, (PyObject *)node);
                Py_DECREF(node);
                if (!answer) {
                    return -1;
                }
                Py_DECREF(answer);
            }
        }
    }
    uint64_t *words = state.words;
    for (Py_ssize_t k = 0; k < lanes; k++) {
        Event *events = traces[k]->events, *end = events + traces[k]->count;
        for (Event *each = events; each < end; each++) {
            each->node->tally += each->calls;
            each->node->tally_ns += each->duration_ns;
        }
        for (Event *each = events; each < end; each++) {
            Node *node = each->node;
            if (!node->tally) {
                continue; /* seen in this lane */
            }
            if (node->tally >= REPEATED && node->per) {
                words[node->per + PER_REPEATED]++;
                words[node->per + PER_REPEATED_CALLS] += node->tally;
                words[node->per + PER_REPEATED_NS] += node->tally_ns;
                raise_to(&words[node->per + PER_MOST_REPEATED], node->tally);
            }
            node->whole += node->tally;
            node->tally = node->tally_ns = 0;
            if (lanes == 1) {
                settle_node(words, node);
            }
        }
    }
    for (Py_ssize_t k = 0; k < lanes && lanes > 1; k++) {
        for (Py_ssize_t i = 0; i < traces[k]->count; i++) {
            settle_node(words, traces[k]->events[i].node);
        }
    }
    return 0;
}

/* Do the same with a list, which may change meanwhile. */
static int
settle_list(PyObject *list)
{
    PyObject *traces = PyList_Check(list) ? PyList_AsTuple(list) : NULL;
    Py_ssize_t lanes = traces ? PyTuple_GET_SIZE(traces) : 0;
    int is_sound = traces != NULL;
    for (Py_ssize_t k = 0; is_sound && k < lanes; k++) {
        is_sound = Py_IS_TYPE(PyTuple_GET_ITEM(traces, k), TraceType);
    }
    if (!is_sound && !PyErr_Occurred()) {
        PyErr_SetString(PyExc_TypeError, "a list of traces");
    }
    int answer = is_sound ? settle((Trace *const *)PySequence_Fast_ITEMS(traces), lanes) : -1;
    Py_XDECREF(traces);
    return answer;
}

static PyObject *
settle_for_python(PyObject *Py_UNUSED(module), PyObject *list)
{
    if (settle_list(list) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

/* ---- lanes ---- */

/* Forget which nodes have moved. Their memory stays for the next transaction. */
static HOT void
forget_moves(Lane *self)
{
    int moves = self->moves;
    self->moves = 0; /* first: what goes may call us */
    self->moved_depth = -1;
    for (int i = 0; i < moves; i++) {
        Py_DECREF(self->moved[i].from);
        Py_DECREF(self->moved[i].to);
    }
}

static inline Move *
move_of(Lane *self, Node *from)
{
    for (int i = 0; i < self->moves; i++) {
        if (self->moved[i].from == from) {
            return &self->moved[i];
        }
    }
    return NULL;
}

/* Let a node stand for another one. -1 with an error. */
static HOT int
move(Lane *self, Node *from, Node *to)
{
    Move *known = move_of(self, from);
    if (known) {
        Py_SETREF(known->to, (Node *)Py_NewRef(to));
        return 0;
    }
    if (self->moves == self->moves_room) {
        int room = self->moves_room ? 2 * self->moves_room : 4;
        Move *moved = PyMem_Realloc(self->moved, (size_t)room * sizeof *moved);
        if (!moved) {
            PyErr_NoMemory();
            return -1;
        }
        self->moved = moved;
        self->moves_room = room;
    }
    self->moved[self->moves++] = (Move){(Node *)Py_NewRef(from), (Node *)Py_NewRef(to)};
    if (self->moved_depth < from->depth) {
        self->moved_depth = from->depth;
    }
    return 0;
}

static int
lane_init(Lane *self, PyObject *args, PyObject *kwargs)
{
    Py_ssize_t base;
    PyObject *task, *node;
    if (kwargs && PyDict_GET_SIZE(kwargs)) {
        PyErr_SetString(PyExc_TypeError, "Lane takes no keyword arguments");
        return -1;
    }
    if (!PyArg_ParseTuple(args, "nOO!", &base, &task, NodeType, &node)) {
        return -1;
    }
    self->base = base;
    self->moved_depth = -1;
    Py_XSETREF(self->task, Py_NewRef(task));
    Py_XSETREF(self->node, (Node *)Py_NewRef(node));
    return 0;
}

static int
lane_traverse(Lane *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->node);
    Py_VISIT(self->task);
    for (int i = 0; i < self->moves; i++) {
        Py_VISIT(self->moved[i].from);
        Py_VISIT(self->moved[i].to);
    }
    return 0;
}

static void
lane_dealloc(Lane *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    Py_CLEAR(self->node);
    Py_CLEAR(self->task);
    Py_CLEAR(self->trace);
    forget_moves(self);
    PyMem_Free(self->moved);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *
lane_get_node(Lane *self, void *Py_UNUSED(closure))
{
    return Py_NewRef(self->node ? (PyObject *)self->node : Py_None);
}

static int
lane_set_node(Lane *self, PyObject *value, void *Py_UNUSED(closure))
{
    if (!value || !Py_IS_TYPE(value, NodeType)) {
        PyErr_SetString(PyExc_TypeError, "a lane's node is a Node");
        return -1;
    }
    Py_XSETREF(self->node, (Node *)Py_NewRef(value));
    return 0;
}

static PyObject *
lane_get_trace(Lane *self, void *Py_UNUSED(closure))
{
    return Py_NewRef(self->trace ? (PyObject *)self->trace : Py_None);
}

static int
lane_set_trace(Lane *self, PyObject *value, void *Py_UNUSED(closure))
{
    if (!value || (value != Py_None && !Py_IS_TYPE(value, TraceType))) {
        PyErr_SetString(PyExc_TypeError, "a lane's trace is a Trace or None");
        return -1;
    }
    Py_XSETREF(self->trace, value == Py_None ? NULL : (Trace *)Py_NewRef(value));
    return 0;
}

static PyObject *
lane_get_moved(Lane *self, void *Py_UNUSED(closure))
{
    if (!self->moves) {
        Py_RETURN_NONE;
    }
    PyObject *answer = PyDict_New();
    for (int i = 0; answer && i < self->moves; i++) {
        if (PyDict_SetItem(answer, (PyObject *)self->moved[i].from, (PyObject *)self->moved[i].to) < 0) {
            Py_CLEAR(answer);
        }
    }
    return answer;
}

static int
lane_set_moved(Lane *self, PyObject *value, void *Py_UNUSED(closure))
{
    if (!value || (value != Py_None && !PyDict_Check(value))) {
        PyErr_SetString(PyExc_TypeError, "what moved is a dict or None");
        return -1;
    }
    forget_moves(self);
    PyObject *from, *to;
    Py_ssize_t at = 0;
    while (value != Py_None && PyDict_Next(value, &at, &from, &to)) {
        if (Py_IS_TYPE(from, NodeType) && Py_IS_TYPE(to, NodeType) && move(self, (Node *)from, (Node *)to) < 0) {
            return -1;
        }
    }
    return 0;
}

static PyGetSetDef lane_getset[] = {
    {"trace", (getter)lane_get_trace, (setter)lane_set_trace, NULL, NULL},
    {"moved", (getter)lane_get_moved, (setter)lane_set_moved, NULL, NULL},
    {"node", (getter)lane_get_node, (setter)lane_set_node, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef lane_members[] = {
    {"base", Py_T_PYSSIZET, offsetof(Lane, base), 0, NULL},
    {"task", Py_T_OBJECT_EX, offsetof(Lane, task), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

/* Return the running lane, borrowed, or NULL without an error when there is none yet. */
static inline Lane *
present_lane(void)
{
    if (!state.getcurrent) {
        return thread_epoch == state.epoch ? thread_lane : NULL;
    }
    PyObject *greenlet = PyObject_CallNoArgs(state.getcurrent);
    PyObject *key = greenlet ? PyLong_FromVoidPtr(greenlet) : NULL;
    PyObject *lane = key ? PyDict_GetItemWithError(state.greenlet_lanes, key) : NULL;
    Py_XDECREF(key);
    Py_XDECREF(greenlet);
    if (!lane) {
        PyErr_Clear();
        return NULL;
    }
    return (Lane *)lane;
}

/* The same with an error set, which stays set. */
static Lane *
present_lane_aside(void)
{
    Raised raised;
    put_aside(&raised);
    Lane *lane = present_lane();
    put_back(&raised);
    return lane;
}

/* What the rare functions of `recorder` and `steps` raise is never ours, they are shielded: it comes from a signal handler of
 * the program, or is a KeyboardInterrupt, and must reach the program. Ours they answer with None. */

static void run_lane(Lane *lane);

/* Threads that have ended, of which the system tells without the GIL: the next one that needs a lane takes them off. */
typedef struct Ended {
    struct Ended *next;
    Lane *lane;
    Lane *running; /* the same, but for a thread that ended in the middle of something */
    unsigned epoch;
} Ended;
static Ended *ended_threads;
static pthread_key_t thread_key;

static void
thread_ended(void *value)
{
    Ended *ended = value;
    ended->running = thread_epoch == ended->epoch ? thread_lane : NULL;
    ended->next = __atomic_load_n(&ended_threads, __ATOMIC_RELAXED);
    while (!__atomic_compare_exchange_n(&ended_threads, &ended->next, ended, 0, __ATOMIC_RELEASE, __ATOMIC_RELAXED)) {
    }
}

/* Have the lane of this thread back when it ends. Without memory for that, it stays. */
static void
note_end_of_thread(Lane *lane)
{
    Ended *ended = pthread_getspecific(thread_key);
    if (!ended) { /* else it is that of a parent process */
        ended = calloc(1, sizeof *ended);
    }
    if (ended) {
        ended->epoch = state.epoch;
        ended->lane = (Lane *)Py_NewRef((PyObject *)lane);
        (void)pthread_setspecific(thread_key, ended);
    }
}

/* Take the lanes of threads that have ended. */
static void
take_ended_threads(void)
{
    Ended *ended = __atomic_exchange_n(&ended_threads, NULL, __ATOMIC_ACQUIRE);
    while (ended) {
        Ended *next = ended->next;
        Lane *lane = ended->lane;
        if (ended->epoch == state.epoch && state.thread_spares < MOST_SPARE && lane->base != state.scratch_lane) {
            Py_XSETREF(lane->node, (Node *)Py_NewRef(state.root));
            Py_CLEAR(lane->trace);
            forget_moves(lane);
            state.spare_of_thread[state.thread_spares++] = lane;
        }
        else {
            if (ended->epoch == state.epoch) {
                PyObject *answer = PyObject_CallMethodOneArg(state.recorder, name_free_lane, (PyObject *)lane);
                Py_XDECREF(answer);
            }
            Py_DECREF(lane);
        }
        Py_XDECREF((PyObject *)ended->running);
        free(ended);
        ended = next;
    }
}

/* Return the running lane, a new reference, making one when needed; NULL when there is none, perhaps with an error. */
static Lane *
running_lane(void)
{
    Lane *lane = present_lane();
    if (lane) {
        return (Lane *)Py_NewRef(lane);
    }
    if (!state.getcurrent) {
        if (ended_threads) {
            take_ended_threads();
        }
        if (PyErr_Occurred()) {
            return NULL;
        }
        if (state.thread_spares) {
            lane = state.spare_of_thread[--state.thread_spares];
            state.words[lane->base - 3] = PyThread_get_thread_ident(); /* layout.LANE_IDENT - layout.LANE_FIRST */
            run_lane(lane);
            note_end_of_thread(lane);
            return lane;
        }
    }
    PyObject *made = PyObject_CallMethodNoArgs(state.recorder, name_enter_thread);
    if (made && !Py_IS_TYPE(made, LaneType)) {
        Py_CLEAR(made);
    }
    return (Lane *)made;
}

/* Make a lane the running one. An error that is set stays set, ours never is. */
static HOT void
run_lane(Lane *lane)
{
    if (!state.getcurrent) {
        Lane *before = thread_epoch == state.epoch ? thread_lane : NULL;
        thread_lane = (Lane *)Py_XNewRef((PyObject *)lane);
        thread_epoch = state.epoch;
        Py_XDECREF(before);
        return;
    }
    Raised raised;
    put_aside(&raised);
    PyObject *greenlet = PyObject_CallNoArgs(state.getcurrent);
    PyObject *key = greenlet ? PyLong_FromVoidPtr(greenlet) : NULL;
    if (key && lane) {
        (void)PyDict_SetItem(state.greenlet_lanes, key, (PyObject *)lane);
    }
    Py_XDECREF(key);
    Py_XDECREF(greenlet);
    PyErr_Clear();
    put_back(&raised);
}

typedef struct {
    PyObject_HEAD
} Here;

static PyObject *
here_get_lane(PyObject *Py_UNUSED(self), void *Py_UNUSED(closure))
{
    Lane *lane = present_lane();
    if (!lane) {
        PyErr_SetString(PyExc_AttributeError, "lane");
        return NULL;
    }
    return Py_NewRef(lane);
}

static int
here_set_lane(PyObject *Py_UNUSED(self), PyObject *value, void *Py_UNUSED(closure))
{
    if (!value || !Py_IS_TYPE(value, LaneType)) {
        PyErr_SetString(PyExc_TypeError, "a lane is a Lane");
        return -1;
    }
    run_lane((Lane *)value);
    return 0;
}

static PyGetSetDef here_getset[] = {
    {"lane", here_get_lane, here_set_lane, "The Lane of the running thread; AttributeError until the first span.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static void
plain_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    type->tp_free(self);
    Py_DECREF(type);
}

/* ---- counting ---- */

/* Return the index of a bucket whose octave the node does not have yet. An error that is set stays; another may be set. */
static RARE Py_ssize_t
missing_bucket(Node *node, uint64_t duration_ns)
{
    Raised raised;
    put_aside(&raised);
    Py_ssize_t at = 0;
    unsigned epoch = state.epoch;
    PyObject *duration = PyLong_FromUnsignedLongLong(duration_ns);
    PyObject *answer =
        duration ? PyObject_CallMethodObjArgs(state.recorder, name_new_bucket, (PyObject *)node, duration, NULL) : NULL;
    if (answer) {
        at = PyLong_AsSsize_t(answer);
    }
    Py_XDECREF(answer);
    Py_XDECREF(duration);
    put_back_unless_new(&raised);
    /* when a signal handler has forked in between, the place is one in the parent's shard */
    return at > 0 && epoch == state.epoch ? at : node->total + UNTIMED;
}

/* Have a look at what the node's target costs. An error that is set stays; another may be set. */
static RARE void
look(Node *node)
{
    Raised raised;
    put_aside(&raised);
    PyObject *answer = PyObject_CallMethodOneArg(state.recorder, name_look, (PyObject *)node);
    Py_XDECREF(answer);
    put_back_unless_new(&raised);
}

/* Count a completed call; its time is charged separately. An error that is set stays set. Say whether another may be set now. */
static inline int
finish(Node *node, uint64_t duration_ns)
{
    int bucket = bucket_of(duration_ns);
    int32_t octave = bucket / SUB_BUCKETS;
    int32_t first = node->octave[octave];
    Py_ssize_t at = LIKELY(first) ? first + bucket % SUB_BUCKETS : missing_bucket(node, duration_ns);
    uint64_t *words = state.words; /* only now: a fork may lie in between */
    Py_ssize_t total = node->total;
    uint64_t count = ++words[at];
    if (duration_ns < node->min_ns) {
        node->min_ns = words[total + MIN] = duration_ns;
    }
    if (duration_ns > node->max_ns || !node->max_ns) {
        node->max_ns = words[total + MAX] = duration_ns;
    }
    if (LIKELY(first && count % CALLS_A_LOOK)) {
        return 0;
    }
    if (count % CALLS_A_LOOK == 0) {
        look(node);
    }
    return 1;
}

/* Count how a call ended that raised, and return it. */
static RARE int
count_raised(Node *node)
{
    if (PyErr_ExceptionMatches(PyExc_StopIteration) || PyErr_ExceptionMatches(PyExc_StopAsyncIteration)) {
        return RETURNED;
    }
    int outcome = PyErr_ExceptionMatches(PyExc_Exception) ? RAISED : INTERRUPTED_CALL;
    state.words[node->total + (outcome == RAISED ? ERRORS : INTERRUPTED)]++;
    return outcome;
}

/* Let one completed call of a node be another's: (node, other, nanoseconds, outcome). */
static PyObject *
give(PyObject *Py_UNUSED(module), PyObject *args)
{
    static const struct { int flag, offset; } endings[] = {
        {RAISED, ERRORS}, {INTERRUPTED_CALL, INTERRUPTED}, {UNTIMED_CALL, UNTIMED}};
    Node *node, *other;
    unsigned long long duration_ns;
    int outcome;
    if (!PyArg_ParseTuple(args, "O!O!Ki", NodeType, &node, NodeType, &other, &duration_ns, &outcome)) {
        return NULL;
    }
    uint64_t *words = state.words;
    for (size_t i = 0; i < Py_ARRAY_LENGTH(endings); i++) {
        if (outcome & endings[i].flag) {
            words[node->total + endings[i].offset]--;
            words[other->total + endings[i].offset]++;
        }
    }
    if (!(outcome & UNTIMED_CALL)) {
        int bucket = bucket_of(duration_ns);
        Py_ssize_t first = node->octave[bucket / SUB_BUCKETS];
        words[first ? first + bucket % SUB_BUCKETS : node->total + UNTIMED]--;
        words[node->total] -= duration_ns;
        words[other->total] += duration_ns;
        finish(other, duration_ns);
    }
    if (PyErr_Occurred()) {
        return NULL;
    }
    Py_RETURN_NONE;
}

/* ---- transactions: what is rare of them is in transactions.py ---- */

/* Contexts, as far as we read them. What one holds is a tree that never changes: to take back what we set, the tree of before is
 * put back in its place where all else is as it was, a tenth of what it costs to set the variable once more. As with frames: within
 * a minor version they stay as they are, `check_contexts` makes sure of it once, and later versions set the variable. Source:
 * Include/internal/pycore_context.h and pycore_hamt.h of CPython 3.11, 3.12 and 3.13. */
#if PY_VERSION_HEX < 0x030E0000
#define HAS_CONTEXTS
typedef struct {
    PyObject_HEAD
    void *previous;
    PyObject *vars;
    PyObject *weakrefs;
    int entered;
} Context;

typedef struct {
    PyObject_HEAD
    PyObject *name;
    PyObject *initial;
    PyObject *cached; /* borrowed from the tree */
    uint64_t cached_by, cached_at;
    Py_hash_t hash;
} Variable;

typedef struct {
    PyObject_HEAD
    PyObject *root;
    PyObject *weakrefs;
    Py_ssize_t count;
} Tree;

typedef struct { /* of a few variables; there are other kinds for many */
    PyObject_VAR_HEAD
    uint32_t bitmap;
    PyObject *pairs[1]; /* variable and value; NULL and a branch */
} Branch;

static int reads_contexts;
static PyTypeObject *branch_type;

/* Say whether two branches surely hold the same. */
static HOT int
is_same_branch(PyObject *one, PyObject *other, int depth)
{
    if (one == other) {
        return 1;
    }
    Branch *a = (Branch *)one, *b = (Branch *)other;
    int are_branches = depth && Py_TYPE(one) == branch_type && Py_TYPE(other) == branch_type;
    if (!are_branches || Py_SIZE(one) != Py_SIZE(other) || a->bitmap != b->bitmap) {
        return 0;
    }
    for (Py_ssize_t i = 0; i + 1 < Py_SIZE(one); i += 2) {
        if (a->pairs[i] != b->pairs[i]) {
            return 0;
        }
        if (a->pairs[i + 1] != b->pairs[i + 1] && (a->pairs[i] || !is_same_branch(a->pairs[i + 1], b->pairs[i + 1], depth - 1))) {
            return 0;
        }
    }
    return 1;
}

/* Say whether two trees surely hold the same, as after a variable that was set is reset. */
static int
is_same_tree(PyObject *one, PyObject *other)
{
    return one == other || (branch_type && ((Tree *)one)->count == ((Tree *)other)->count &&
                            is_same_branch(((Tree *)one)->root, ((Tree *)other)->root, 4));
}

/* Say whether trees are what we take them for: one in which a variable was set and reset is as before, one with another value not. */
static int
check_trees(Context *present)
{
    PyObject *some = PyContextVar_New("hookmon", NULL);
    PyObject *before = Py_NewRef(present->vars);
    PyTypeObject *type = Py_TYPE(((Tree *)before)->root);
    int agree = some && Py_TYPE(before)->tp_basicsize == sizeof(Tree) && !strcmp(type->tp_name, "hamt_bitmap_node") &&
                type->tp_basicsize == offsetof(Branch, pairs) && type->tp_itemsize == sizeof(PyObject *);
    if (agree) {
        branch_type = type;
        PyObject *token = PyContextVar_Set(some, Py_None);
        agree = token && !is_same_tree(before, present->vars) && PyContextVar_Reset(some, token) == 0 &&
                present->vars != before && is_same_tree(before, present->vars);
        Py_XDECREF(token);
        token = agree ? PyContextVar_Set(state.members, Py_None) : NULL;
        agree = token && !is_same_tree(before, present->vars);
        Py_XDECREF(token);
    }
    Py_XDECREF(some);
    Py_DECREF(before);
    return agree;
}

/* Say whether contexts are what we take them for. */
static int
check_contexts(void)
{
    if (Py_TYPE(state.members)->tp_basicsize != sizeof(Variable) || PyContext_Type.tp_basicsize != sizeof(Context)) {
        return 0;
    }
    PyObject *context = PyContext_CopyCurrent();
    if (!context || PyContext_Enter(context) < 0) {
        Py_XDECREF(context);
        PyErr_Clear();
        return 0;
    }
    Context *present = (Context *)PyThreadState_Get()->context;
    PyObject *before = Py_NewRef(present->vars);
    PyObject *token = PyContextVar_Set(state.members, state.members);
    int agree = token && (PyObject *)present == context && present->vars != before && Py_IS_TYPE(present->vars, Py_TYPE(before)) &&
                !strcmp(Py_TYPE(before)->tp_name, "hamt") && ((Variable *)state.members)->cached == state.members &&
                ((Variable *)state.members)->cached_by == PyThreadState_Get()->id &&
                ((Variable *)state.members)->cached_at == PyThreadState_Get()->context_ver;
    branch_type = NULL;
    if (agree && !check_trees(present)) {
        branch_type = NULL;
    }
    if (agree) {
        Py_SETREF(present->vars, Py_NewRef(before));
        ((Variable *)state.members)->cached = NULL;
        PyObject *seen = NULL;
        agree = PyContextVar_Get(state.members, Py_None, &seen) == 0 && seen != state.members;
        Py_XDECREF(seen);
    }
    Py_XDECREF(token);
    Py_DECREF(before);
    (void)PyContext_Exit(context);
    Py_DECREF(context);
    PyErr_Clear();
    return agree;
}

static inline PyObject *
present_vars(void)
{
    Context *context = reads_contexts ? (Context *)PyThreadState_Get()->context : NULL;
    return context ? context->vars : NULL;
}
#endif

/* Return the membership that the context holds, a new reference, None where there is none. NULL with an error. */
static PyObject *
present_member(void)
{
#ifdef HAS_CONTEXTS
    PyObject *vars = present_vars();
    if (branch_type && vars && !((Tree *)vars)->count) {
        return Py_NewRef(Py_None);
    }
#endif
    PyObject *member = NULL;
    return PyContextVar_Get(state.members, Py_None, &member) < 0 ? NULL : member;
}

/* Say whether the context belongs to a transaction. */
static int
is_member(void)
{
    PyObject *member = present_member();
    if (!member) {
        PyErr_Clear();
        return 0;
    }
    Py_DECREF(member);
    return member != Py_None;
}

/* Put a lane that is at its root below the transaction that the context belongs to. NULL, perhaps with an error, where there is
 * none. */
static PyObject *
join(Lane *lane, PyObject *span)
{
    if (!is_member()) {
        return NULL;
    }
    PyObject *visit = PyObject_CallMethodObjArgs(state.steps, name_join, (PyObject *)lane, span, NULL);
    if (visit == Py_None) {
        Py_CLEAR(visit);
    }
    return visit;
}

static PyObject *
member_new(PyTypeObject *type, PyObject *args, PyObject *Py_UNUSED(kwargs))
{
    PyObject *transaction, *lane, *trace;
    if (!PyArg_ParseTuple(args, "OO!O", &transaction, LaneType, &lane, &trace)) {
        return NULL;
    }
    Member *self = (Member *)renewed(&gone_members, type);
    if (self) {
        self->transaction = Py_NewRef(transaction);
        self->lane = Py_NewRef(lane);
        self->task = Py_NewRef(((Lane *)lane)->task);
        self->trace = Py_NewRef(trace);
    }
    return (PyObject *)self;
}

static int
member_traverse(Member *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->transaction);
    Py_VISIT(self->lane);
    return 0;
}

static HOT void
member_dealloc(Member *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    Py_CLEAR(self->transaction);
    Py_CLEAR(self->lane);
    Py_CLEAR(self->task);
    Py_CLEAR(self->trace);
    self->beside = 0;
    let_go(&gone_members, (PyObject *)self);
    Py_DECREF(type);
}

static PyMemberDef member_members[] = {
    {"transaction", Py_T_OBJECT_EX, offsetof(Member, transaction), Py_READONLY, NULL},
    {"lane", Py_T_OBJECT_EX, offsetof(Member, lane), Py_READONLY, NULL},
    {"task", Py_T_OBJECT_EX, offsetof(Member, task), Py_READONLY, NULL},
    {"trace", Py_T_OBJECT_EX, offsetof(Member, trace), Py_READONLY, NULL},
    {"beside", Py_T_LONG, offsetof(Member, beside), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

#ifdef HAS_CONTEXTS
/* Trees that hold nothing but a membership that has ended, for contexts in which nothing else is set: most requests begin in such
 * a one, and to make a tree takes as long as all else of a transaction's beginning. */
static PyObject *spare_trees[MOST_GONE];
static int spare_trees_count;

/* Return where a tree has its membership, NULL where it has anything else, or where anybody but the caller has it. */
static inline PyObject **
membership_in(PyObject *tree)
{
    Branch *root = (Branch *)((Tree *)tree)->root;
    int is_ours = branch_type && ((Tree *)tree)->count == 1 && Py_REFCNT(tree) == 1 && Py_IS_TYPE(root, branch_type) &&
                  Py_REFCNT(root) == 1 && Py_SIZE(root) == 2 && root->pairs[0] == state.members;
    return is_ours ? &root->pairs[1] : NULL;
}

/* Give a thread its first context, with nothing in it: what is set in none cannot be taken back. -1 with an error. */
static RARE int
make_context(void)
{
    PyObject *token = PyContextVar_Set(state.members, Py_None);
    int is_done = token && PyContextVar_Reset(state.members, token) == 0;
    Py_XDECREF(token);
    return is_done ? 0 : -1;
}

/* Put a transaction's member into a context that holds nothing; say whether that was possible. */
static inline int
set_in_empty(Transaction *self, PyThreadState *thread)
{
    Context *context = (Context *)thread->context;
    if (!reads_contexts || !spare_trees_count || !context || ((Tree *)context->vars)->count) {
        return 0;
    }
    PyObject *tree = spare_trees[--spare_trees_count];
    PyObject **member = membership_in(tree);
    if (!LIKELY(member)) { /* somebody has got hold of it: gc.get_objects() returns them all */
        Py_DECREF(tree);
        return 0;
    }
    Py_SETREF(*member, Py_NewRef(self->member));
    self->vars_before = context->vars;
    self->vars_after = Py_NewRef(tree);
    self->context = context;
    context->vars = tree;
    Variable *variable = (Variable *)state.members;
    variable->cached = self->member;
    variable->cached_by = thread->id;
    variable->cached_at = thread->context_ver;
    return 1;
}

/* Keep a tree for the next one, where nobody else has it; the reference is taken. */
static inline void
keep_tree(PyObject *tree)
{
    PyObject **member = spare_trees_count < MOST_GONE ? membership_in(tree) : NULL;
    if (member) {
        Py_SETREF(*member, Py_NewRef(Py_None));
        spare_trees[spare_trees_count++] = tree;
    }
    else {
        Py_DECREF(tree);
    }
}
#endif

/* Have the caller belong to a transaction. -1 with an error. */
static HOT int
set_member(Transaction *self)
{
#ifdef HAS_CONTEXTS
    PyThreadState *thread = PyThreadState_Get();
    if (reads_contexts && !thread->context && make_context() < 0) {
        return -1;
    }
    if (LIKELY(set_in_empty(self, thread))) {
        return 0;
    }
    self->vars_before = Py_XNewRef(present_vars());
#endif
    PyObject *token = PyContextVar_Set(state.members, self->member);
    if (!token) {
        return -1;
    }
    Py_DECREF(token);
#ifdef HAS_CONTEXTS
    if (self->vars_before) {
        self->context = PyThreadState_Get()->context;
        self->vars_after = Py_NewRef(present_vars());
    }
#endif
    return 0;
}

/* Have it belong to what it belonged to before. -1 with an error. */
static HOT int
restore_member(Transaction *self)
{
#ifdef HAS_CONTEXTS
    Context *context = (Context *)PyThreadState_Get()->context;
    if (self->vars_after && context == self->context && is_same_tree(context->vars, self->vars_after)) {
        PyObject *left = context->vars;
        context->vars = self->vars_before;
        self->vars_before = NULL;
        ((Variable *)state.members)->cached = NULL;
        Py_DECREF(left);
        PyObject *tree = self->vars_after;
        self->vars_after = NULL;
        keep_tree(tree);
        return 0;
    }
    Py_CLEAR(self->vars_before); /* the program has set other variables; and the tree, its member and we would be a cycle */
    Py_CLEAR(self->vars_after);
#endif
    PyObject *member;
    if (PyContextVar_Get(state.members, Py_None, &member) < 0) {
        return -1;
    }
    if (member == self->member) {
        PyObject *token = PyContextVar_Set(state.members, self->before);
        Py_XDECREF(token);
    }
    Py_DECREF(member);
    return PyErr_Occurred() ? -1 : 0;
}

static HOT PyObject *
make_transaction(PyTypeObject *type, Lane *lane, Node *node)
{
    Transaction *self = (Transaction *)renewed(&gone_transactions, type);
    if (!self) {
        return NULL;
    }
    self->lane = (Lane *)Py_NewRef(lane);
    self->node = (Node *)Py_NewRef(node);
    self->epoch = (long)state.epoch;
    self->route = Py_NewRef(no_text);
    PyObject *trace = new_trace();
    self->own = (Trace *)trace;
    if (!trace) {
        Py_DECREF(self);
        return NULL;
    }
    Member *member = (Member *)renewed(&gone_members, MemberType);
    self->before = member ? present_member() : NULL;
    if (!self->before) {
        Py_XDECREF(member);
        Py_DECREF(self);
        return NULL;
    }
    member->transaction = Py_NewRef(self);
    member->lane = Py_NewRef(lane);
    member->task = Py_NewRef(lane->task);
    member->trace = Py_NewRef(trace);
    self->member = (PyObject *)member;
    return (PyObject *)self;
}

static PyObject *
transaction_new(PyTypeObject *type, PyObject *args, PyObject *Py_UNUSED(kwargs))
{
    PyObject *lane, *node;
    if (!PyArg_ParseTuple(args, "O!O!", LaneType, &lane, NodeType, &node)) {
        return NULL;
    }
    return make_transaction(type, (Lane *)lane, (Node *)node);
}

static int
transaction_traverse(Transaction *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->lane);
    Py_VISIT(self->node);
    Py_VISIT(self->traces);
    Py_VISIT(self->member);
    Py_VISIT(self->before);
    Py_VISIT(self->vars_before);
    Py_VISIT(self->vars_after);
    return 0;
}

static int
transaction_clear(Transaction *self)
{
    Py_CLEAR(self->member);
    Py_CLEAR(self->before);
    Py_CLEAR(self->vars_before);
    Py_CLEAR(self->vars_after);
    return 0;
}

static HOT void
transaction_dealloc(Transaction *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    transaction_clear(self);
    Py_CLEAR(self->lane);
    Py_CLEAR(self->node);
    Py_CLEAR(self->own);
    Py_CLEAR(self->traces);
    Py_CLEAR(self->route);
    self->context = NULL;
    self->epoch = self->status = 0;
    self->is_routed = self->failed = self->ended = 0;
    let_go(&gone_transactions, (PyObject *)self);
    Py_DECREF(type);
}

/* Write down what was counted. `last` is the entry's call; the calls without it are in one trace, or in a list of those of all
 * lanes. -1 with an error. */
static HOT int
settle_transaction(Transaction *self, Trace *own, PyObject *traces, const Event *last)
{
    Node *node = last->node;
    if ((self->status >= FAILED_FROM || self->failed) && (last->outcome & ~(uint32_t)UNTIMED_CALL) == RETURNED) {
        self->failed = 1;
        state.words[node->total + ERRORS]++;
    }
    if ((traces ? settle_list(traces) : settle(&own, 1)) < 0) {
        return -1;
    }
    if (last->outcome & UNTIMED_CALL || last->duration_ns <= node->floor_ns) {
        return 0;
    }
    PyObject *list = traces ? Py_NewRef(traces) : Py_BuildValue("[O]", (PyObject *)own);
    PyObject *answer = !list ? NULL
                             : PyObject_CallMethod(state.steps, "keep_if_slow", "OKKlO", (PyObject *)node,
                                                   (unsigned long long)last->started_ns, (unsigned long long)last->duration_ns,
                                                   self->status, list);
    Py_XDECREF(list);
    Py_XDECREF(answer);
    return answer ? 0 : -1;
}

/* Return the trace of the lane that a transaction began in, borrowed; NULL when its traces are taken. */
static inline Trace *
first_trace(Transaction *self)
{
    if (self->own) {
        return self->own;
    }
    return self->traces && PyList_GET_SIZE(self->traces) ? (Trace *)PyList_GET_ITEM(self->traces, 0) : NULL;
}

/* Take the entry's call out of the trace of its lane and settle the transaction, which has none from then on. Returns 0 where there
 * is nothing to settle, -1 with an error. */
static HOT int
settle_last(Transaction *self)
{
    Trace *first = first_trace(self);
    Trace *own = self->own;
    PyObject *traces = self->traces;
    self->own = NULL;
    self->traces = NULL;
    int answer = 0;
    if (self->epoch == (long)state.epoch && first && first->count) {
        Event last = first->events[--first->count];
        answer = last.node == self->node ? settle_transaction(self, own, traces, &last) : 0;
        Py_DECREF(last.node);
    }
    Py_XDECREF((PyObject *)own);
    Py_XDECREF(traces);
    return answer;
}

/* Return the list of traces, borrowed. */
static PyObject *
traces_of(Transaction *self)
{
    if (!self->traces) {
        self->traces = self->own ? Py_BuildValue("[N]", (PyObject *)self->own) : PyList_New(0);
        self->own = NULL;
    }
    return self->traces;
}

/* The entry's call has ended, and is the last in its trace. */
static HOT PyObject *
transaction_close(Transaction *self, PyObject *Py_UNUSED(ignored))
{
    self->ended = 1;
    Py_CLEAR(self->lane->trace);
    forget_moves(self->lane);
    if (restore_member(self) < 0) {
        return NULL;
    }
    Py_CLEAR(self->member);
    if (settle_last(self) < 0 || PyErr_Occurred()) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *
transaction_settle(Transaction *self, PyObject *args)
{
    PyObject *traces;
    Node *node;
    unsigned long long started_ns, duration_ns;
    unsigned outcome, calls;
    if (!PyArg_ParseTuple(args, "O!(O!KKII)", &PyList_Type, &traces, NodeType, &node, &started_ns, &duration_ns, &outcome, &calls)) {
        return NULL;
    }
    Event last = {node, started_ns, duration_ns, outcome, calls};
    if (settle_transaction(self, NULL, traces, &last) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *
transaction_new_trace(Transaction *self, PyObject *Py_UNUSED(ignored))
{
    PyObject *traces = traces_of(self);
    if (!traces) {
        return NULL;
    }
    if (PyList_GET_SIZE(traces) >= MOST_TRACES) {
        Py_RETURN_NONE;
    }
    PyObject *trace = new_trace();
    if (!trace || PyList_Append(traces, trace) < 0) {
        Py_XDECREF(trace);
        return NULL;
    }
    return trace;
}

static PyMethodDef transaction_methods[] = {
    {"close", (PyCFunction)transaction_close, METH_NOARGS, "Settle what was counted: the entry's call has ended."},
    {"settle", (PyCFunction)transaction_settle, METH_VARARGS, "Write down what was counted: (traces, the entry's call)."},
    {"new_trace", (PyCFunction)transaction_new_trace, METH_NOARGS, "Return a trace of its own for what runs beside the others."},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef transaction_members[] = {
    {"lane", Py_T_OBJECT_EX, offsetof(Transaction, lane), Py_READONLY, NULL},
    {"route", Py_T_OBJECT_EX, offsetof(Transaction, route), 0, NULL},
    {"is_routed", Py_T_BOOL, offsetof(Transaction, is_routed), 0, NULL},
    {"failed", Py_T_BOOL, offsetof(Transaction, failed), 0, NULL},
    {"member", Py_T_OBJECT_EX, offsetof(Transaction, member), Py_READONLY, NULL},
    {"epoch", Py_T_LONG, offsetof(Transaction, epoch), Py_READONLY, NULL},
    {"status", Py_T_LONG, offsetof(Transaction, status), 0, NULL},
    {"ended", Py_T_BOOL, offsetof(Transaction, ended), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyObject *
transaction_get_node(Transaction *self, void *Py_UNUSED(closure))
{
    return Py_NewRef(self->node);
}

static int
transaction_set_node(Transaction *self, PyObject *value, void *Py_UNUSED(closure))
{
    if (!value || !Py_IS_TYPE(value, NodeType)) {
        PyErr_SetString(PyExc_TypeError, "a transaction's node is a Node");
        return -1;
    }
    Py_XSETREF(self->node, (Node *)Py_NewRef(value));
    return 0;
}

static PyObject *
transaction_get_traces(Transaction *self, void *Py_UNUSED(closure))
{
    return Py_XNewRef(traces_of(self));
}

static int
transaction_set_traces(Transaction *self, PyObject *value, void *Py_UNUSED(closure))
{
    if (!value || !PyList_CheckExact(value)) {
        PyErr_SetString(PyExc_TypeError, "a transaction's traces are a list");
        return -1;
    }
    Py_CLEAR(self->own);
    Py_XSETREF(self->traces, Py_NewRef(value));
    return 0;
}

static PyGetSetDef transaction_getset[] = {
    {"node", (getter)transaction_get_node, (setter)transaction_set_node, NULL, NULL},
    {"traces", (getter)transaction_get_traces, (setter)transaction_set_traces, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

/* Return the open transaction that the caller belongs to, a new reference; NULL, perhaps with an error, when there is none. */
static HOT Transaction *
open_transaction(void)
{
    PyObject *member;
    if (PyContextVar_Get(state.members, Py_None, &member) < 0) {
        return NULL;
    }
    Transaction *transaction = NULL;
    if (Py_IS_TYPE(member, MemberType)) {
        transaction = (Transaction *)Py_NewRef(((Member *)member)->transaction);
        if (transaction->ended || transaction->epoch != (long)state.epoch) {
            Py_CLEAR(transaction);
        }
    }
    Py_DECREF(member);
    return transaction;
}

/* ---- the end of a response: as in response.py ---- */

/* Say whether a node is that of a call that is open: between the innermost one and the entry's. */
static int
is_open(Node *innermost, Node *entry, Node *node)
{
    for (Node *each = innermost;; each = (Node *)each->parent) {
        if (each == node || each == entry) {
            return each == node;
        }
    }
}

/* Lead the calls that are open now, and what leads to them already, to the tail. -1 with an error. */
static int
move_to_tail(Lane *lane, Node *entry, Node *tail)
{
    for (int i = 0; i < lane->moves; i++) {
        if (is_open(lane->node, entry, lane->moved[i].to)) {
            Py_SETREF(lane->moved[i].to, (Node *)Py_NewRef(tail));
        }
    }
    for (Node *each = lane->node;; each = (Node *)each->parent) {
        if (move(lane, each, tail) < 0) {
            return -1;
        }
        if (each == entry) {
            return 0;
        }
    }
}

/* Count a call that is open as if it ended now. */
static HOT void
count_open(Lane *lane, Trace *trace, Node *node, uint64_t ended_ns)
{
    Py_ssize_t slot = lane->base + node->slot;
    uint64_t started_ns = state.words[slot] == node->number ? state.words[slot + 1] : 0; /* else it is only counted */
    uint64_t duration_ns = started_ns && ended_ns > started_ns ? ended_ns - started_ns : 0;
    state.words[slot] = 0;
    if (started_ns) {
        state.words[node->total] += duration_ns;
        finish(node, duration_ns);
    }
    else {
        state.words[node->total + UNTIMED]++;
    }
    trace_add(trace, node, started_ns, duration_ns, started_ns ? RETURNED : UNTIMED_CALL);
}

/* Settle a transaction: its response has ended for the client. */
static HOT void
finish_response(Transaction *self)
{
    Lane *lane = self->lane;
    Node *entry = self->node;
    Node *innermost = lane->node;
    if (self->ended || self->epoch != (long)state.epoch || lane->base == state.scratch_lane) {
        return;
    }
    for (Node *each = innermost; each != entry; each = (Node *)each->parent) {
        if ((PyObject *)each == state.root || !Py_IS_TYPE(each->parent, NodeType)) {
            return; /* the entry is not open there */
        }
    }
    if (!entry->tail) {
        entry->tail = PyObject_CallMethodOneArg(state.steps, name_tail, (PyObject *)entry);
    }
    if (!entry->tail || !Py_IS_TYPE(entry->tail, NodeType)) {
        Py_CLEAR(entry->tail);
        return;
    }
    Node *tail = (Node *)entry->tail;
    Trace *own = first_trace(self);
    if (!own || move_to_tail(lane, entry, tail) < 0) {
        return;
    }
    self->ended = 1;
    Py_CLEAR(lane->trace);
    lane->node = (Node *)Py_NewRef(tail); /* the reference to the innermost node is ours now, and it has one to each above */
    Py_INCREF(entry);
    Py_INCREF(own); /* what is counted may call Python, which may ask for the list of traces */
    uint64_t ended_ns = now_ns();
    for (Node *each = innermost;; each = (Node *)each->parent) {
        int is_last = each == entry || !Py_IS_TYPE(each->parent, NodeType); /* a fork in between has retired them */
        count_open(lane, own, each, ended_ns);
        if (is_last) {
            break;
        }
    }
    (void)settle_last(self);
    Py_DECREF(own);
    Py_DECREF(entry);
    Py_DECREF(innermost);
}

static PyObject *
finish_response_for_python(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *transaction = Py_None;
    if (!PyArg_ParseTuple(args, "|O", &transaction)) {
        return NULL;
    }
    Transaction *open = transaction == Py_None ? open_transaction() : (Transaction *)Py_NewRef(transaction);
    if (open && Py_IS_TYPE((PyObject *)open, TransactionType)) {
        finish_response(open);
    }
    Py_XDECREF(open);
    if (PyErr_Occurred()) {
        return NULL;
    }
    Py_RETURN_NONE;
}

/* The caller's request has raised: an error, also when its response has ended; counted once. */
static void
fail(Transaction *self)
{
    if (!self->failed && self->epoch == (long)state.epoch) {
        self->failed = 1;
        if (self->ended) {
            state.words[self->node->total + ERRORS]++;
        }
    }
}

/* Open a transaction with its entry's node. NULL, perhaps with an error, where that failed. */
static HOT PyObject *
begin(Lane *lane, Node *node)
{
    if (!state.joining) {
        PyObject *done = PyObject_CallMethodNoArgs(state.recorder, name_join_from_now_on);
        if (!done) {
            return NULL;
        }
        Py_DECREF(done);
    }
    Transaction *opened = (Transaction *)make_transaction(TransactionType, lane, node);
    if (!opened || set_member(opened) < 0) {
        PyErr_Clear(); /* no memory: the call goes on without */
        Py_XDECREF(opened);
        return NULL;
    }
    Py_XSETREF(lane->trace, (Trace *)Py_NewRef((PyObject *)opened->own));
    forget_moves(lane);
    return (PyObject *)opened;
}

static HOT void
close_opened(PyObject *opened)
{
    Raised raised;
    put_aside(&raised);
    PyObject *answer = Py_IS_TYPE(opened, TransactionType) ? transaction_close((Transaction *)opened, NULL)
                                                           : PyObject_CallMethodNoArgs(opened, name_close);
    Py_XDECREF(answer);
    put_back_unless_new(&raised);
    Py_DECREF(opened);
}

/* Replace a node by the one that stands for it since its transaction got its name. The reference is ours. */
static RARE void
follow(Lane *lane, Node **node)
{
    Move *known = move_of(lane, *node);
    if (known) {
        Py_SETREF(*node, (Node *)Py_NewRef(known->to));
    }
}

/* Nodes that were found of late, by parent and span: one line of memory instead of the four of a dictionary. */
static struct {
    Node *parent;
    PyObject *span;
    Node *node;
    unsigned epoch;
} lately[MOST_LATELY];

static inline size_t
lately_at(Node *parent, PyObject *span)
{
    return ((uintptr_t)parent >> 6 ^ (uintptr_t)parent >> 14 ^ (uintptr_t)span >> 5) % MOST_LATELY;
}

static Node *look_up_node(Node *parent, PyObject *span);

/* End what was begun in a call that ends now, and has no end of its own: see stretches.py. An error that is set says how the call
 * has ended, and stays; another one may be set. */
static RARE void
end_left(Lane *lane, Node *node)
{
    PyObject *error = PyErr_Occurred();
    error = Py_NewRef(error ? error : Py_None);
    Raised raised;
    put_aside(&raised);
    PyObject *answer = PyObject_CallMethodObjArgs(state.steps, name_end_left, (PyObject *)lane, (PyObject *)node, error, NULL);
    Py_XDECREF(answer);
    Py_DECREF(error);
    put_back_unless_new(&raised);
}

/* Return a span's node under a parent, a new reference, if it was found of late; else NULL. */
static inline Node *
lately_found(Node *parent, PyObject *span)
{
    size_t at = lately_at(parent, span);
    int is_there = lately[at].parent == parent && lately[at].span == span && lately[at].epoch == state.epoch;
    return LIKELY(is_there) ? (Node *)Py_NewRef(lately[at].node) : NULL;
}

/* Find a span's node under a parent; NULL without an error: not recorded. With an error: it must reach the program. */
static HOT Node *
find_node(Node *parent, PyObject *span)
{
    Node *found = lately_found(parent, span);
    if (found) {
        return found;
    }
    size_t at = lately_at(parent, span);
    unsigned epoch = state.epoch;
    Node *node = look_up_node(parent, span);
    if (node && node->number && epoch == state.epoch) {
        lately[at].epoch = epoch;
        Py_XSETREF(lately[at].parent, (Node *)Py_NewRef(parent));
        Py_XSETREF(lately[at].span, Py_NewRef(span));
        Py_XSETREF(lately[at].node, (Node *)Py_NewRef(node));
    }
    return node;
}

static __attribute__((noinline)) Node *
look_up_node(Node *parent, PyObject *span)
{
    PyObject *found = PyDict_GetItemWithError(parent->children, span);
    if (found) {
        return found == Py_None ? NULL : (Node *)Py_NewRef(found);
    }
    if (PyErr_Occurred()) {
        return NULL;
    }
    if (parent->depth >= state.deepest) { /* each level takes C stack, which 3.11 does not guard: see recorder.new_node */
        PyErr_SetString(PyExc_RecursionError, "maximum recursion depth exceeded");
        return NULL;
    }
    found = PyObject_CallMethodObjArgs(state.recorder, name_new_node, (PyObject *)parent, span, NULL);
    if (!found) {
        if (PyErr_ExceptionMatches(PyExc_RecursionError)) {
            PyErr_Clear(); /* the stack has room for the program's call, but not for ours */
        }
        return NULL;
    }
    if (!Py_IS_TYPE(found, NodeType)) {
        Py_DECREF(found);
        return NULL;
    }
    return (Node *)found;
}

/* Call the watched function. */
static inline PyObject *
call(PyObject *function, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    if (LIKELY(PyFunction_Check(function))) { /* past PyObject_Vectorcall, which checks what a function of Python always keeps */
        return ((PyFunctionObject *)function)->vectorcall(function, args, nargsf, kwnames);
    }
    return PyObject_Vectorcall(function, args, nargsf, kwnames);
}

/* ---- names ---- */

static void
forget_known(Timed *self)
{
    Known *table = self->known;
    Py_ssize_t size = self->known_size;
    self->known = NULL; /* first: what goes may call us */
    self->known_size = self->known_used = 0;
    for (Py_ssize_t i = 0; i < size; i++) {
        Py_XDECREF(table[i].span);
    }
    PyMem_Free(table);
}

static PyObject *
known_span(Timed *self, Py_hash_t hash)
{
    if (!self->known_size) {
        return NULL;
    }
    size_t mask = (size_t)self->known_size - 1;
    for (size_t i = (size_t)hash & mask;; i = (i + 1) & mask) {
        if (!self->known[i].span) {
            return NULL;
        }
        if (self->known[i].hash == hash) {
            return self->known[i].span;
        }
    }
}

static void
remember_span(Timed *self, Py_hash_t hash, PyObject *span)
{
    if (2 * self->known_used >= self->known_size) {
        Py_ssize_t size = self->known_size ? self->known_size * 2 : 8;
        if (size > MOST_KNOWN) {
            forget_known(self);
            size = 8;
        }
        Known *table = PyMem_Calloc((size_t)size, sizeof *table);
        if (!table) {
            return;
        }
        size_t mask = (size_t)size - 1;
        for (Py_ssize_t i = 0; i < self->known_size; i++) {
            if (self->known[i].span) {
                size_t at = (size_t)self->known[i].hash & mask;
                while (table[at].span) {
                    at = (at + 1) & mask;
                }
                table[at] = self->known[i];
            }
        }
        PyMem_Free(self->known);
        self->known = table;
        self->known_size = size;
    }
    size_t mask = (size_t)self->known_size - 1;
    size_t at = (size_t)hash & mask;
    while (self->known[at].span) {
        at = (at + 1) & mask;
    }
    self->known[at].hash = hash;
    self->known[at].span = Py_NewRef(span);
    self->known_used++;
}

/* Say whether the calling line tells the spans of a call apart: of a client's calls, once there has been a transaction. To find the
 * line costs as much again as the call. */
static inline int
is_located(Timed *self)
{
    return self->sited && state.joining;
}

/* Return the span of a call, borrowed, where it is known; NULL without an error where it is to be found. */
static inline PyObject *
seen_span(Timed *self, PyObject *const *args, Py_ssize_t count)
{
    if (is_located(self)) {
        return NULL;
    }
    if (self->span || self->position < 0 || self->position >= count || !PyUnicode_CheckExact(args[self->position])) {
        return self->span;
    }
    Py_hash_t hash = ((PyASCIIObject *)args[self->position])->hash;
    return hash == -1 ? NULL : known_span(self, hash);
}

/* Files that code came from, by the address of their names, and whether they are the program's own. */
static struct {
    PyObject *name;
    int is_own;
} files[MOST_FILES];
static int known_files;

static HOT int
is_own(PyObject *filename)
{
    size_t at = ((size_t)filename >> 4) % MOST_FILES;
    for (; files[at].name; at = (at + 1) % MOST_FILES) {
        if (files[at].name == filename) {
            return files[at].is_own;
        }
    }
    PyObject *answer = PyObject_CallMethodOneArg(state.steps, name_is_own, filename);
    int own = answer ? answer == Py_True : 0;
    Py_XDECREF(answer);
    PyErr_Clear();
    if (known_files < MOST_FILES / 2) {
        at = ((size_t)filename >> 4) % MOST_FILES; /* again: Python has run */
        while (files[at].name && files[at].name != filename) {
            at = (at + 1) % MOST_FILES;
        }
        if (!files[at].name) {
            files[at].name = Py_NewRef(filename);
            files[at].is_own = own;
            known_files++;
        }
    }
    return own;
}

static inline uint64_t
mixed(uint64_t a, uint64_t b)
{
    a ^= b + 0x9E3779B97F4A7C15ull + (a << 6) + (a >> 2);
    return a * 0xFF51AFD7ED558CCDull ^ a >> 31;
}

/* The frames of the interpreter, as far as we read them: an object for each, as PyEval_GetFrame makes them, costs more than all
 * the rest of a call. They stay as they are within a minor version; `check_frames` makes sure of it once, and later versions use the
 * objects. Source: Include/internal/pycore_frame.h of CPython 3.11, 3.12 and 3.13. */
#if PY_VERSION_HEX < 0x030E0000
#define HAS_FRAMES
typedef struct Frame {
#if PY_VERSION_HEX < 0x030C0000
    void *function, *globals, *builtins, *locals;
    PyObject *code;
    void *object;
    struct Frame *previous;
    char *instruction;
#else
    PyObject *code;
    struct Frame *previous;
    void *function, *globals, *builtins, *locals, *object;
    char *instruction;
#endif
} Frame;
static int reads_frames;

static inline Frame *
running_frame(void)
{
#if PY_VERSION_HEX < 0x030D0000
    return (Frame *)PyThreadState_Get()->cframe->current_frame;
#else
    return (Frame *)PyThreadState_Get()->current_frame;
#endif
}

/* Say whether the running frames are what we take them for. */
static int
check_frames(void)
{
    PyFrameObject *frame = (PyFrameObject *)Py_XNewRef((PyObject *)PyEval_GetFrame());
    Frame *each = running_frame();
    int agree = frame != NULL;
    for (int depth = 0; frame && agree && depth < 3; depth++) {
        PyCodeObject *code = PyFrame_GetCode(frame);
        char *first = (char *)code->co_code_adaptive;
        for (int skipped = 0; each && each->code != (PyObject *)code && skipped < 3; skipped++) {
            each = each->previous; /* what stands between C and Python */
        }
        agree = each && each->code == (PyObject *)code && each->instruction >= first - 2 && each->instruction <= first + 2 * Py_SIZE(code);
        each = agree ? each->previous : NULL;
        Py_DECREF(code);
        PyFrameObject *back = PyFrame_GetBack(frame);
        Py_DECREF(frame);
        frame = back;
    }
    Py_XDECREF((PyObject *)frame);
    return agree;
}
#endif

/* Return the hash of a text, which it has once somebody has asked. */
static inline Py_hash_t
hash_of(PyObject *text)
{
    Py_hash_t hash = ((PyASCIIObject *)text)->hash;
    return LIKELY(hash != -1) ? hash : PyObject_Hash(text);
}

static inline Py_hash_t
hash_of_value(PyObject *value)
{
    return PyUnicode_CheckExact(value) ? hash_of(value) : PyObject_Hash(value);
}

static inline uint64_t
key_of(PyCodeObject *code, uint64_t instruction)
{
    return mixed((uint64_t)hash_of(code->co_filename), (uint64_t)code->co_firstlineno << 32 | (uint32_t)instruction);
}

/* Return what tells the innermost line of the program's own code from all others, 0 when there is none. */
static uint64_t
site_key(void)
{
#ifdef HAS_FRAMES
    if (reads_frames) {
        Frame *each = running_frame();
        for (int depth = 0; each && depth < MOST_FRAMES; depth++, each = each->previous) {
            PyCodeObject *code = (PyCodeObject *)each->code;
            if (code && PyCode_Check(code) && is_own(code->co_filename)) {
                return key_of(code, (uint64_t)(each->instruction - (char *)code->co_code_adaptive));
            }
        }
        return 0;
    }
#endif
    PyFrameObject *frame = (PyFrameObject *)Py_XNewRef((PyObject *)PyEval_GetFrame());
    uint64_t key = 0;
    for (int depth = 0; frame && !key && depth < MOST_FRAMES; depth++) {
        PyCodeObject *code = PyFrame_GetCode(frame);
        if (is_own(code->co_filename)) {
            key = key_of(code, (uint64_t)PyFrame_GetLasti(frame));
        }
        Py_DECREF(code);
        PyFrameObject *back = key ? NULL : PyFrame_GetBack(frame);
        Py_DECREF(frame);
        frame = back;
    }
    Py_XDECREF((PyObject *)frame);
    return key;
}

/* Return the text that decides about the name, borrowed: an argument, or what it has under a key; NULL when it is anything else. */
static HOT PyObject *
deciding(Timed *self, PyObject *const *args, Py_ssize_t count)
{
    if (self->position < 0 || self->position >= count) {
        return NULL;
    }
    PyObject *value = args[self->position];
    if (self->detail) {
        value = PyDict_CheckExact(value) ? PyDict_GetItemWithError(value, self->detail) : NULL;
        if (!value) {
            PyErr_Clear();
            return NULL;
        }
    }
    return PyUnicode_CheckExact(value) ? value : NULL;
}

/* Put the arguments of a call into a tuple and a dictionary. -1 with an error. */
static int
gather(PyObject *const *args, Py_ssize_t count, PyObject *kwnames, PyObject **positional, PyObject **keywords)
{
    *positional = PyTuple_New(count);
    *keywords = PyDict_New();
    int failed = !*positional || !*keywords;
    for (Py_ssize_t i = 0; i < count && !failed; i++) {
        PyTuple_SET_ITEM(*positional, i, Py_NewRef(args[i]));
    }
    for (Py_ssize_t i = 0; kwnames && i < PyTuple_GET_SIZE(kwnames) && !failed; i++) {
        failed = PyDict_SetItem(*keywords, PyTuple_GET_ITEM(kwnames, i), args[count + i]) < 0;
    }
    if (failed) {
        Py_CLEAR(*positional);
        Py_CLEAR(*keywords);
    }
    return failed ? -1 : 0;
}

static PyObject *span_by_name(Timed *, PyObject *const *, Py_ssize_t, PyObject *, int);

/* Return the span of a call and of the line that calls, a new reference; NULL with an error when it cannot be found. */
static HOT PyObject *
span_of(Timed *self, PyObject *const *args, Py_ssize_t count, PyObject *kwnames)
{
    if (!is_located(self)) {
        return self->span ? Py_NewRef(self->span) : span_by_name(self, args, count, kwnames, 1);
    }
    uint64_t site = site_key();
    Py_hash_t name = 0;
    PyObject *span = NULL;
    PyObject *text;
    if (self->span) {
        span = Py_NewRef(self->span);
    }
    else if ((text = deciding(self, args, count))) {
        name = hash_of(text);
    }
    else {
        span = span_by_name(self, args, count, kwnames, 1);
        if (!span) {
            return NULL;
        }
    }
    if (span) {
        name = (Py_hash_t)((uintptr_t)span >> 4);
    }
    Py_hash_t key = (Py_hash_t)mixed((uint64_t)name, site);
    PyObject *known = known_span(self, key);
    if (known) {
        Py_XDECREF(span);
        return Py_NewRef(known);
    }
    if (!span) {
        span = span_by_name(self, args, count, kwnames, 0);
        if (!span) {
            return NULL;
        }
    }
    if (site) {
        PyObject *there = PyObject_CallMethodOneArg(state.steps, name_located, span);
        Py_DECREF(span);
        if (!there) {
            return NULL;
        }
        span = there;
    }
    remember_span(self, key, span);
    return span;
}

/* Return the span that the arguments name, wherever the call comes from. `remembers`: by the argument that decides. */
static PyObject *
span_by_name(Timed *self, PyObject *const *args, Py_ssize_t count, PyObject *kwnames, int remembers)
{
    Py_hash_t hash = -1;
    PyObject *text = remembers ? deciding(self, args, count) : NULL;
    if (text) {
        hash = hash_of(text);
        PyObject *known = known_span(self, hash);
        if (known) {
            return Py_NewRef(known);
        }
    }
    PyObject *positional, *keywords;
    if (gather(args, count, kwnames, &positional, &keywords) < 0) {
        return NULL;
    }
    PyObject *span = PyObject_CallFunctionObjArgs(self->name, positional, keywords, NULL);
    Py_DECREF(positional);
    Py_DECREF(keywords);
    if (!span) {
        return NULL;
    }
    if (hash != -1) {
        remember_span(self, hash, span);
    }
    return span;
}

/* ---- plain calls ---- */

/* Call without recording, where there is no lane; an error that is set, a signal handler's, is the answer. */
static RARE PyObject *
call_unrecorded(Timed *self, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    return PyErr_Occurred() ? NULL : PyObject_Vectorcall(self->function, args, nargsf, kwnames);
}

/* Find the node of a call, a new reference, when it is not that of the last one. NULL: not recorded, or an error. */
static HOT __attribute__((noinline)) Node *
find_called(Timed *self, Node *parent, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    PyObject *span = span_of(self, args, PyVectorcall_NARGS(nargsf), kwnames);
    if (!span) {
        return NULL;
    }
    if (parent == self->last_parent && span == self->last_span && self->last_epoch == state.epoch) {
        Py_DECREF(span);
        return (Node *)Py_NewRef(self->last_node);
    }
    Py_INCREF(parent);
    Node *node = find_node(parent, span);
    Py_DECREF(parent); /* the lane has it */
    if (node) {
        self->last_epoch = state.epoch;
        Py_XSETREF(self->last_parent, (Node *)Py_NewRef(parent));
        Py_XSETREF(self->last_span, Py_NewRef(span));
        Py_XSETREF(self->last_node, (Node *)Py_NewRef(node));
    }
    Py_DECREF(span);
    return node;
}

/* Only count a call: its target costs too much. */
static RARE PyObject *
call_untimed(Timed *self, Lane *lane, Node **node, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    Node *parent = lane->node; /* whose reference is ours until it goes back */
    (*node)->skip++;
    lane->node = (Node *)Py_NewRef(*node);
    PyObject *result = call(self->function, args, nargsf, kwnames);
    if (lane->moves && (*node)->depth <= lane->moved_depth) {
        follow(lane, node);
        follow(lane, &parent);
    }
    if (lane->node != *node) {
        end_left(lane, *node);
        if (result && PyErr_Occurred()) {
            Py_CLEAR(result);
        }
    }
    Py_SETREF(lane->node, parent);
    state.words[(*node)->total + UNTIMED]++;
    int outcome = result ? RETURNED : count_raised(*node);
    if (lane->trace) {
        trace_add(lane->trace, *node, 0, 0, UNTIMED_CALL | outcome);
    }
    return result;
}

/* Follow what can be awaited to its end. */
static RARE PyObject *
follow_awaitable(PyObject *result, PyObject *span, uint64_t start_ns)
{
    PyObject *start = PyLong_FromUnsignedLongLong(start_ns);
    PyObject *followed = start ? PyObject_CallMethodObjArgs(state.steps, name_awaited, result, span, start, NULL) : NULL;
    Py_XDECREF(start);
    Py_DECREF(result);
    return followed;
}

/* See `join`. */
static RARE PyObject *
join_call(Timed *self, Lane *lane, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    PyObject *span = is_member() ? span_of(self, args, PyVectorcall_NARGS(nargsf), kwnames) : NULL;
    PyObject *opened = span ? join(lane, span) : NULL;
    Py_XDECREF(span);
    return opened;
}

/* The lane's reference to the parent is ours while the call lasts, and goes back to the lane after it. */
static __attribute__((hot)) PyObject *
timed_call(PyObject *callable, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    Timed *self = (Timed *)callable;
    Lane *lane = running_lane();
    if (!LIKELY(lane)) {
        return call_unrecorded(self, args, nargsf, kwnames);
    }
    PyObject *opened = NULL;
    if (state.joining && (PyObject *)lane->node == state.root) {
        opened = join_call(self, lane, args, nargsf, kwnames);
        if (!opened && PyErr_Occurred()) { /* it must reach the program */
            Py_DECREF(lane);
            return NULL;
        }
    }
    Node *parent = lane->node;
    Node *node = NULL;
    PyObject *result = NULL;
    PyObject *moved = NULL; /* the span of a call whose node is another one now */
    int outcome = RETURNED;
    if (LIKELY(parent == self->last_parent && self->last_epoch == state.epoch)) {
        PyObject *span = seen_span(self, args, PyVectorcall_NARGS(nargsf));
        if (LIKELY(span && (span == self->span || span == self->last_span))) {
            node = (Node *)Py_NewRef(self->last_node);
        }
    }
    if (!node) {
        node = find_called(self, parent, args, nargsf, kwnames);
        if (!node) {
            if (opened) { /* covered by a call around it: what is inside asks again */
                close_opened(opened);
                opened = NULL;
            }
            result = call_unrecorded(self, args, nargsf, kwnames);
            goto done;
        }
    }
    if (node->entry && !lane->trace && !opened) {
        opened = begin(lane, node);
        if (!opened && PyErr_Occurred()) {
            goto done;
        }
    }
    if (node->skip) {
        if (node->skip < ONE_TIMED_OF) {
            result = call_untimed(self, lane, &node, args, nargsf, kwnames);
            goto done;
        }
        node->skip = 1;
    }
    uint64_t *words = state.words;
    Py_ssize_t slot = lane->base + node->slot;
    lane->node = (Node *)Py_NewRef(node);
    words[slot] = node->number;
    uint64_t start_ns = now_ns();
    words[slot + 1] = start_ns;
    result = call(self->function, args, nargsf, kwnames);
    uint64_t duration_ns = since_ns(start_ns);
    if (lane->moves && node->depth <= lane->moved_depth) {
        moved = Py_NewRef(node->span);
        follow(lane, &node);
        follow(lane, &parent);
    }
    if (!LIKELY(lane->node == node)) {
        end_left(lane, node);
        if (result && PyErr_Occurred()) {
            Py_CLEAR(result);
        }
    }
    Py_SETREF(lane->node, parent);
    state.words[lane->base + node->slot] = 0; /* not `slot`: a fork may lie in between */
    if (LIKELY(result)) {
        PyAsyncMethods *async = Py_TYPE(result)->tp_as_async;
        if (async && async->am_await) {
            result = follow_awaitable(result, moved ? moved : node->span, start_ns);
            goto done;
        }
    }
    else {
        outcome = count_raised(node);
    }
    state.words[node->total] += duration_ns;
    int rare = finish(node, duration_ns);
    if (lane->trace) {
        trace_add(lane->trace, node, start_ns, duration_ns, outcome);
        rare = 1;
    }
    if (rare && result && PyErr_Occurred()) {
        Py_CLEAR(result);
    }
done:
    if (opened) {
        close_opened(opened);
        if (result && PyErr_Occurred()) {
            Py_CLEAR(result);
        }
    }
    Py_XDECREF(moved);
    Py_XDECREF(node);
    Py_DECREF(lane);
    return result;
}

/* ---- coroutines ---- */

/* Find what tells the running task: in the C module, which asyncio loads. -1 with an error. */
static int
find_asyncio(void)
{
    PyObject *module = PyDict_GetItemWithError(PyImport_GetModuleDict(), name_asyncio);
    if (!module) {
        return PyErr_Occurred() ? -1 : 0;
    }
    Py_INCREF(module);
    PyObject *get_loop = PyObject_GetAttr(module, name_get_running_loop);
    PyErr_Clear();
    PyObject *current_task = PyObject_GetAttr(module, name_current_task);
    PyErr_Clear();
    PyObject *current_tasks = current_task ? NULL : PyObject_GetAttr(module, name_current_tasks);
    PyErr_Clear();
    Py_DECREF(module);
    if (!get_loop || (!current_task && !(current_tasks && PyDict_Check(current_tasks)))) {
        Py_XDECREF(get_loop); /* half imported, or an asyncio that we do not know: nothing is a task */
        Py_XDECREF(current_task);
        Py_XDECREF(current_tasks);
        return 0;
    }
    state.current_task = current_task;
    state.current_tasks = current_tasks;
    state.get_loop = get_loop;
    return 0;
}

/* Return the identity of the running asyncio task, 0 when there is none (trio and others, plain callbacks). */
static PyObject *
running_task(void)
{
    if (!state.get_loop && find_asyncio() < 0) {
        return NULL;
    }
    PyObject *loop = state.get_loop ? PyObject_CallNoArgs(state.get_loop) : Py_NewRef(Py_None);
    if (!loop || loop == Py_None) {
        Py_XDECREF(loop);
        return loop ? PyLong_FromLong(0) : NULL;
    }
    PyObject *task;
    if (state.current_task) {
        task = PyObject_CallNoArgs(state.current_task);
    }
    else {
        task = PyDict_GetItemWithError(state.current_tasks, loop);
        task = task ? Py_NewRef(task) : PyErr_Occurred() ? NULL : Py_NewRef(Py_None);
    }
    Py_DECREF(loop);
    PyObject *identity = task ? PyLong_FromVoidPtr(task) : NULL;
    Py_XDECREF(task);
    return identity;
}

/* Return a lane for a task: one that another task has left, as it is in the shard but for the thread, or a new one. What is no
 * lane: there is none. NULL with an error. */
static PyObject *
take_lane(PyObject *task)
{
    if (!state.spares) {
        return PyObject_CallMethodOneArg(state.recorder, name_new_lane, task);
    }
    Lane *lane = state.spare[--state.spares];
    state.words[lane->base - 3] = PyThread_get_thread_ident(); /* layout.LANE_IDENT - layout.LANE_FIRST */
    Py_XSETREF(lane->task, Py_NewRef(task));
    return (PyObject *)lane;
}

/* Leave a task's lane to the next one. An error that is set stays; another one may be set. */
static void
leave_lane(Lane *lane)
{
    lane->context = NULL;
    if (state.spares < MOST_SPARE && lane->base != state.scratch_lane) {
        Py_XSETREF(lane->node, (Node *)Py_NewRef(state.root));
        Py_CLEAR(lane->trace);
        forget_moves(lane);
        state.spare[state.spares++] = (Lane *)Py_NewRef((PyObject *)lane);
        return;
    }
    Raised raised;
    put_aside(&raised);
    PyObject *answer = PyObject_CallMethodOneArg(state.recorder, name_free_lane, (PyObject *)lane);
    Py_XDECREF(answer);
    put_back_unless_new(&raised);
}

/* Have the running lane be that of the running task, which takes a new one when it has none; NULL where there is none. -1 with an
 * error. Which task runs is asked only when the context is another one than that of the lane's task. */
static int
enter_task(Coroutine *self, Lane **lane)
{
    void *context = PyThreadState_Get()->context;
    if (context && (*lane)->context == context) {
        return 0;
    }
    PyObject *task = running_task();
    int is_same = task ? PyObject_RichCompareBool((*lane)->task, task, Py_EQ) : -1;
    PyObject *fresh = is_same == 0 ? take_lane(task) : NULL;
    Py_XDECREF(task);
    if (is_same > 0) {
        return 0;
    }
    if (!fresh || !Py_IS_TYPE(fresh, LaneType)) {
        int failed = fresh ? 0 : -1;
        Py_XDECREF(fresh);
        Py_CLEAR(*lane);
        return failed;
    }
    self->outer = *lane;
    self->owns_lane = 1;
    *lane = (Lane *)fresh;
    (*lane)->context = context;
    run_lane(*lane);
    return 0;
}

/* Find the node of a coroutine that is the first in its lane or of its name, or the entry of a transaction. -1 with an error. */
static __attribute__((noinline)) int
coroutine_place(Coroutine *self, Lane *lane)
{
    Py_CLEAR(self->node);
    if (state.joining && (PyObject *)lane->node == state.root) {
        self->opened = join(lane, self->span);
    }
    if (!PyErr_Occurred()) {
        Node *above = (Node *)Py_NewRef(lane->node);
        self->node = find_node(above, self->span);
        Py_DECREF(above);
    }
    if (!self->node && self->opened) {
        close_opened(self->opened);
        self->opened = NULL;
    }
    else if (self->node && self->node->entry && !lane->trace && !self->opened) {
        self->opened = begin(lane, self->node);
    }
    return PyErr_Occurred() ? -1 : 0;
}

/* Take a place in the tree: under the span that awaits, or at the root of a new lane for a new task. -1 with an error. */
static HOT int
coroutine_open(Coroutine *self)
{
    Lane *lane = running_lane();
    if (!lane) {
        return PyErr_Occurred() ? -1 : 0;
    }
    if (enter_task(self, &lane) < 0 || !lane) {
        return PyErr_Occurred() ? -1 : 0;
    }
    self->lane = lane;
    self->parent = (Node *)Py_NewRef(lane->node);
    self->node = lately_found(lane->node, self->span);
    int rare = !self->node || (PyObject *)lane->node == state.root || self->node->entry;
    if (rare && coroutine_place(self, lane) < 0) {
        return -1;
    }
    self->started_ns = now_ns();
    if (self->node) {
        Py_ssize_t slot = lane->base + self->node->slot;
        state.words[slot + 1] = self->started_ns;
        state.words[slot] = self->node->number;
        Py_SETREF(lane->node, (Node *)Py_NewRef(self->node));
    }
    return 0;
}

/* Make the coroutine's lane the running one for a step. -1 with an error. */
static inline int
enter_lane(Coroutine *self)
{
    if (LIKELY(!state.getcurrent && thread_epoch == state.epoch && thread_lane && !self->outer)) {
        self->outer = thread_lane; /* the thread's reference is ours until it goes back */
        thread_lane = (Lane *)Py_NewRef((PyObject *)self->lane);
        return 0;
    }
    Py_XSETREF(self->outer, running_lane());
    if (!self->outer && PyErr_Occurred()) {
        return -1;
    }
    run_lane(self->lane);
    return 0;
}

/* Give the thread its lane back. */
static inline void
leave_to_outer(Coroutine *self)
{
    if (LIKELY(!state.getcurrent && thread_epoch == state.epoch && thread_lane && self->outer)) {
        Lane *left = thread_lane;
        thread_lane = self->outer;
        self->outer = NULL;
        Py_DECREF(left);
        return;
    }
    run_lane(self->outer);
    Py_CLEAR(self->outer);
}

/* End a step; return the time. */
static inline uint64_t
coroutine_leave(Coroutine *self, uint64_t step_ns)
{
    uint64_t left_ns = now_ns();
    self->active_ns += left_ns > step_ns ? left_ns - step_ns : 0;
    self->steps++;
    self->stepping = 0;
    if (self->owns_lane && !self->ended) {
        leave_to_outer(self);
    }
    return left_ns;
}

/* Begin a step; -1 with an error that must reach the program. */
static inline int
coroutine_enter(Coroutine *self, uint64_t *step_ns)
{
    if (!self->lane) {
        if (!self->ended && coroutine_open(self) < 0) {
            if (self->owns_lane && self->outer) {
                leave_to_outer(self);
            }
            return -1;
        }
        if (self->lane) {
            *step_ns = self->started_ns;
            return 0;
        }
    }
    else if (self->owns_lane && enter_lane(self) < 0) {
        return -1;
    }
    self->stepping = 1;
    *step_ns = now_ns();
    return 0;
}

/* Count the call, which ended then. `interrupted`: nobody will ever finish it. An error that is set says how it ended, and
 * stays; another one may be set. */
static HOT void
coroutine_end(Coroutine *self, int interrupted, uint64_t ended_ns)
{
    Lane *lane = self->lane;
    Node *node = self->node;
    if (!lane) {
        return;
    }
    self->lane = NULL;
    self->ended = 1;
    uint64_t duration_ns = ended_ns > self->started_ns ? ended_ns - self->started_ns : 0;
    if (node) {
        if (lane->moves && node->depth <= lane->moved_depth) {
            follow(lane, &self->node);
            follow(lane, &self->parent);
            node = self->node;
        }
        if (lane->node != node) {
            end_left(lane, node);
        }
        Py_SETREF(lane->node, (Node *)Py_NewRef(self->parent));
        state.words[lane->base + node->slot] = 0;
        int outcome = interrupted ? INTERRUPTED_CALL : RETURNED;
        uint64_t *words = state.words;
        words[node->total] += duration_ns;
        words[node->total + ACTIVE] += self->active_ns;
        words[node->total + STEPS] += self->steps;
        if (interrupted) {
            words[node->total + INTERRUPTED]++;
        }
        else if (PyErr_Occurred()) {
            outcome = count_raised(node);
        }
        finish(node, duration_ns);
        if (lane->trace) {
            trace_add(lane->trace, node, self->started_ns, duration_ns, outcome);
        }
        if (self->role == APPLICATION && outcome == RAISED && self->opened && Py_IS_TYPE(self->opened, TransactionType)) {
            fail((Transaction *)self->opened);
        }
    }
    if (self->opened) {
        PyObject *opened = self->opened;
        self->opened = NULL;
        close_opened(opened);
    }
    if (self->owns_lane) {
        leave_lane(lane);
    }
    Py_DECREF(lane);
}

/* The last part of a response has been sent. -1 with an error. */
static int
finish_open(void)
{
    Transaction *transaction = open_transaction();
    if (transaction) {
        finish_response(transaction);
        Py_DECREF(transaction);
    }
    return PyErr_Occurred() ? -1 : 0;
}

static HOT PySendResult
coroutine_am_send(PyObject *object, PyObject *value, PyObject **result)
{
    Coroutine *self = (Coroutine *)object;
    *result = NULL;
    if (self->stepping || self->role == LAST_PART) { /* stepping: a mistake of the program, which the coroutine answers */
        PySendResult answer = PyIter_Send(self->inner, value, result);
        if (answer == PYGEN_RETURN && self->role == LAST_PART && finish_open() < 0) {
            Py_CLEAR(*result);
            return PYGEN_ERROR;
        }
        return answer;
    }
    uint64_t step_ns;
    if (coroutine_enter(self, &step_ns) < 0) {
        return PYGEN_ERROR;
    }
    PySendResult outcome = PyIter_Send(self->inner, value, result);
    uint64_t left_ns = coroutine_leave(self, step_ns);
    if (outcome != PYGEN_NEXT) {
        coroutine_end(self, 0, left_ns);
        if (*result && PyErr_Occurred()) {
            Py_CLEAR(*result);
            return PYGEN_ERROR;
        }
    }
    return outcome;
}

/* Turn the end of a coroutine into what iterators answer. */
static PyObject *
as_iteration(PySendResult outcome, PyObject *result)
{
    if (outcome == PYGEN_RETURN) {
        PyObject *stop = PyObject_CallOneArg(PyExc_StopIteration, result);
        Py_DECREF(result);
        if (stop) {
            PyErr_SetObject(PyExc_StopIteration, stop);
            Py_DECREF(stop);
        }
        return NULL;
    }
    return outcome == PYGEN_NEXT ? result : NULL;
}

static PyObject *
coroutine_send(PyObject *self, PyObject *value)
{
    PyObject *result = NULL;
    PySendResult outcome = coroutine_am_send(self, value, &result);
    return as_iteration(outcome, result);
}

static PyObject *
coroutine_next(PyObject *self)
{
    return coroutine_send(self, Py_None);
}

static PyObject *
coroutine_throw(Coroutine *self, PyObject *args)
{
    PyObject *method = PyObject_GetAttr(self->inner, name_throw);
    if (!method) {
        return NULL;
    }
    if (self->stepping || self->role == LAST_PART) {
        PyObject *answer = PyObject_CallObject(method, args);
        Py_DECREF(method);
        return answer;
    }
    uint64_t step_ns;
    if (coroutine_enter(self, &step_ns) < 0) {
        Py_DECREF(method);
        return NULL;
    }
    PyObject *result = PyObject_CallObject(method, args);
    Py_DECREF(method);
    uint64_t left_ns = coroutine_leave(self, step_ns);
    if (!result) {
        coroutine_end(self, 0, left_ns);
    }
    return result;
}

static PyObject *
coroutine_close(Coroutine *self, PyObject *Py_UNUSED(ignored))
{
    int stepping = self->stepping;
    PyObject *result = PyObject_CallMethodNoArgs(self->inner, name_close);
    if (!stepping) {
        coroutine_end(self, 1, now_ns());
    }
    return result;
}

static PyObject *
itself(PyObject *self)
{
    return Py_NewRef(self);
}

static int
coroutine_traverse(Coroutine *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->inner);
    Py_VISIT(self->span);
    Py_VISIT(self->lane);
    Py_VISIT(self->outer);
    Py_VISIT(self->parent);
    Py_VISIT(self->node);
    Py_VISIT(self->opened);
    return 0;
}

static HOT int
coroutine_clear(Coroutine *self)
{
    Py_CLEAR(self->opened);
    Py_CLEAR(self->lane);
    Py_CLEAR(self->outer);
    Py_CLEAR(self->parent);
    Py_CLEAR(self->node);
    return 0;
}

/* Count what was begun and will never end: dropped with its loop. Runs before the garbage collector takes it apart. */
static void
coroutine_finalize(Coroutine *self)
{
    if (self->lane) {
        Raised raised;
        put_aside(&raised);
        coroutine_end(self, 1, now_ns());
        PyErr_Clear();
        put_back(&raised);
    }
}

static HOT void
coroutine_dealloc(Coroutine *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    if (self->weakrefs) {
        PyObject_ClearWeakRefs((PyObject *)self);
    }
    int was_finalized = self->lane != NULL || PyObject_GC_IsFinalized((PyObject *)self); /* which its memory would say of the next */
    if (self->lane) { /* it has not ended */
        PyObject_GC_Track(self);
        if (PyObject_CallFinalizerFromDealloc((PyObject *)self) < 0) {
            return;
        }
        PyObject_GC_UnTrack(self);
    }
    coroutine_clear(self);
    Py_CLEAR(self->inner);
    Py_CLEAR(self->span);
    if (was_finalized) {
        type->tp_free(self);
    }
    else {
        self->owns_lane = self->stepping = self->ended = self->role = 0;
        self->started_ns = self->active_ns = self->steps = 0;
        let_go(&gone_coroutines, (PyObject *)self);
    }
    Py_DECREF(type);
}

/* What a stand-in does not do itself, the inner object answers. */
static PyObject *
stand_in_getattr(PyObject *self, PyObject *inner, PyObject *name)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject *own = _PyType_Lookup(type, name);
    /* Methods of ours, and what calls our slots by name: `__call__`, `__get__`, `__next__`, `__await__` … */
    if (own && (Py_IS_TYPE(own, &PyMethodDescr_Type) ||
                (Py_IS_TYPE(own, &PyWrapperDescr_Type) && PyDescr_TYPE(own) != &PyBaseObject_Type))) {
        return PyObject_GenericGetAttr(self, name);
    }
    return PyObject_GetAttr(inner, name);
}

static PyObject *
coroutine_getattr(Coroutine *self, PyObject *name)
{
    return stand_in_getattr((PyObject *)self, self->inner, name);
}

static int
coroutine_setattr(Coroutine *self, PyObject *name, PyObject *value)
{
    return PyObject_SetAttr(self->inner, name, value);
}

static PyObject *
coroutine_repr(Coroutine *self)
{
    return PyObject_Repr(self->inner);
}

static PyMethodDef coroutine_methods[] = {
    {"send", (PyCFunction)coroutine_send, METH_O, NULL},
    {"throw", (PyCFunction)coroutine_throw, METH_VARARGS, NULL},
    {"close", (PyCFunction)coroutine_close, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static HOT PyObject *
make_coroutine(PyObject *inner, PyObject *span)
{
    Coroutine *self = (Coroutine *)renewed(&gone_coroutines, CoroutineType);
    if (self) {
        self->inner = Py_NewRef(inner);
        self->span = Py_NewRef(span);
    }
    return (PyObject *)self;
}

static PyObject *
coroutine_new(PyTypeObject *Py_UNUSED(type), PyObject *args, PyObject *Py_UNUSED(kwargs))
{
    PyObject *inner, *span;
    return PyArg_ParseTuple(args, "OO", &inner, &span) ? make_coroutine(inner, span) : NULL;
}

/* Note where the first coroutine of a span was made. An error may be set. */
static void
note_maker_once(Timed *self, PyObject *span)
{
    if (span != self->last_span) {
        PyObject *answer = PyObject_CallMethodOneArg(state.steps, name_note_maker, span);
        Py_XDECREF(answer);
        Py_XSETREF(self->last_span, Py_NewRef(span));
    }
}

static HOT PyObject *
coroutine_function_call(PyObject *callable, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    Timed *self = (Timed *)callable;
    PyObject *made = call(self->function, args, nargsf, kwnames);
    if (!made) {
        return NULL;
    }
    PyObject *span = span_of(self, args, PyVectorcall_NARGS(nargsf), kwnames);
    PyObject *timed = NULL;
    if (span) {
        note_maker_once(self, span);
        timed = PyErr_Occurred() ? NULL : make_coroutine(made, span);
    }
    Py_XDECREF(span);
    Py_DECREF(made);
    return timed;
}

/* ---- ASGI applications: as in asgi.py ---- */

/* Return a stand-in with a part in a response for what the program is to await, whose reference it takes. */
static HOT PyObject *
accompanied(PyObject *made, PyObject *span, short role)
{
    if (!PyCoro_CheckExact(made) && !Py_IS_TYPE(made, CoroutineType)) {
        Py_SETREF(made, PyObject_CallMethodOneArg(state.steps, name_awaiting, made));
    }
    Coroutine *self = made ? (Coroutine *)make_coroutine(made, span) : NULL;
    if (self) {
        self->role = role;
    }
    Py_XDECREF(made);
    return (PyObject *)self;
}

/* Return what a message or a scope has by a name, borrowed, NULL when there is nothing. */
static PyObject *
item(PyObject *dict, PyObject *name)
{
    PyObject *found = PyDict_Check(dict) ? PyDict_GetItemWithError(dict, name) : NULL;
    if (!found) {
        PyErr_Clear();
    }
    return found;
}

/* Read what a message tells of the response; say whether it is the last part. */
static HOT int
read_message(PyObject *message)
{
    PyObject *type = item(message, name_type);
    if (is_text(type, text_body)) {
        PyObject *more = item(message, name_more_body);
        int is_last = !more || more == Py_False || (more != Py_True && PyObject_IsTrue(more) == 0);
        PyErr_Clear();
        return is_last;
    }
    if (is_text(type, text_start)) {
        PyObject *status = item(message, name_status);
        Transaction *transaction = status && PyLong_Check(status) ? open_transaction() : NULL;
        if (transaction) {
            transaction->status = PyLong_AsLong(status);
            Py_DECREF(transaction);
        }
        PyErr_Clear();
        return 0;
    }
    return is_text(type, text_pathsend);
}

static HOT PyObject *
telling_call(PyObject *callable, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    int is_last = PyVectorcall_NARGS(nargsf) == 1 && !kwnames && read_message(args[0]);
    PyObject *made = PyObject_Vectorcall(((Telling *)callable)->send, args, nargsf, kwnames);
    return made && is_last ? accompanied(made, Py_None, LAST_PART) : made;
}

static int
telling_traverse(Telling *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->send);
    return 0;
}

static void
telling_dealloc(Telling *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    Py_CLEAR(self->send);
    let_go(&gone_tellings, (PyObject *)self);
    Py_DECREF(type);
}

static PyMemberDef telling_members[] = {
    {"__vectorcalloffset__", Py_T_PYSSIZET, offsetof(Telling, vectorcall), Py_READONLY, NULL},
    {"__wrapped__", Py_T_OBJECT_EX, offsetof(Telling, send), Py_READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

/* Say whether a call of an application with this scope begins a request. */
static int
begins_request(PyObject *scope)
{
    PyObject *type = item(scope, name_type);
    if (!is_text(type, text_http) && !is_text(type, text_websocket)) {
        return 0;
    }
    Transaction *transaction = open_transaction();
    int begins = !transaction || !is_text(transaction->node->kind, text_request);
    Py_XDECREF(transaction);
    return begins;
}

#define MOST_ARGUMENTS 8 /* of an application; the specification has three */

static HOT PyObject *
application_call(PyObject *callable, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    Timed *self = (Timed *)callable;
    Py_ssize_t count = PyVectorcall_NARGS(nargsf);
    Py_ssize_t send = self->position + 2;
    if (kwnames || count <= send || count > MOST_ARGUMENTS || !begins_request(args[self->position])) {
        return PyErr_Occurred() ? NULL : PyObject_Vectorcall(self->function, args, nargsf, kwnames);
    }
    Telling *telling = (Telling *)renewed(&gone_tellings, TellingType);
    if (!telling) {
        return NULL;
    }
    telling->vectorcall = telling_call;
    telling->send = Py_NewRef(args[send]);
    PyObject *changed[MOST_ARGUMENTS];
    memcpy(changed, args, (size_t)count * sizeof *changed);
    changed[send] = (PyObject *)telling;
    PyObject *made = PyObject_Vectorcall(self->function, changed, (size_t)count, NULL);
    Py_DECREF(telling);
    PyObject *span = made ? span_of(self, args, count, NULL) : NULL;
    PyObject *timed = NULL;
    if (span) {
        note_maker_once(self, span);
        timed = PyErr_Occurred() ? NULL : accompanied(Py_NewRef(made), span, APPLICATION);
    }
    Py_XDECREF(span);
    Py_XDECREF(made);
    return timed;
}

/* ---- generators ---- */

/* One step: push the span where the generator is consumed, resume the body, charge its time there. */
typedef struct {
    Lane *lane;
    Node *parent;
    Node *node;
    PyObject *opened; /* the visit to a transaction */
    uint64_t start_ns;
} Step;

static int
generator_enter(Generator *self, Step *step)
{
    step->parent = step->node = NULL;
    step->opened = NULL;
    step->lane = running_lane();
    if (step->lane) {
        step->parent = (Node *)Py_NewRef(step->lane->node);
        if (state.joining && (PyObject *)step->parent == state.root) {
            step->opened = join(step->lane, self->span);
        }
        if (!PyErr_Occurred()) {
            Node *above = (Node *)Py_NewRef(step->lane->node);
            step->node = find_node(above, self->span);
            Py_DECREF(above);
        }
    }
    if (!step->node && step->opened) {
        close_opened(step->opened);
        step->opened = NULL;
    }
    if (!step->node && PyErr_Occurred()) {
        Py_XDECREF(step->parent);
        Py_XDECREF(step->lane);
        return -1;
    }
    self->started = self->stepping = 1;
    step->start_ns = now_ns();
    if (step->node) {
        Py_ssize_t slot = step->lane->base + step->node->slot;
        state.words[slot + 1] = step->start_ns;
        state.words[slot] = step->node->number;
        Py_SETREF(step->lane->node, (Node *)Py_NewRef(step->node));
    }
    return 0;
}

/* Count the call, once. An error that is set stays set. */
static void
generator_end(Generator *self, int interrupted)
{
    if (self->ended || !self->started) {
        return;
    }
    self->ended = 1;
    if (self->node) {
        uint64_t *words = state.words;
        Py_ssize_t total = self->node->total;
        words[total + STEPS] += self->steps;
        words[total + ACTIVE] += self->used_ns;
        if (interrupted) {
            words[total + INTERRUPTED]++;
        }
        int outcome = interrupted ? INTERRUPTED_CALL : RETURNED;
        if (!interrupted && PyErr_Occurred()) {
            outcome = count_raised(self->node);
        }
        finish(self->node, self->used_ns);
        Lane *lane = present_lane_aside();
        if (lane && lane->trace) {
            trace_add(lane->trace, self->node, now_ns() - self->used_ns, self->used_ns, outcome);
        }
    }
}

static void
generator_leave(Generator *self, Step *step)
{
    uint64_t duration_ns = since_ns(step->start_ns);
    self->used_ns += duration_ns;
    self->steps++;
    self->stepping = 0;
    if (step->node) {
        if (step->lane->moves) {
            follow(step->lane, &step->node);
            follow(step->lane, &step->parent);
        }
        if (step->lane->node != step->node) {
            end_left(step->lane, step->node);
        }
        Py_SETREF(step->lane->node, (Node *)Py_NewRef(step->parent));
        state.words[step->lane->base + step->node->slot] = 0;
        state.words[step->node->total] += duration_ns;
        Py_XSETREF(self->node, (Node *)Py_NewRef(step->node));
    }
    if (step->opened) {
        close_opened(step->opened);
    }
    Py_XDECREF(step->node);
    Py_XDECREF(step->parent);
    Py_XDECREF(step->lane);
}

static PySendResult
generator_am_send(PyObject *object, PyObject *value, PyObject **result)
{
    Generator *self = (Generator *)object;
    Step step;
    *result = NULL;
    if (self->stepping) { /* a mistake of the program, which the generator answers */
        return PyIter_Send(self->inner, value, result);
    }
    if (generator_enter(self, &step) < 0) {
        return PYGEN_ERROR;
    }
    PySendResult outcome = PyIter_Send(self->inner, value, result);
    generator_leave(self, &step);
    if (outcome != PYGEN_NEXT) {
        generator_end(self, 0);
        if (*result && PyErr_Occurred()) {
            Py_CLEAR(*result);
            return PYGEN_ERROR;
        }
    }
    return outcome;
}

static PyObject *
generator_send(PyObject *self, PyObject *value)
{
    PyObject *result = NULL;
    PySendResult outcome = generator_am_send(self, value, &result);
    return as_iteration(outcome, result);
}

static PyObject *
generator_next(PyObject *self)
{
    PyObject *result = NULL;
    PySendResult outcome = generator_am_send(self, Py_None, &result);
    if (outcome == PYGEN_RETURN && result == Py_None) {
        Py_DECREF(result);
        return NULL; /* the plain end of an iteration */
    }
    return as_iteration(outcome, result);
}

static PyObject *
generator_throw(Generator *self, PyObject *args)
{
    PyObject *method = PyObject_GetAttr(self->inner, name_throw);
    if (!method) {
        return NULL;
    }
    if (self->stepping) {
        PyObject *answer = PyObject_CallObject(method, args);
        Py_DECREF(method);
        return answer;
    }
    Step step;
    if (generator_enter(self, &step) < 0) {
        Py_DECREF(method);
        return NULL;
    }
    PyObject *result = PyObject_CallObject(method, args);
    Py_DECREF(method);
    generator_leave(self, &step);
    if (!result) {
        generator_end(self, 0);
    }
    return result;
}

static PyObject *
generator_close(Generator *self, PyObject *Py_UNUSED(ignored))
{
    if (!self->started || self->ended || self->stepping) { /* nothing of the body runs */
        return PyObject_CallMethodNoArgs(self->inner, name_close);
    }
    Step step;
    if (generator_enter(self, &step) < 0) {
        return NULL;
    }
    PyObject *result = PyObject_CallMethodNoArgs(self->inner, name_close);
    generator_leave(self, &step);
    generator_end(self, result != NULL);
    return result;
}

static int
generator_traverse(Generator *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->inner);
    Py_VISIT(self->span);
    Py_VISIT(self->node);
    return 0;
}

static void
generator_finalize(Generator *self)
{
    Raised raised;
    put_aside(&raised);
    generator_end(self, 1);
    PyErr_Clear();
    put_back(&raised);
}

static void
generator_dealloc(Generator *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    if (self->weakrefs) {
        PyObject_ClearWeakRefs((PyObject *)self);
    }
    PyObject_GC_Track(self);
    if (PyObject_CallFinalizerFromDealloc((PyObject *)self) < 0) {
        return;
    }
    PyObject_GC_UnTrack(self);
    Py_CLEAR(self->inner);
    Py_CLEAR(self->span);
    Py_CLEAR(self->node);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *
generator_getattr(Generator *self, PyObject *name)
{
    return stand_in_getattr((PyObject *)self, self->inner, name);
}

static int
generator_setattr(Generator *self, PyObject *name, PyObject *value)
{
    return PyObject_SetAttr(self->inner, name, value);
}

static PyObject *
generator_repr(Generator *self)
{
    return PyObject_Repr(self->inner);
}

static PyMethodDef generator_methods[] = {
    {"send", (PyCFunction)generator_send, METH_O, NULL},
    {"throw", (PyCFunction)generator_throw, METH_VARARGS, NULL},
    {"close", (PyCFunction)generator_close, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyObject *
generator_new(PyTypeObject *Py_UNUSED(type), PyObject *args, PyObject *Py_UNUSED(kwargs))
{
    PyObject *inner, *span;
    if (!PyArg_ParseTuple(args, "OO", &inner, &span)) {
        return NULL;
    }
    Generator *self = (Generator *)GeneratorType->tp_alloc(GeneratorType, 0);
    if (self) {
        self->inner = Py_NewRef(inner);
        self->span = Py_NewRef(span);
    }
    return (PyObject *)self;
}

static PyObject *
generator_function_call(PyObject *callable, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    Timed *self = (Timed *)callable;
    PyObject *made = call(self->function, args, nargsf, kwnames);
    if (!made) {
        return NULL;
    }
    PyObject *span = span_of(self, args, PyVectorcall_NARGS(nargsf), kwnames);
    PyObject *timed = span ? PyObject_CallMethodObjArgs(state.steps, name_timed_generator, made, span, NULL) : NULL;
    Py_XDECREF(span);
    Py_DECREF(made);
    return timed;
}

/* ---- functions that tell of the open transaction: see marks.py ---- */

/* Call a function of Python with (args, kwargs, result). */
static PyObject *
call_mark(PyObject *mark, PyObject *const *args, Py_ssize_t count, PyObject *kwnames, PyObject *result)
{
    PyObject *positional, *keywords;
    if (gather(args, count, kwnames, &positional, &keywords) < 0) {
        return NULL;
    }
    PyObject *answer = PyObject_CallFunctionObjArgs(mark, positional, keywords, result, NULL);
    Py_DECREF(positional);
    Py_DECREF(keywords);
    return answer;
}

/* What instances keep their attributes in, as far as we read it: to ask for six of them as Python does costs a Flask request 3,000
 * instructions, a third of its price, and each look-up in the table that all classes share can push out one of the program's.
 * As with frames and contexts: within a minor version it stays as it is, `check_values` makes sure of it once, and later versions are
 * asked as Python does. Source: Include/internal/pycore_dict.h and pycore_object.h of CPython 3.11, 3.12 and 3.13. */
#if PY_VERSION_HEX < 0x030E0000
#define HAS_VALUES
typedef struct {
    Py_ssize_t references;
    uint8_t log2_size, log2_index_bytes, kind;
    uint32_t version;
    Py_ssize_t usable, count;
    char indices[];
} Keys;
enum { SPLIT_KEYS = 2 };
static int reads_values;

static inline Keys *
keys_of(PyTypeObject *type)
{
    Keys *keys = PyType_HasFeature(type, Py_TPFLAGS_HEAPTYPE) ? (Keys *)((PyHeapTypeObject *)type)->ht_cached_keys : NULL;
    return keys && keys->kind == SPLIT_KEYS ? keys : NULL;
}

/* Return the position of a name among the attributes of a type's instances, -1 where they have none of that name. */
static Py_ssize_t
position_among(Keys *keys, PyObject *name)
{
    PyObject **pairs = (PyObject **)(keys->indices + ((size_t)1 << keys->log2_index_bytes));
    for (Py_ssize_t i = 0; i < keys->count; i++) {
        if (pairs[2 * i] == name) {
            return i;
        }
    }
    return -1;
}

/* Return the values of an instance by their positions; else NULL and its dictionary, borrowed, or NULL. */
static inline PyObject **
values_of(PyObject *instance, PyObject **dict)
{
#if PY_VERSION_HEX < 0x030C0000
    *dict = ((PyObject **)instance)[-3];
    return ((PyObject ***)instance)[-4];
#elif PY_VERSION_HEX < 0x030D0000
    uintptr_t either = ((uintptr_t *)instance)[-3];
    *dict = either & 1 ? NULL : (PyObject *)either;
    return either & 1 ? (PyObject **)(either + 1) : NULL;
#else
    struct {
        PyObject head;
        uint8_t capacity, size, embedded, valid;
        PyObject *values[1];
    } *inline_values = (void *)instance;
    *dict = ((PyObject **)instance)[-3];
    return PyType_HasFeature(Py_TYPE(instance), Py_TPFLAGS_INLINE_VALUES) && inline_values->valid ? inline_values->values : NULL;
#endif
}
#endif

/* Of a type and a name: that what instances have by the name is their own, and where. */
typedef struct {
    PyTypeObject *type;
    PyObject *name; /* only compared */
    unsigned version;
#ifdef HAS_VALUES
    Keys *keys; /* only compared; they grow at their end, and are the type's as long as it is there */
    Py_ssize_t position;
#endif
} Own;

/* Find out about a type and a name; NULL when its class has something by that name that is no plain constant. */
static HOT Own *
instances_own(PyTypeObject *type, PyObject *name)
{
    static Own known[64];
    Own *own = known + ((uintptr_t)type >> 4 ^ (uintptr_t)name >> 4) % Py_ARRAY_LENGTH(known);
    if (own->type == type && own->name == name && own->version == type->tp_version_tag && type->tp_version_tag) {
        return own;
    }
    PyObject *on_class = _PyType_Lookup(type, name);
    if (on_class && on_class != Py_None) {
        return NULL;
    }
    own->type = type;
    own->name = name;
    own->version = type->tp_version_tag; /* 0: it has none */
#ifdef HAS_VALUES
    own->keys = NULL;
    own->position = -1;
#endif
    return own;
}

/* Return what an instance has of its own by a name, a new reference; NULL without an error where there is nothing. */
static HOT PyObject *
read_own(PyObject *instance, PyObject *name, Own *own)
{
#ifdef HAS_VALUES
    PyTypeObject *type = Py_TYPE(instance);
    if (reads_values && PyType_HasFeature(type, Py_TPFLAGS_MANAGED_DICT)) {
        PyObject *dict;
        PyObject **values = values_of(instance, &dict);
        Keys *keys = values ? keys_of(type) : NULL;
        if (keys && (own->keys != keys || own->position < 0)) {
            own->keys = keys;
            own->position = position_among(keys, name);
        }
        if (keys && own->position >= 0) {
            return Py_XNewRef(values[own->position]);
        }
        if (dict && PyDict_CheckExact(dict)) {
            PyObject *found = PyDict_GetItemWithError(dict, name);
            PyErr_Clear();
            return Py_XNewRef(found);
        }
    }
#else
    (void)own;
#endif
    PyObject *found = PyObject_GenericGetAttr(instance, name);
    PyErr_Clear();
    return found;
}

#ifdef HAS_VALUES
/* Say whether instances are what we take them for: with values, with a dictionary that somebody asked for, and with another one. */
static int
check_values(void)
{
    PyObject *type = PyObject_CallFunction((PyObject *)&PyType_Type, "s(){}", "Instance");
    PyObject *instance = type ? PyObject_CallNoArgs(type) : NULL;
    PyObject *another = Py_BuildValue("{OO}", name_look, Py_True);
    int agree = instance && another && PyObject_SetAttr(instance, name_close, Py_None) == 0 && PyObject_SetAttr(instance, name_look, type) == 0;
    reads_values = 1;
    for (int step = 0; agree && step < 3; step++) {
        PyObject *dict = step == 1 ? PyObject_GetAttrString(instance, "__dict__") : NULL;
        agree = (step != 1 || dict) && (step != 2 || PyObject_SetAttrString(instance, "__dict__", another) == 0);
        Own own = {0};
        PyObject *found = agree ? read_own(instance, name_look, &own) : NULL;
        agree = found == (step == 2 ? Py_True : type) && (step || (own.keys && own.position == 1 && own.keys->count == 2));
        Py_XDECREF(found);
        Py_XDECREF(dict);
    }
    Py_XDECREF(another);
    Py_XDECREF(instance);
    Py_XDECREF(type);
    PyErr_Clear();
    return agree;
}
#endif

/* Return what an object has by a name, a new reference, without running code of the program; NULL where Python is to look: see
 * names.attribute. */
static HOT PyObject *
read_attribute(PyObject *value, PyObject *name)
{
    if (PyLong_CheckExact(name)) {
        Py_ssize_t at = PyLong_AsSsize_t(name);
        int is_there = (PyTuple_CheckExact(value) && at < PyTuple_GET_SIZE(value)) ||
                       (PyList_CheckExact(value) && at < PyList_GET_SIZE(value));
        return is_there ? Py_NewRef(PyTuple_CheckExact(value) ? PyTuple_GET_ITEM(value, at) : PyList_GET_ITEM(value, at)) : NULL;
    }
    PyObject *found;
    Own *own;
    if (PyDict_CheckExact(value)) {
        found = PyDict_GetItemWithError(value, name);
        Py_XINCREF(found);
    }
    else if (!PyType_Check(value) && (own = instances_own(Py_TYPE(value), name))) {
        found = read_own(value, name, own);
        if (found == Py_None) {
            Py_CLEAR(found); /* perhaps the class's */
        }
    }
    else {
        PyObject *on_class = PyType_Check(value) ? NULL : _PyType_Lookup(Py_TYPE(value), name);
        PyTypeObject *kind = on_class ? Py_TYPE(on_class) : NULL;
        if (PyType_Check(value) || (kind && kind != &PyMemberDescr_Type && (kind->tp_descr_get || kind->tp_descr_set))) {
            return NULL;
        }
        found = PyObject_GenericGetAttr(value, name); /* an instance's own, a slot, or a plain value of the class */
        if (found && found == on_class && !PyUnicode_CheckExact(found) && !PyLong_CheckExact(found)) {
            Py_CLEAR(found);
        }
    }
    if (!found) {
        PyErr_Clear();
    }
    return found;
}

/* Return where the arguments have a keyword, `count` or more; the number of all arguments when they do not. */
static Py_ssize_t
keyword_position(PyObject *keyword, Py_ssize_t count, PyObject *kwnames)
{
    Py_ssize_t named = kwnames ? PyTuple_GET_SIZE(kwnames) : 0;
    for (Py_ssize_t i = 0; i < named; i++) {
        if (is_text(PyTuple_GET_ITEM(kwnames, i), keyword)) {
            return count + i;
        }
    }
    return count + named;
}

/* What the last field led to by its first name: the next one often begins in the same way. */
typedef struct {
    Py_ssize_t position;
    PyObject *name;
    PyObject *value;
} Way;

/* Return what a field leads to, (position or keyword, or -1 for the result, (name, …)), a new reference; NULL where Python is to
 * look. */
static HOT PyObject *
read_field(PyObject *field, PyObject *const *args, Py_ssize_t count, PyObject *kwnames, PyObject *result, Way *way)
{
    PyObject *place = PyTuple_GET_ITEM(field, 0);
    int is_keyword = PyUnicode_CheckExact(place);
    Py_ssize_t position = is_keyword ? keyword_position(place, count, kwnames) : PyLong_AsSsize_t(place);
    if (position >= count + (is_keyword && kwnames ? PyTuple_GET_SIZE(kwnames) : 0)) {
        return NULL;
    }
    PyObject *value = Py_NewRef(position < 0 ? result : args[position]);
    PyObject *names = PyTuple_GET_ITEM(field, 1);
    Py_ssize_t length = PyTuple_GET_SIZE(names);
    if (length > 1) {
        PyObject *first = PyTuple_GET_ITEM(names, 0);
        int is_known = way->value && way->position == position && PyUnicode_CheckExact(first) && is_text(way->name, first);
        if (is_known) {
            Py_SETREF(value, Py_NewRef(way->value));
        }
        else {
            Py_SETREF(value, read_attribute(value, first));
            way->position = position;
            way->name = first;
            Py_XSETREF(way->value, Py_XNewRef(value));
        }
    }
    for (Py_ssize_t i = length > 1; value && i < length; i++) {
        Py_SETREF(value, read_attribute(value, PyTuple_GET_ITEM(names, i)));
    }
    return value;
}

/* Give the open transaction its name; `told` is [name or None, status, node, node of that name]: the nodes of the last time. */
static HOT int
rename_transaction(Transaction *transaction, PyObject *told)
{
    PyObject *name = PyList_GET_ITEM(told, 0);
    Node *old = transaction->node;
    Node *new = (Node *)PyList_GET_ITEM(told, 3);
    if (name == Py_None || old == new) {
        return 0;
    }
    Lane *lane = transaction->lane;
    int is_plain = (PyObject *)old == PyList_GET_ITEM(told, 2) && new->number && lane->node == old && !lane->moves &&
                   lane == present_lane() && transaction->own && !transaction->own->count;
    if (!is_plain) { /* calls are open or over, which move along */
        Py_INCREF(old);
        PyObject *answer = PyObject_CallMethodOneArg(state.steps, name_rename, name);
        if (answer && transaction->node != old) {
            PyList_SetItem(told, 2, Py_NewRef(old));
            PyList_SetItem(told, 3, Py_NewRef(transaction->node));
        }
        Py_XDECREF(answer);
        Py_DECREF(old);
        return answer ? 0 : -1;
    }
    if (move(lane, old, new) < 0) {
        PyErr_Clear();
        return 0;
    }
    state.words[lane->base + new->slot] = new->number;
    Py_INCREF(new);
    Py_SETREF(lane->node, (Node *)Py_NewRef(new));
    Py_SETREF(transaction->node, new);
    return 0;
}

/* Tell of the open transaction what is known by its values: `detail` is (read, fields, field of the body or None, kind of
 * transaction or None for any, whether it tells the route), and a list as above is remembered by the hash of what the fields lead
 * to. 0 where Python is to look, -1 with an error. */
static HOT int
tell(Timed *self, PyObject *const *args, Py_ssize_t count, PyObject *kwnames, PyObject *result)
{
    Transaction *transaction = open_transaction();
    if (!transaction) {
        return PyErr_Occurred() ? -1 : 1;
    }
    int answer = 0;
    Way way = {0, NULL, NULL};
    PyObject *kind = PyTuple_GET_ITEM(self->detail, 3);
    int is_route = PyTuple_GET_ITEM(self->detail, 4) == Py_True;
    if ((kind != Py_None && !is_text(transaction->node->kind, kind)) || (is_route && transaction->is_routed)) {
        Py_DECREF(transaction);
        return 1;
    }
    PyObject *body = PyTuple_GET_ITEM(self->detail, 2);
    PyObject *fields = PyTuple_GET_ITEM(self->detail, 1);
    if (body != Py_None) {
        PyObject *found = read_field(body, args, count, kwnames, result, &way);
        int is_plain = found && !PyGen_CheckExact(found);
        Py_XDECREF(found);
        if (!is_plain) {
            goto done;
        }
    }
    uint64_t key = is_route ? (uint64_t)hash_of_value(transaction->route) : 1;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(fields); i++) {
        PyObject *value = read_field(PyTuple_GET_ITEM(fields, i), args, count, kwnames, result, &way);
        int is_plain = value && (PyUnicode_CheckExact(value) || PyLong_CheckExact(value) || PyBool_Check(value));
        key = is_plain ? mixed(key, (uint64_t)hash_of_value(value)) : 0;
        Py_XDECREF(value);
        if (!is_plain) {
            goto done;
        }
    }
    PyObject *told = known_span(self, (Py_hash_t)key);
    Py_XINCREF(told);
    if (!told) {
        told = call_mark(PyTuple_GET_ITEM(self->detail, 0), args, count, kwnames, result);
        if (!told || !PyList_CheckExact(told)) {
            answer = told ? 0 : -1;
            Py_XDECREF(told);
            goto done;
        }
        remember_span(self, (Py_hash_t)key, told);
    }
    long status = PyLong_AsLong(PyList_GET_ITEM(told, 1));
    if (status >= 0) {
        transaction->status = status;
    }
    transaction->is_routed |= is_route && PyList_GET_ITEM(told, 0) != Py_None;
    answer = rename_transaction(transaction, told) < 0 ? -1 : 1;
    Py_DECREF(told);
done:
    Py_XDECREF(way.value);
    Py_DECREF(transaction);
    return answer;
}

static HOT PyObject *
marked_call(PyObject *callable, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    Timed *self = (Timed *)callable;
    PyObject *result = call(self->function, args, nargsf, kwnames);
    int is_told = result && self->detail ? tell(self, args, PyVectorcall_NARGS(nargsf), kwnames, result) : 0;
    if (is_told < 0) {
        Py_CLEAR(result);
    }
    if (result && !is_told) {
        PyObject *answer = call_mark(self->name, args, PyVectorcall_NARGS(nargsf), kwnames, result);
        if (answer != Py_None) { /* a body that stands in for the result; or an error */
            Py_SETREF(result, answer);
        }
        else {
            Py_DECREF(answer);
        }
    }
    return result;
}

static HOT PyObject *
marked_before_call(PyObject *callable, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    Timed *self = (Timed *)callable;
    int is_told = self->detail ? tell(self, args, PyVectorcall_NARGS(nargsf), kwnames, Py_None) : 0;
    if (!is_told) {
        PyObject *answer = call_mark(self->name, args, PyVectorcall_NARGS(nargsf), kwnames, Py_None);
        is_told = answer ? 1 : -1;
        Py_XDECREF(answer);
    }
    if (is_told < 0) {
        return NULL;
    }
    return call(self->function, args, nargsf, kwnames);
}

static PyObject *
marked_coroutine_call(PyObject *callable, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    Timed *self = (Timed *)callable;
    PyObject *made = call(self->function, args, nargsf, kwnames);
    PyObject *followed = made ? call_mark(self->name, args, PyVectorcall_NARGS(nargsf), kwnames, made) : NULL;
    Py_XDECREF(made);
    return followed;
}

/* ---- functions that hand out callbacks: see hooks.py ---- */

/* Return a stand-in for what is handed out, or that itself; its reference is taken. NULL with an error. */
static PyObject *
replaced(PyObject *copy, PyObject *const *args, Py_ssize_t count, PyObject *kwnames, PyObject *each)
{
    PyObject *made = call_mark(copy, args, count, kwnames, each);
    if (made == Py_None) {
        Py_DECREF(made);
        return each;
    }
    Py_DECREF(each);
    return made;
}

static inline PyObject *
replaced_of(Handed *self, PyObject *each)
{
    return replaced(self->copy, self->args, self->count, self->kwnames, each);
}

static PySendResult
handed_am_send(PyObject *object, PyObject *value, PyObject **result)
{
    Handed *self = (Handed *)object;
    PySendResult outcome = PyIter_Send(self->inner, value, result);
    if (outcome == PYGEN_NEXT) {
        *result = replaced_of(self, *result);
        return *result ? PYGEN_NEXT : PYGEN_ERROR;
    }
    return outcome;
}

static PyObject *
handed_send(PyObject *self, PyObject *value)
{
    PyObject *result = NULL;
    PySendResult outcome = handed_am_send(self, value, &result);
    return as_iteration(outcome, result);
}

static HOT PyObject *
handed_next(Handed *self)
{
    PyObject *each = Py_TYPE(self->inner)->tp_iternext(self->inner);
    return each ? replaced_of(self, each) : NULL;
}

static PyObject *
handed_throw(Handed *self, PyObject *args)
{
    PyObject *method = PyObject_GetAttr(self->inner, name_throw);
    PyObject *each = method ? PyObject_CallObject(method, args) : NULL;
    Py_XDECREF(method);
    return each ? replaced_of(self, each) : NULL;
}

static PyObject *
handed_close(Handed *self, PyObject *Py_UNUSED(ignored))
{
    return PyObject_CallMethodNoArgs(self->inner, name_close);
}

static inline Py_ssize_t
all_arguments(Py_ssize_t count, PyObject *kwnames)
{
    return count + (kwnames ? PyTuple_GET_SIZE(kwnames) : 0);
}

static int
handed_traverse(Handed *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->inner);
    Py_VISIT(self->copy);
    for (Py_ssize_t i = 0; self->args && i < all_arguments(self->count, self->kwnames); i++) {
        Py_VISIT(self->args[i]);
    }
    Py_VISIT(self->kwnames);
    return 0;
}

static HOT void
handed_dealloc(Handed *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    if (self->weakrefs) {
        PyObject_ClearWeakRefs((PyObject *)self);
    }
    Py_CLEAR(self->inner);
    Py_CLEAR(self->copy);
    for (Py_ssize_t i = 0; self->args && i < all_arguments(self->count, self->kwnames); i++) {
        Py_DECREF(self->args[i]);
    }
    if (self->args != self->few) {
        PyMem_Free(self->args);
    }
    self->args = NULL;
    Py_CLEAR(self->kwnames);
    let_go(&gone_handed, (PyObject *)self);
    Py_DECREF(type);
}

static PyMethodDef handed_methods[] = {
    {"send", (PyCFunction)handed_send, METH_O, NULL},
    {"throw", (PyCFunction)handed_throw, METH_VARARGS, NULL},
    {"close", (PyCFunction)handed_close, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef handed_members[] = {
    {"__weaklistoffset__", Py_T_PYSSIZET, offsetof(Handed, weakrefs), Py_READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static int
is_empty(PyObject *value)
{
    return (PyList_CheckExact(value) && !PyList_GET_SIZE(value)) || (PyTuple_CheckExact(value) && !PyTuple_GET_SIZE(value));
}

static HOT PyObject *
handing_call(PyObject *callable, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    Timed *self = (Timed *)callable;
    Py_ssize_t count = PyVectorcall_NARGS(nargsf);
    PyObject *result = call(self->function, args, nargsf, kwnames);
    if (!result || is_empty(result)) {
        return result;
    }
    if (!PyIter_Check(result)) {
        return replaced(self->name, args, count, kwnames, result);
    }
    Py_ssize_t all = all_arguments(count, kwnames);
    Handed *handed = (Handed *)renewed(&gone_handed, HandedType);
    PyObject **room = !handed ? NULL : all <= FEW_ARGUMENTS ? handed->few : PyMem_New(PyObject *, all);
    if (!room) {
        Py_DECREF(result);
        Py_XDECREF(handed);
        return PyErr_NoMemory();
    }
    for (Py_ssize_t i = 0; i < all; i++) {
        room[i] = Py_NewRef(args[i]);
    }
    handed->inner = result;
    handed->copy = Py_NewRef(self->name);
    handed->args = room;
    handed->count = count;
    handed->kwnames = Py_XNewRef(kwnames);
    return (PyObject *)handed;
}

/* ---- a method of what another method makes: see the pack of sqlite3 ---- */

#define MOST_CHAINED 8

static HOT PyObject *
chained_call(PyObject *callable, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    Chained *self = (Chained *)callable;
    Py_ssize_t count = PyVectorcall_NARGS(nargsf);
    if (!count || count > MOST_CHAINED || kwnames) { /* neither method takes that: let the real one say so */
        return PyObject_Vectorcall(self->inner, args, nargsf, kwnames);
    }
    PyObject *first[] = {args[0], self->given};
    PyObject *made = PyObject_Vectorcall(self->make, first, 2, NULL);
    if (!made) {
        return NULL;
    }
    PyObject *changed[MOST_CHAINED];
    memcpy(changed, args, (size_t)count * sizeof *changed);
    changed[0] = made;
    PyObject *result = PyObject_Vectorcall(self->then, changed, (size_t)count, NULL);
    Py_DECREF(made);
    return result;
}

static PyObject *
chained_new(PyTypeObject *type, PyObject *args, PyObject *Py_UNUSED(kwargs))
{
    PyObject *inner, *make, *given, *then;
    if (!PyArg_ParseTuple(args, "OOOO", &inner, &make, &given, &then)) {
        return NULL;
    }
    Chained *self = (Chained *)type->tp_alloc(type, 0);
    if (self) {
        self->vectorcall = chained_call;
        self->inner = Py_NewRef(inner);
        self->make = Py_NewRef(make);
        self->given = Py_NewRef(given);
        self->then = Py_NewRef(then);
    }
    return (PyObject *)self;
}

static int
chained_traverse(Chained *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->inner);
    Py_VISIT(self->make);
    Py_VISIT(self->given);
    Py_VISIT(self->then);
    return 0;
}

static int
chained_clear(Chained *self)
{
    Py_CLEAR(self->given); /* a class, which has us in its dictionary */
    return 0;
}

static void
chained_dealloc(Chained *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    chained_clear(self);
    Py_CLEAR(self->inner);
    Py_CLEAR(self->make);
    Py_CLEAR(self->then);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *
chained_getattr(Chained *self, PyObject *name)
{
    return stand_in_getattr((PyObject *)self, self->inner, name);
}

static PyObject *
chained_repr(Chained *self)
{
    return PyObject_Repr(self->inner);
}

static PyMemberDef chained_members[] = {
    {"__vectorcalloffset__", Py_T_PYSSIZET, offsetof(Chained, vectorcall), Py_READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

/* ---- the stand-in for a callable ---- */

static PyObject *
timed_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    PyObject *function, *span, *name;
    Py_ssize_t position;
    PyObject *detail = Py_None;
    int sited = 0;
    if (kwargs && PyDict_GET_SIZE(kwargs)) {
        PyErr_SetString(PyExc_TypeError, "a stand-in takes no keyword arguments");
        return NULL;
    }
    if (!PyArg_ParseTuple(args, "OOOn|pO", &function, &span, &name, &position, &sited, &detail)) {
        return NULL;
    }
    Timed *self = (Timed *)type->tp_alloc(type, 0);
    if (!self) {
        return NULL;
    }
    self->function = Py_NewRef(function);
    self->span = span == Py_None ? NULL : Py_NewRef(span);
    self->name = name == Py_None ? NULL : Py_NewRef(name);
    self->position = position;
    self->detail = detail == Py_None ? NULL : Py_NewRef(detail);
    self->sited = sited;
    self->vectorcall = PyType_IsSubtype(type, CoroutineFunctionType)   ? coroutine_function_call
                       : PyType_IsSubtype(type, GeneratorFunctionType) ? generator_function_call
                       : PyType_IsSubtype(type, MarkedBeforeType)      ? marked_before_call
                       : PyType_IsSubtype(type, MarkedCoroutineType)   ? marked_coroutine_call
                       : PyType_IsSubtype(type, MarkedType)            ? marked_call
                       : PyType_IsSubtype(type, HandingType)           ? handing_call
                       : PyType_IsSubtype(type, ApplicationType)       ? application_call
                                                                       : timed_call;
    return (PyObject *)self;
}

static int
timed_traverse(Timed *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->function);
    Py_VISIT(self->span);
    Py_VISIT(self->name);
    Py_VISIT(self->detail);
    Py_VISIT(self->last_parent);
    Py_VISIT(self->last_span);
    Py_VISIT(self->last_node);
    for (Py_ssize_t i = 0; i < self->known_size; i++) {
        Py_VISIT(self->known[i].span);
    }
    return 0;
}

static int
timed_clear(Timed *self)
{
    Py_CLEAR(self->last_parent);
    Py_CLEAR(self->last_span);
    Py_CLEAR(self->last_node);
    forget_known(self);
    return 0;
}

static void
timed_dealloc(Timed *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    if (self->weakrefs) {
        PyObject_ClearWeakRefs((PyObject *)self);
    }
    timed_clear(self);
    Py_CLEAR(self->function);
    Py_CLEAR(self->span);
    Py_CLEAR(self->name);
    Py_CLEAR(self->detail);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *
timed_getattr(Timed *self, PyObject *name)
{
    if (name == name_wrapped || PyUnicode_Compare(name, name_wrapped) == 0) {
        return Py_NewRef(self->function);
    }
    return stand_in_getattr((PyObject *)self, self->function, name);
}

static int
timed_setattr(Timed *self, PyObject *name, PyObject *value)
{
    return PyObject_SetAttr(self->function, name, value);
}

static PyObject *
timed_repr(Timed *self)
{
    return PyObject_Repr(self->function);
}

static Py_hash_t
timed_hash(Timed *self)
{
    return PyObject_Hash(self->function);
}

static PyObject *
timed_compare(PyObject *self, PyObject *other, int operation)
{
    if (PyObject_TypeCheck(other, TimedCallableType)) {
        other = ((Timed *)other)->function;
    }
    return PyObject_RichCompare(((Timed *)self)->function, other, operation);
}

static PyObject *
timed_get(PyObject *self, PyObject *instance, PyObject *Py_UNUSED(owner))
{
    if (!instance || instance == Py_None) {
        return Py_NewRef(self);
    }
    return PyMethod_New(self, instance);
}

/* By reference, see reference.py. */
static PyObject *
timed_reduce(Timed *self, PyObject *protocol)
{
    if (PyFunction_Check(self->function) || PyCFunction_Check(self->function)) {
        PyObject *module = PyImport_ImportModule("hookmon.probe.reference");
        PyObject *answer = module ? PyObject_CallMethod(module, "reduced", "O", self->function) : NULL;
        Py_XDECREF(module);
        return answer;
    }
    return PyObject_CallMethod(self->function, "__reduce_ex__", "O", protocol);
}

static PyObject *
timed_reduce_plainly(Timed *self, PyObject *Py_UNUSED(ignored))
{
    PyObject *two = PyLong_FromLong(2);
    PyObject *answer = two ? timed_reduce(self, two) : NULL;
    Py_XDECREF(two);
    return answer;
}

static PyObject *
itself_method(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    return Py_NewRef(self);
}

static PyMethodDef timed_methods[] = {
    {"__reduce_ex__", (PyCFunction)timed_reduce, METH_O, NULL},
    {"__reduce__", (PyCFunction)timed_reduce_plainly, METH_NOARGS, NULL},
    {"__copy__", itself_method, METH_NOARGS, NULL},
    {"__deepcopy__", itself_method, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

/* For those who ask past our getattr, as pydoc does with object.__getattribute__. */
static PyObject *
timed_get_doc(Timed *self, void *Py_UNUSED(closure))
{
    return PyObject_GetAttrString(self->function, "__doc__");
}

static PyGetSetDef timed_getset[] = {
    {"__doc__", (getter)timed_get_doc, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef timed_members[] = {
    {"__vectorcalloffset__", Py_T_PYSSIZET, offsetof(Timed, vectorcall), Py_READONLY, NULL},
    {"__weaklistoffset__", Py_T_PYSSIZET, offsetof(Timed, weakrefs), Py_READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyMemberDef coroutine_members[] = {
    {"__weaklistoffset__", Py_T_PYSSIZET, offsetof(Coroutine, weakrefs), Py_READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyMemberDef generator_members[] = {
    {"__weaklistoffset__", Py_T_PYSSIZET, offsetof(Generator, weakrefs), Py_READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

/* ---- the module ---- */

static PyObject *
set_words(PyObject *Py_UNUSED(module), PyObject *view)
{
    Py_buffer buffer;
    if (PyObject_GetBuffer(view, &buffer, PyBUF_WRITABLE | PyBUF_SIMPLE) < 0) {
        return NULL;
    }
    /* The old view stays held: what was in flight may still look at it. There is one for each fork at most. */
    state.buffer = buffer;
    state.words = buffer.buf;
    Py_RETURN_NONE;
}

static PyObject *
configure(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *recorder, *steps, *root, *no_children;
    Py_ssize_t scratch_total, scratch_bucket, scratch_lane;
    long deepest;
    if (!PyArg_ParseTuple(
            args, "OOOOnnnl", &recorder, &steps, &root, &no_children, &scratch_total, &scratch_bucket, &scratch_lane, &deepest)) {
        return NULL;
    }
    state.scratch_lane = scratch_lane;
    state.deepest = deepest;
#ifdef HAS_FRAMES
    reads_frames = check_frames();
#endif
    Py_XSETREF(state.recorder, Py_NewRef(recorder));
    PyObject *members = PyObject_GetAttrString(steps, "members");
    if (!members) {
        return NULL;
    }
    Py_XSETREF(state.members, members);
#ifdef HAS_CONTEXTS
    reads_contexts = check_contexts();
#endif
#ifdef HAS_VALUES
    reads_values = check_values();
#endif
    Py_XSETREF(state.steps, Py_NewRef(steps));
    Py_XSETREF(state.root, Py_NewRef(root));
    Py_XSETREF(state.no_children, Py_NewRef(no_children));
    state.scratch_total = scratch_total;
    state.scratch_bucket = scratch_bucket;
    Py_RETURN_NONE;
}

static PyObject *
use_greenlets(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *getcurrent, *lanes;
    if (!PyArg_ParseTuple(args, "OO!", &getcurrent, &PyDict_Type, &lanes)) {
        return NULL;
    }
    Py_XSETREF(state.greenlet_lanes, Py_NewRef(lanes));
    Py_XSETREF(state.getcurrent, Py_NewRef(getcurrent));
    Py_RETURN_NONE;
}

static PyObject *
after_fork(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    state.epoch++;
    while (state.spares) {
        Py_DECREF(state.spare[--state.spares]);
    }
    while (state.thread_spares) {
        Py_DECREF(state.spare_of_thread[--state.thread_spares]);
    }
    take_ended_threads(); /* of the parent */
    Py_RETURN_NONE;
}

static PyObject *
follow_thread(PyObject *Py_UNUSED(module), PyObject *lane)
{
    if (!Py_IS_TYPE(lane, LaneType)) {
        PyErr_SetString(PyExc_TypeError, "a thread has a Lane");
        return NULL;
    }
    note_end_of_thread((Lane *)lane);
    Py_RETURN_NONE;
}

static PyObject *
finish_for_python(PyObject *Py_UNUSED(module), PyObject *args)
{
    Node *node;
    unsigned long long duration_ns;
    if (!PyArg_ParseTuple(args, "O!K", NodeType, &node, &duration_ns)) {
        return NULL;
    }
    finish(node, duration_ns);
    Py_RETURN_NONE;
}

static PyObject *
bucket_for_python(PyObject *Py_UNUSED(module), PyObject *value)
{
    unsigned long long duration_ns = PyLong_AsUnsignedLongLong(value);
    if (PyErr_Occurred()) {
        return NULL;
    }
    return PyLong_FromLong(bucket_of(duration_ns));
}

static PyObject *
use_counter(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
#ifdef HAS_COUNTER
    counter.rate = 0;
    if (look_at_clocks(&counter.ticks, &counter.ns) == 0) {
        counter.limit = 1;
    }
#endif
    Py_RETURN_NONE;
}

static PyObject *
uses_counter(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
#ifdef HAS_COUNTER
    return PyBool_FromLong(counter.limit != 0);
#else
    Py_RETURN_FALSE;
#endif
}

static PyObject *
now_for_python(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    return PyLong_FromUnsignedLongLong(now_ns());
}

static PyObject *
reads(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
#ifdef HAS_FRAMES
    return Py_BuildValue("{sNsNsNsN}", "frames", PyBool_FromLong(reads_frames), "contexts", PyBool_FromLong(reads_contexts), "trees",
                         PyBool_FromLong(branch_type != NULL), "values", PyBool_FromLong(reads_values));
#else
    return PyDict_New();
#endif
}

static PyObject *
join_from_now_on(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    state.joining = 1;
    Py_RETURN_NONE;
}

static PyMethodDef module_methods[] = {
    {"use_counter", use_counter, METH_NOARGS, "Keep time by the processor's time-stamp counter, where there is one."},
    {"uses_counter", uses_counter, METH_NOARGS, "Say whether time is kept by the counter; it no more is once it was wrong."},
    {"now_ns", now_for_python, METH_NOARGS, "Return the time of the stamps: nanoseconds of CLOCK_MONOTONIC."},
    {"settle", settle_for_python, METH_O, "Write down how often each node was called in one transaction: [Trace]."},
    {"give", give, METH_VARARGS, "Let one completed call of a node be another's: (node, other, nanoseconds, outcome)."},
    {"reads", reads, METH_NOARGS, "Say what of the interpreter is read past its interface: {what: whether it was found as expected}."},
    {"join_from_now_on", join_from_now_on, METH_NOARGS, "Let calls at the root of their lane ask for a transaction."},
    {"set_words", set_words, METH_O, "Write into this memoryview from now on."},
    {"configure", configure, METH_VARARGS, "Say where the rare things are done."},
    {"use_greenlets", use_greenlets, METH_VARARGS, "Keep lanes by greenlet: (getcurrent, {id: Lane})."},
    {"after_fork", after_fork, METH_NOARGS, "Forget the lanes of the parent process."},
    {"follow_thread", follow_thread, METH_O, "Have the lane of this thread back when it ends."},
    {"finish_response", finish_response_for_python, METH_VARARGS, "Settle a transaction, the caller's own if none is given."},
    {"finish", finish_for_python, METH_VARARGS, "Count a completed call of a node: (node, nanoseconds)."},
    {"bucket_of", bucket_for_python, METH_O, "Return the bucket of a duration, as core.histogram does."},
    {NULL, NULL, 0, NULL},
};

#define SLOT(id, function) {id, (void *)(function)}

static PyType_Slot node_slots[] = {
    SLOT(Py_tp_new, PyType_GenericNew), SLOT(Py_tp_init, node_init),       SLOT(Py_tp_dealloc, node_dealloc),
    SLOT(Py_tp_traverse, node_traverse), SLOT(Py_tp_members, node_members), SLOT(Py_tp_methods, node_methods),
    {0, NULL},
};
static PyType_Slot lane_slots[] = {
    SLOT(Py_tp_new, PyType_GenericNew),  SLOT(Py_tp_init, lane_init),   SLOT(Py_tp_dealloc, lane_dealloc),
    SLOT(Py_tp_traverse, lane_traverse), SLOT(Py_tp_members, lane_members), SLOT(Py_tp_getset, lane_getset),
    {0, NULL},
};
static PyType_Slot trace_slots[] = {
    SLOT(Py_tp_new, PyType_GenericNew), SLOT(Py_tp_dealloc, trace_dealloc), SLOT(Py_tp_methods, trace_methods), {0, NULL},
};
static PyType_Slot member_slots[] = {
    SLOT(Py_tp_new, member_new), SLOT(Py_tp_dealloc, member_dealloc), SLOT(Py_tp_traverse, member_traverse),
    SLOT(Py_tp_members, member_members), {0, NULL},
};
static PyType_Slot transaction_slots[] = {
    SLOT(Py_tp_new, transaction_new),         SLOT(Py_tp_dealloc, transaction_dealloc),
    SLOT(Py_tp_traverse, transaction_traverse), SLOT(Py_tp_clear, transaction_clear),
    SLOT(Py_tp_methods, transaction_methods), SLOT(Py_tp_members, transaction_members),
    SLOT(Py_tp_getset, transaction_getset),   {0, NULL},
};
static PyType_Slot here_slots[] = {
    SLOT(Py_tp_new, PyType_GenericNew),
    SLOT(Py_tp_dealloc, plain_dealloc),
    SLOT(Py_tp_getset, here_getset),
    {0, NULL},
};
static PyType_Slot callable_slots[] = {
    SLOT(Py_tp_new, timed_new),           SLOT(Py_tp_dealloc, timed_dealloc),   SLOT(Py_tp_traverse, timed_traverse),
    SLOT(Py_tp_clear, timed_clear),       SLOT(Py_tp_getattro, timed_getattr),  SLOT(Py_tp_setattro, timed_setattr),
    SLOT(Py_tp_repr, timed_repr),         SLOT(Py_tp_hash, timed_hash),         SLOT(Py_tp_richcompare, timed_compare),
    SLOT(Py_tp_call, PyVectorcall_Call),  SLOT(Py_tp_methods, timed_methods),   SLOT(Py_tp_members, timed_members),
    SLOT(Py_tp_getset, timed_getset),     {0, NULL},
};
static PyType_Slot binding_slots[] = {
    SLOT(Py_tp_descr_get, timed_get),
    SLOT(Py_tp_call, PyVectorcall_Call), /* inherited anyway; debug builds of CPython want it said */
    SLOT(Py_tp_members, timed_members),
    SLOT(Py_tp_getset, timed_getset),
    {0, NULL},
};
static PyType_Slot telling_slots[] = {
    SLOT(Py_tp_dealloc, telling_dealloc), SLOT(Py_tp_traverse, telling_traverse), SLOT(Py_tp_call, PyVectorcall_Call),
    SLOT(Py_tp_members, telling_members), {0, NULL},
};
static PyType_Slot handed_slots[] = {
    SLOT(Py_tp_dealloc, handed_dealloc), SLOT(Py_tp_traverse, handed_traverse),
    SLOT(Py_tp_getattro, generator_getattr), SLOT(Py_tp_setattro, generator_setattr), SLOT(Py_tp_repr, generator_repr),
    SLOT(Py_tp_methods, handed_methods), SLOT(Py_tp_members, handed_members), SLOT(Py_tp_iter, itself),
    SLOT(Py_tp_iternext, handed_next), SLOT(Py_am_send, handed_am_send), {0, NULL},
};
static PyType_Slot chained_slots[] = {
    SLOT(Py_tp_new, chained_new),         SLOT(Py_tp_dealloc, chained_dealloc),   SLOT(Py_tp_traverse, chained_traverse),
    SLOT(Py_tp_clear, chained_clear),     SLOT(Py_tp_getattro, chained_getattr),  SLOT(Py_tp_repr, chained_repr),
    SLOT(Py_tp_call, PyVectorcall_Call),  SLOT(Py_tp_members, chained_members),   SLOT(Py_tp_descr_get, timed_get),
    {0, NULL},
};
static PyType_Slot coroutine_slots[] = {
    SLOT(Py_tp_new, coroutine_new),           SLOT(Py_tp_dealloc, coroutine_dealloc),
    SLOT(Py_tp_finalize, coroutine_finalize), SLOT(Py_tp_traverse, coroutine_traverse),
    SLOT(Py_tp_clear, coroutine_clear),       SLOT(Py_tp_getattro, coroutine_getattr),
    SLOT(Py_tp_setattro, coroutine_setattr),  SLOT(Py_tp_repr, coroutine_repr),
    SLOT(Py_tp_methods, coroutine_methods),   SLOT(Py_tp_members, coroutine_members),
    SLOT(Py_tp_iternext, coroutine_next),     SLOT(Py_am_await, itself),
    SLOT(Py_am_send, coroutine_am_send),      {0, NULL},
};
static PyType_Slot generator_slots[] = {
    SLOT(Py_tp_new, generator_new),           SLOT(Py_tp_dealloc, generator_dealloc),
    SLOT(Py_tp_finalize, generator_finalize), SLOT(Py_tp_traverse, generator_traverse),
    SLOT(Py_tp_getattro, generator_getattr),  SLOT(Py_tp_setattro, generator_setattr),
    SLOT(Py_tp_repr, generator_repr),         SLOT(Py_tp_methods, generator_methods),
    SLOT(Py_tp_members, generator_members),   SLOT(Py_tp_iter, itself),
    SLOT(Py_tp_iternext, generator_next),     SLOT(Py_am_send, generator_am_send),
    {0, NULL},
};

#define PLAIN_FLAGS (Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC)
/* Immutable: only then does the interpreter specialise the look-up of a method for its class, as it does for functions. */
#define TIMED_FLAGS (PLAIN_FLAGS | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_IMMUTABLETYPE)

static PyType_Spec node_spec = {"hookmon.probe._engine.Node", sizeof(Node), 0, PLAIN_FLAGS, node_slots};
static PyType_Spec lane_spec = {"hookmon.probe._engine.Lane", sizeof(Lane), 0, PLAIN_FLAGS, lane_slots};
static PyType_Spec trace_spec = {"hookmon.probe._engine.Trace", sizeof(Trace), 0, Py_TPFLAGS_DEFAULT, trace_slots};
static PyType_Spec member_spec = {"hookmon.probe._engine.Member", sizeof(Member), 0, PLAIN_FLAGS, member_slots};
static PyType_Spec transaction_spec = {
    "hookmon.probe._engine.Transaction", sizeof(Transaction), 0, PLAIN_FLAGS, transaction_slots};
static PyType_Spec here_spec = {"hookmon.probe._engine.Here", sizeof(Here), 0, Py_TPFLAGS_DEFAULT, here_slots};
static PyType_Spec callable_spec = {
    "hookmon.probe._engine.TimedCallable", sizeof(Timed), 0, TIMED_FLAGS, callable_slots};
/* Types that go by the name of what they stand for. */
static PyType_Spec timed_spec = {
    "hookmon.probe._engine.function", sizeof(Timed), 0,
    (TIMED_FLAGS & ~Py_TPFLAGS_HAVE_GC) | Py_TPFLAGS_METHOD_DESCRIPTOR, /* the garbage collection is the base's */
    binding_slots};
static PyType_Spec timed_method_spec = {
    "hookmon.probe._engine.method_descriptor", sizeof(Timed), 0,
    (TIMED_FLAGS & ~Py_TPFLAGS_HAVE_GC) | Py_TPFLAGS_METHOD_DESCRIPTOR, binding_slots};
static PyType_Spec coroutine_spec = {
    "hookmon.probe._engine.coroutine", sizeof(Coroutine), 0, PLAIN_FLAGS, coroutine_slots};
static PyType_Spec telling_spec = {
    "hookmon.probe._engine.send", sizeof(Telling), 0,
    PLAIN_FLAGS | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_DISALLOW_INSTANTIATION, telling_slots};
static PyType_Spec handed_spec = {
    "hookmon.probe._engine.generator", sizeof(Handed), 0, PLAIN_FLAGS | Py_TPFLAGS_DISALLOW_INSTANTIATION, handed_slots};
static PyType_Spec chained_spec = {
    "hookmon.probe._engine.method_descriptor", sizeof(Chained), 0, PLAIN_FLAGS | Py_TPFLAGS_HAVE_VECTORCALL, chained_slots};
static PyType_Spec generator_spec = {
    "hookmon.probe._engine.generator", sizeof(Generator), 0, PLAIN_FLAGS, generator_slots};

static int
add_type(PyObject *module, PyTypeObject **place, PyType_Spec *spec, PyTypeObject *base, const char *name)
{
    *place = (PyTypeObject *)PyType_FromSpecWithBases(spec, (PyObject *)base);
    return *place ? PyModule_AddObjectRef(module, name, (PyObject *)*place) : -1;
}

static int
add_name(PyObject **place, const char *text)
{
    *place = PyUnicode_InternFromString(text);
    return *place ? 0 : -1;
}

static int
fill_module(PyObject *module)
{
    if (PyInterpreterState_Get() != PyInterpreterState_Main()) {
        PyErr_SetString(PyExc_ImportError, "the compiled engine serves the main interpreter only");
        return -1;
    }
    if (NodeType) { /* its types are in use: somebody emptied sys.modules, or restarted the interpreter */
        PyErr_SetString(PyExc_ImportError, "the compiled engine is loaded once in a process");
        return -1;
    }
    fill_histogram();
    if (pthread_key_create(&thread_key, thread_ended)) {
        PyErr_SetString(PyExc_ImportError, "no key for threads is left");
        return -1;
    }
    if (PyModule_AddIntConstant(module, "LAYOUT", 2) < 0) { /* core.layout.VERSION */
        return -1;
    }
    if (add_name(&no_text, "") < 0 || add_name(&name_kind, "kind") < 0 || add_name(&name_rename, "rename") < 0) {
        return -1;
    }
    if (add_name(&name_join, "join") < 0 || add_name(&name_join_from_now_on, "join_from_now_on") < 0 ||
        add_name(&name_end_left, "end_left") < 0 || add_name(&name_located, "located") < 0 ||
        add_name(&name_is_own, "is_own") < 0 || add_name(&name_new_per, "new_per") < 0 || add_name(&name_entry, "entry") < 0 ||
        add_name(&name_target, "target") < 0) {
        return -1;
    }
    if (add_name(&name_look, "look") < 0 || add_name(&name_new_node, "new_node") < 0 || add_name(&name_new_bucket, "new_bucket") < 0 ||
        add_name(&name_enter_thread, "enter_thread") < 0 || add_name(&name_free_lane, "free_lane") < 0 ||
        add_name(&name_new_lane, "new_lane") < 0 || add_name(&name_wrapped, "__wrapped__") < 0 ||
        add_name(&name_throw, "throw") < 0 || add_name(&name_close, "close") < 0 || add_name(&name_awaited, "awaited") < 0 ||
        add_name(&name_note_maker, "note_maker") < 0 || add_name(&name_timed_generator, "timed_generator") < 0 ||
        add_name(&name_asyncio, "_asyncio") < 0 ||
        add_name(&name_get_running_loop, "_get_running_loop") < 0 || add_name(&name_current_task, "current_task") < 0 ||
        add_name(&name_current_tasks, "_current_tasks") < 0) {
        return -1;
    }
    if (add_name(&name_awaiting, "awaiting") < 0 || add_name(&name_tail, "tail") < 0 || add_name(&name_type, "type") < 0 ||
        add_name(&name_status, "status") < 0 || add_name(&name_more_body, "more_body") < 0 || add_name(&text_http, "http") < 0 ||
        add_name(&text_websocket, "websocket") < 0 || add_name(&text_request, "request") < 0 ||
        add_name(&text_start, "http.response.start") < 0 || add_name(&text_body, "http.response.body") < 0 ||
        add_name(&text_pathsend, "http.response.pathsend") < 0) {
        return -1;
    }
    PyTypeObject *here_type;
    if (add_type(module, &NodeType, &node_spec, NULL, "Node") < 0 ||
        add_type(module, &LaneType, &lane_spec, NULL, "Lane") < 0 ||
        add_type(module, &TraceType, &trace_spec, NULL, "Trace") < 0 ||
        add_type(module, &MemberType, &member_spec, NULL, "Member") < 0 ||
        add_type(module, &TransactionType, &transaction_spec, NULL, "Transaction") < 0 ||
        add_type(module, &here_type, &here_spec, NULL, "Here") < 0 ||
        add_type(module, &TimedCallableType, &callable_spec, NULL, "TimedCallable") < 0 ||
        add_type(module, &TimedType, &timed_spec, TimedCallableType, "Timed") < 0 ||
        add_type(module, &CoroutineFunctionType, &timed_spec, TimedType, "TimedCoroutineFunction") < 0 ||
        add_type(module, &GeneratorFunctionType, &timed_spec, TimedType, "TimedGeneratorFunction") < 0 ||
        add_type(module, &MarkedType, &timed_spec, TimedType, "Marked") < 0 ||
        add_type(module, &MarkedBeforeType, &timed_spec, MarkedType, "MarkedBefore") < 0 ||
        add_type(module, &MarkedCoroutineType, &timed_spec, MarkedType, "MarkedCoroutineFunction") < 0 ||
        add_type(module, &ApplicationType, &timed_spec, TimedType, "Application") < 0 ||
        add_type(module, &TellingType, &telling_spec, NULL, "Telling") < 0 ||
        add_type(module, &TimedMethodType, &timed_method_spec, TimedType, "TimedMethod") < 0 ||
        add_type(module, &HandingType, &timed_spec, TimedType, "Handing") < 0 ||
        add_type(module, &HandedType, &handed_spec, NULL, "Handed") < 0 ||
        add_type(module, &ChainedType, &chained_spec, NULL, "Chained") < 0 ||
        add_type(module, &CoroutineType, &coroutine_spec, NULL, "TimedCoroutine") < 0 ||
        add_type(module, &GeneratorType, &generator_spec, NULL, "TimedGenerator") < 0) {
        return -1;
    }
    return 0;
}

static PyModuleDef_Slot module_slots[] = {
    SLOT(Py_mod_exec, fill_module),
#if PY_VERSION_HEX >= 0x030C0000
    {Py_mod_multiple_interpreters, Py_MOD_MULTIPLE_INTERPRETERS_NOT_SUPPORTED},
#endif
    {0, NULL},
};

static PyModuleDef module_definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_engine",
    .m_doc = "The hot path of the probe in C.",
    .m_size = 0,
    .m_methods = module_methods,
    .m_slots = module_slots,
};

PyMODINIT_FUNC
PyInit__engine(void)
{
    return PyModuleDef_Init(&module_definition);
}
