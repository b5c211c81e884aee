/* Lanes: one for each thread, greenlet or task, and which of them is running. */
#pragma once

#include "base.h"
#include "clock.h"
#include "errors.h"
#include "forks.h"
#include "interned.h"
#include "numbers.h"
#include "state.h"
#include "thread_lanes.h"
#include "types.h"

/* Forget which nodes have moved. Their memory stays for the next transaction. */
static HOT void
forget_moves(Lane *self)
{
    LOCK();
    int moves = self->moves;
    self->moves = 0; /* first: what goes may call us */
    self->moved_depth = -1;
    UNLOCK();
    for (int i = 0; i < moves; i++) { /* where threads run at the same time nodes stay, and another one may put its own there */
        Py_DECREF(self->moved[i].from);
        Py_DECREF(self->moved[i].to);
    }
}

static inline Move *
find_move(Lane *self, Node *from)
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
move_node(Lane *self, Node *from, Node *to)
{
    LOCK();
    Move *known = find_move(self, from);
    if (known) {
        Node *before = known->to;
        known->to = (Node *)Py_NewRef(to);
        UNLOCK();
        Py_DECREF(before);
        return 0;
    }
    if (self->moves == self->moves_room) {
        int room = self->moves_room ? 2 * self->moves_room : 4;
        Move *moved = PyMem_Realloc(self->moved, (size_t)room * sizeof *moved);
        if (!moved) {
            UNLOCK();
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
    UNLOCK();
    return 0;
}

/* Let go of calls that are known by events and of whose end nobody will tell, down to `kept` of them. */
static RARE void
forget_calls(Lane *self, int kept)
{
    while (self->open_calls > kept) {
        OpenCall call = self->open[--self->open_calls];
        Py_XDECREF(call.parent);
        Py_XDECREF(call.node);
        Py_XDECREF(call.opened);
    }
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
    self->pairs = state.words + base;
    self->moved_depth = -1;
    Py_XSETREF(self->task, Py_NewRef(task));
    Py_XSETREF(self->node, (Node *)Py_NewRef(node));
    if (base != SCRATCH_LANE) {
        make_immortal((PyObject *)self);
    }
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
    for (int i = 0; i < self->open_calls; i++) {
        Py_VISIT(self->open[i].parent);
        Py_VISIT(self->open[i].node);
        Py_VISIT(self->open[i].opened);
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
    forget_calls(self, 0);
    PyMem_Free(self->moved);
    PyMem_Free(self->open);
    type->tp_free(self);
    Py_DECREF(type);
}

/* Return the lane of the running greenlet, borrowed; NULL without an error when it has none yet, or a thread has none. */
static HOT __attribute__((noinline)) Lane *
greenlet_lane(void)
{
    if (!state.getcurrent) {
        return switch_thread_lane();
    }
    if (state.forked) {
        return NULL;
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

/* Return the running lane, borrowed; NULL without an error when there is none yet. */
static inline Lane *
present_lane(void)
{
    return LIKELY(thread_epoch == state.lane_epoch) ? thread_lane : greenlet_lane();
}

/* Return the same. E_KEEP. */
static Lane *
present_lane_despite_exception(void)
{
    SavedException saved;
    exception_save(&saved);
    Lane *lane = present_lane();
    exception_restore(&saved);
    return lane;
}

static void run_lane(Lane *lane);

/* Take the lanes of threads that have ended. */
static void
take_ended_threads(void)
{
    Ended *ended = __atomic_exchange_n(&state.ended_threads, NULL, __ATOMIC_ACQUIRE);
    while (ended) {
        Ended *next = ended->next;
        Lane *lane = ended->lane;
        int is_kept = 0;
        if (ended->epoch == state.epoch && lane->base != SCRATCH_LANE) {
            Py_XSETREF(lane->node, (Node *)Py_NewRef(state.root));
            Py_CLEAR(lane->trace);
            forget_moves(lane);
            forget_calls(lane, 0);
            is_kept = keep_lane_of_thread(lane);
        }
        if (!is_kept) {
            if (ended->epoch == state.epoch) {
                PyObject *answer = PyObject_CallOneArg(state.callbacks.free_lane, (PyObject *)lane);
                Py_XDECREF(answer);
            }
            Py_DECREF(lane);
        }
        Py_XDECREF((PyObject *)ended->running);
#ifdef Py_GIL_DISABLED
        if (ended->part) {
            release_part(ended->part);
        }
#endif
        free(ended);
        ended = next;
    }
}

/* Have all that a thread needs besides its lane. -1 without an error where there is no memory. */
static inline int
begin_thread(void)
{
#ifdef Py_GIL_DISABLED
    if (!own_part) {
        if (LOAD(state.ended_threads)) {
            take_ended_threads();
        }
        if (make_part() < 0) {
            return -1;
        }
#ifdef HAS_COUNTER
        if (state.uses_counter && !counter.limit) {
            begin_counter();
        }
#endif
    }
#endif
    return 0;
}

/* Return a lane for what runs here, which has none yet, a new reference; NULL when there is none (E_ASK). */
static RARE Lane *
enter_lane(void)
{
    if (state.forked) {
        notice_fork();
        if (PyErr_Occurred()) {
            return NULL;
        }
    }
    if (begin_thread() < 0) {
        return NULL;
    }
    if (!state.getcurrent) {
        if (LOAD(state.ended_threads)) {
            take_ended_threads();
        }
        if (PyErr_Occurred()) {
            return NULL;
        }
        Lane *lane = take_lane_of_thread();
        if (lane) {
            state.words[lane->base + LANE_IDENT - LANE_FIRST] = thread_ident();
            run_lane(lane);
            follow_thread_end(lane);
            return lane;
        }
    }
    PyObject *made = PyObject_CallNoArgs(state.callbacks.enter_thread);
    if (made && !Py_IS_TYPE(made, LaneType)) {
        Py_CLEAR(made);
    }
    return (Lane *)made;
}

/* Return the running lane, a new reference, making one when needed; NULL when there is none (E_ASK). */
static inline Lane *
running_lane(void)
{
    Lane *lane = present_lane();
    return LIKELY(lane) ? (Lane *)Py_NewRef(lane) : enter_lane();
}

/* Make a lane the running one. E_KEEP. */
static HOT void
run_lane(Lane *lane)
{
    if (state.forked) { /* or the parent's lane, which a step gives back, would become one of this epoch */
        notice_fork();
    }
    if (lane) {
        lane->pairs = state.words + lane->base; /* one was made before there were words */
    }
    if (!state.getcurrent) {
        Lane *before = present_lane();
        thread_lane = (Lane *)Py_XNewRef((PyObject *)lane);
        thread_epoch = lane ? state.lane_epoch : 0;
        Py_XDECREF(before);
        return;
    }
    SavedException saved;
    exception_save(&saved);
    PyObject *greenlet = PyObject_CallNoArgs(state.getcurrent);
    PyObject *key = greenlet ? PyLong_FromVoidPtr(greenlet) : NULL;
    if (key && lane) {
        (void)PyDict_SetItem(state.greenlet_lanes, key, (PyObject *)lane);
    }
    Py_XDECREF(key);
    Py_XDECREF(greenlet);
    PyErr_Clear();
    exception_restore(&saved);
}
