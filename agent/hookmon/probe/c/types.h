/* What all parts share: limits, structs, the state of the process, names that are looked up. */

#define MOST_SPARE 32
#define MOST_FILES 1024
#define NODE_CACHE_SIZE 256
#define MOST_FREE 8
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

/* One process has one recorder; the module refuses to load into a second interpreter. */
static struct {
    uint64_t *words;
    PyObject *getcurrent; /* greenlet.getcurrent, NULL without greenlets */
    PyObject *root;
    unsigned epoch;       /* counts forks: a lane of an earlier one is not ours */
    int joining;          /* there has been a transaction */
    int forked;           /* this process is a fork, and `recorder` does not know of it yet: see forks.h */
    /* a line of 64 bytes ends before here */
    int spares;
    int shared; /* the words are those of a shard, and not memory of this process */
    Py_buffer buffer;
    PyObject *recorder; /* the module, for what is rare */
    PyObject *callbacks;
    PyObject *greenlet_lanes;
    Py_ssize_t scratch_total;
    Py_ssize_t scratch_bucket;
    Py_ssize_t scratch_lane;
    PyObject *get_loop;      /* _asyncio._get_running_loop, NULL until the program has asyncio */
    PyObject *current_task;  /* _asyncio.current_task */
    PyObject *current_tasks; /* or the dict that it looks into up to 3.13, by loop: asking that costs half as much */
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
static PyTypeObject *TransactionType, *MemberType, *ApplicationType, *ObservedSendType, *CallbackSourceType, *CallbackIteratorType, *ChainedType, *TimedMethodType;
static PyTypeObject *SelectiveType;
static PyTypeObject *CoroutineType, *GeneratorType, *TraceType, *MarkedType, *MarkedBeforeType, *MarkedCoroutineType;

static PyObject *name_new_node, *name_new_bucket, *name_enter_thread, *name_free_lane, *name_new_lane, *name_notice_fork;
static PyObject *name_look, *name_function, *name_throw, *name_close, *name_awaited;
static PyObject *name_note_maker, *name_timed_generator, *name_rename, *name_kind;
static PyObject *name_join, *name_join_from_now_on, *name_end_left, *name_located, *name_is_own, *name_new_per, *name_entry, *name_target;
static PyObject *name_awaiting, *name_tail, *name_nest, *name_type, *name_status, *name_more_body, *text_http, *text_websocket, *text_request;
static PyObject *text_start, *text_body, *text_pathsend, *no_text;
static PyObject *name_asyncio, *name_get_running_loop, *name_current_task, *name_current_tasks;
#if PY_VERSION_HEX < 0x030C0000
static PyObject *name_running_loop;
#endif

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
