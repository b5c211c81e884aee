/* The state of the engine: one for each interpreter of the process, and which of them is meant. */
#pragma once

#include "base.h"
#include "compat.h"
#include "interned.h"
#include "numbers.h"
#include "tables.h"
#include "types.h"

/* What is rare is done in Python. `configure` takes these functions by their names, and no others: a line here is all that one
 * more needs. Their types are those of `configure` in _engine.pyi. */
#define CALLBACKS(X) \
    X(call_site) \
    X(close_abandoned) \
    X(enter_thread) \
    X(flat_node) \
    X(follow_awaitable) \
    X(follow_code) \
    X(free_lane) \
    X(give_back) \
    X(is_expected) \
    X(is_own) \
    X(is_target_off) \
    X(join) \
    X(join_from_now_on) \
    X(keep_example) \
    X(locate) \
    X(look) \
    X(nest) \
    X(new_bucket) \
    X(new_computing) \
    X(new_lane) \
    X(new_node) \
    X(new_per_transaction) \
    X(note_maker) \
    X(notice_fork) \
    X(prefer_events) \
    X(rename) \
    X(runs_alone) \
    X(status_node) \
    X(tail) \
    X(take_new_plan) \
    X(timed_generator) \
    X(weigh) \
    X(wrap_awaitable)

#define DECLARE_CALLBACK(name) PyObject *name;

/* Where the launcher has no page, it tells nothing. */
static const uint64_t no_control[PAGE_BYTES / sizeof(uint64_t)];

/* What is changed so often that threads which run at the same time need their own: where there is no GIL each has one, see
 * free_threads.h. */
typedef struct PerThread {
    Counter counter __attribute__((aligned(64)));
    int spares;
    Lane *spare[MOST_SPARE]; /* lanes of tasks that have ended, of this epoch */
    CachedNode node_cache[NODE_CACHE_SIZE];
    int is_beginning; /* a watched frame is about to begin, of whose call its code tells: it is the innermost, its caller is wanted */
    OwnAttribute own_attributes[MOST_OWN_ATTRIBUTES];
    PyObject *spare_records[MOST_SPARE];
    int spare_record_count;
    PyObject *spare_generators[MOST_SPARE];
    int spare_generator_count;
#ifdef Py_GIL_DISABLED
    Children *children; /* of the root, in this epoch */
    unsigned epoch;
    KnownSpan known_spans[MOST_KNOWN_SPANS];
    struct PerThread *next; /* of those whose threads have ended */
#endif
} PerThread;

typedef struct Engine {
    uint64_t *words;
    PyObject *getcurrent; /* greenlet.getcurrent, NULL without greenlets */
    PyObject *root;
    unsigned epoch;       /* counts engines and forks: a lane of another one is not ours */
    unsigned lane_epoch;  /* what a thread's own lane is to have: the epoch; NO_EPOCH with greenlets, where threads have none */
    int joining;          /* there has been a transaction */
    int forked;           /* this process is a fork, and `recorder` does not know of it yet: see forks.h */
    const uint64_t *control; /* the launcher's page: see control.h */
    /* a line of 64 bytes ends before here */
    PerThread of_thread;
    int shared; /* the words are those of a shard, and not memory of this process */
    Py_buffer buffer;
    struct {
        CALLBACKS(DECLARE_CALLBACK)
    } callbacks; /* set once, by `configure` */
    PyObject *greenlet_lanes;
    PyObject *get_loop;      /* _asyncio._get_running_loop, NULL until the program has asyncio */
    PyObject *current_task;  /* _asyncio.current_task */
    PyObject *current_tasks; /* or the dict that it looks into up to 3.13, by loop: asking that costs half as much */
    Lane *spare_of_thread[MOST_SPARE];
    int thread_spares;
    Children *no_children;
    struct Records *records; /* of the shard of this process: see records.h; NULL: there is none yet */
    PyObject *nodes;         /* list of all that have a place in the tree */
    Children *flat;          /* the nodes that stand for all callers, once the tree is full */
    unsigned last_serial;    /* of Records */
    volatile uint64_t *fork_mark; /* 1 in the process that `records` belong to: see forks.h */
    vectorcallfunc plain; /* how functions of Python are called that nobody has changed */
    long forks; /* that this process is away from the one that its interpreter began in: as `recorder.forks` */
    uint64_t plan_taken; /* the number of the last addition to the plan: see control.h */
    PyObject *members; /* context variable: who belongs to which transaction */
    struct {
        PyTypeObject *RecordsType, *ChildrenType, *SpanType, *TargetFieldsType;
        PyTypeObject *NodeType, *LaneType, *TraceType, *TransactionType, *MemberType, *PartType, *TimedCallableType;
        PyTypeObject *TimedType, *TimedMethodType, *CoroutineFunctionType, *GeneratorFunctionType, *SelectiveType;
        PyTypeObject *ObservedType, *ObservedBeforeType, *ObservedCoroutineType, *ApplicationType, *ObservedSendType;
        PyTypeObject *CodeEventType, *CallbackSourceType, *CallbackIteratorType, *ChainedType, *CoroutineType;
        PyTypeObject *GeneratorType;
    } types; /* each has a name below */
    Texts texts;
    KnownFile files[MOST_FILES];
    int known_files;
    CpuClock cpu_clock;
    WatchedCodes watched_codes;
    TakenFunctions taken_functions;
    Runs runs;
    Py_ssize_t offset_of_key; /* from the address of a generator or coroutine to its key; 0 until it is known */
    PyObject *own_files; /* {file: function of a code object}: see own_files.h; NULL: there are none */
    int function_watcher; /* 1 + its number, 0: there is none */
    Freelist member_freelist, transaction_freelist, coroutine_freelist, send_freelist, callback_iterator_freelist;
    Trace *trace_freelist[MOST_FREE];
    int trace_freelist_count;
    PyObject *spare_trees[MOST_FREE]; /* see tree_swapping.h */
    int spare_trees_count;
    PyTypeObject *branch_type;
    int reads_frames, reads_contexts, reads_values;
    int reads_loops; /* 0: not known yet, -1: they are not what we take them for */
    int own_pid;
    Ended *ended_threads; /* see lanes.h */
#ifdef Py_GIL_DISABLED
    PerThread *idle; /* of threads that have ended */
    PyMutex lock; /* of what threads share; nothing is called while it is held */
    int uses_counter;
#endif
    unsigned number; /* which of all engines this is; there may have been others in this memory */
    PyInterpreterState *interpreter; /* NULL: it has ended */
    struct Engine *next; /* of all engines */
} Engine;

