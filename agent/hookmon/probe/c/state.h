/* The state of the process: one process has one recorder, and the module refuses to load into a second interpreter. */
#pragma once

#include "base.h"
#include "numbers.h"
#include "types.h"

/* What is rare is done in Python. `configure` takes these functions by their names, and no others: a line here is all that one
   more needs. Their types are those of `configure` in _engine.pyi. */
#define CALLBACKS(X) \
    X(call_site) \
    X(close_abandoned) \
    X(enter_thread) \
    X(flat_node) \
    X(follow_awaitable) \
    X(follow_code) \
    X(free_lane) \
    X(give_back) \
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

static struct {
    uint64_t *words;
    PyObject *getcurrent; /* greenlet.getcurrent, NULL without greenlets */
    PyObject *root;
    unsigned epoch;       /* counts forks: a lane of an earlier one is not ours */
    unsigned lane_epoch;  /* what a thread's own lane is to have: 1 + the epoch; NO_EPOCH with greenlets, where threads have none */
    int joining;          /* there has been a transaction */
    int forked;           /* this process is a fork, and `recorder` does not know of it yet: see forks.h */
    const uint64_t *control; /* the launcher's page: see control.h */
    /* a line of 64 bytes ends before here */
    int spares;
    int shared; /* the words are those of a shard, and not memory of this process */
    Py_buffer buffer;
    struct {
        CALLBACKS(DECLARE_CALLBACK)
    } callbacks; /* set once, by `configure` */
    PyObject *greenlet_lanes;
    PyObject *get_loop;      /* _asyncio._get_running_loop, NULL until the program has asyncio */
    PyObject *current_task;  /* _asyncio.current_task */
    PyObject *current_tasks; /* or the dict that it looks into up to 3.13, by loop: asking that costs half as much */
    Lane *spare[MOST_SPARE]; /* lanes of tasks that have ended, of this epoch */
    Lane *spare_of_thread[MOST_SPARE];
    int thread_spares;
    Children *no_children;
    struct Records *records; /* of the shard of this process: see records.h; NULL: there is none yet */
    PyObject *nodes;         /* list of all that have a place in the tree */
    Children *flat;          /* the nodes that stand for all callers, once the tree is full */
    unsigned last_serial;    /* of Records */
    volatile uint64_t *fork_mark; /* 1 in the process that `records` belong to: see forks.h */
    vectorcallfunc plain; /* how functions of Python are called that nobody has changed */
    uint64_t plan_taken; /* the number of the last addition to the plan: see control.h */
    PyObject *members; /* context variable: who belongs to which transaction */
} state __attribute__((aligned(64))) = {.control = no_control, .lane_epoch = 1};

enum { NO_EPOCH = -1 };

/* Begin another epoch: whatever threads and wrappers remember is not ours any more. */
static inline void
begin_epoch(void)
{
    state.epoch++;
    state.lane_epoch = state.getcurrent ? (unsigned)NO_EPOCH : state.epoch + 1;
}

/* What runs in this thread: the lane is never NULL where the epoch is the state's `lane_epoch`. */
OWN_TO_THREAD struct {
    Lane *lane;
    unsigned epoch;
} own_lane;
#define thread_lane own_lane.lane
#define thread_epoch own_lane.epoch
OWN_TO_THREAD unsigned long own_ident;

/* Return the identity of this thread, which a fork does not change. */
static inline unsigned long
thread_ident(void)
{
    if (!LIKELY(own_ident)) {
        own_ident = PyThread_get_thread_ident();
    }
    return own_ident;
}

static PyTypeObject *RecordsType, *ChildrenType, *SpanType, *TargetFieldsType;
static PyTypeObject *NodeType, *LaneType, *TraceType, *TransactionType, *MemberType, *PartType;
static PyTypeObject *TimedCallableType, *TimedType, *TimedMethodType, *CoroutineFunctionType, *GeneratorFunctionType, *SelectiveType;
static PyTypeObject *ObservedType, *ObservedBeforeType, *ObservedCoroutineType, *ApplicationType, *ObservedSendType;
static PyTypeObject *CodeEventType;
static PyTypeObject *CallbackSourceType, *CallbackIteratorType, *ChainedType, *CoroutineType, *GeneratorType;