enum { SEED = 0x9E3779B9 };

static vectorcallfunc plain_call; /* `plain` of any of them, for what is called when its interpreter has ended */

enum { FIRST_EPOCH = 1, NO_EPOCH = -1 };
static unsigned last_epoch = FIRST_EPOCH; /* the first interpreter's */

/* The first interpreter of the process has its engine at a fixed place, which costs nothing to find. The others have theirs by a second
 * compilation of all parts, _engine_others.c: the two share no variable. */
#ifdef OTHER_INTERPRETERS
static Engine *all_engines;
static Engine *find_engine(void) __attribute__((const)); /* within a function the interpreter stays the same */
#define state (*find_engine())
#else
static Engine state = {.control = no_control, .cpu_clock.random = SEED, .epoch = FIRST_EPOCH, .lane_epoch = FIRST_EPOCH};
static Engine *const all_engines = &state;
#endif

#ifdef Py_GIL_DISABLED
static inline PerThread *present_per_thread(void);
#define per_thread (*present_per_thread())
#define ADD_TO(word, amount) ((void)__atomic_fetch_add(&(word), (uint64_t)(amount), __ATOMIC_RELAXED))
#define LOCK() PyMutex_Lock(&state.lock)
#define UNLOCK() PyMutex_Unlock(&state.lock)
#else
#define per_thread (state.of_thread)
#define ADD_TO(word, amount) ((word) += (amount))
#define LOCK() ((void)0)
#define UNLOCK() ((void)0)
#endif

/* Begin another epoch of an engine: whatever threads and wrappers remember of it is not ours any more. An epoch tells a lane of an
 * engine, from the last fork on, from all others. */
static inline void
begin_epoch(Engine *engine)
{
    engine->epoch = __atomic_add_fetch(&last_epoch, 1, __ATOMIC_RELAXED);
    engine->lane_epoch = engine->getcurrent ? (unsigned)NO_EPOCH : engine->epoch;
}

/* This process is a fork of the one that the engine has recorded in. */
static inline void
count_fork(Engine *engine)
{
    engine->forks++;
    begin_epoch(engine);
}

#include "free_threads.h"

#define RecordsType (state.types.RecordsType)
#define ChildrenType (state.types.ChildrenType)
#define SpanType (state.types.SpanType)
#define TargetFieldsType (state.types.TargetFieldsType)
#define NodeType (state.types.NodeType)
#define LaneType (state.types.LaneType)
#define TraceType (state.types.TraceType)
#define TransactionType (state.types.TransactionType)
#define MemberType (state.types.MemberType)
#define PartType (state.types.PartType)
#define TimedCallableType (state.types.TimedCallableType)
#define TimedType (state.types.TimedType)
#define TimedMethodType (state.types.TimedMethodType)
#define CoroutineFunctionType (state.types.CoroutineFunctionType)
#define GeneratorFunctionType (state.types.GeneratorFunctionType)
#define SelectiveType (state.types.SelectiveType)
#define ObservedType (state.types.ObservedType)
#define ObservedBeforeType (state.types.ObservedBeforeType)
#define ObservedCoroutineType (state.types.ObservedCoroutineType)
#define ApplicationType (state.types.ApplicationType)
#define ObservedSendType (state.types.ObservedSendType)
#define CodeEventType (state.types.CodeEventType)
#define CallbackSourceType (state.types.CallbackSourceType)
#define CallbackIteratorType (state.types.CallbackIteratorType)
#define ChainedType (state.types.ChainedType)
#define CoroutineType (state.types.CoroutineType)
#define GeneratorType (state.types.GeneratorType)

/* What runs in this thread, of the engine that has this epoch: the lane is never NULL where it is an engine's `lane_epoch`. */
OWN_TO_THREAD struct {
    Lane *lane;
    unsigned epoch;
} own_lane;
#define thread_lane own_lane.lane
#define thread_epoch own_lane.epoch
OWN_TO_THREAD unsigned long own_ident;

/* The task that ran when this thread was asked last. A task runs in a context, which is entered for each of its steps. */
typedef struct {
    uint64_t version; /* of the thread's context; 0: nobody has asked */
    void *context;
    PyObject *task;
} AskedLast;
OWN_TO_THREAD AskedLast asked_last;

/* Return the identity of this thread, which a fork does not change. */
static inline unsigned long
thread_ident(void)
{
    if (!LIKELY(own_ident)) {
        own_ident = PyThread_get_thread_ident();
    }
    return own_ident;
}
