/* Steps of coroutines and asynchronous generators, by the events of their code: those of coroutines.h, without an object in between. */
#pragma once

#include "base.h"
#include "clock.h"
#include "coroutine_lanes.h"
#include "coroutines.h"
#include "finding.h"
#include "lanes.h"
#include "state.h"
#include "transactions.h"
#include "types.h"

/* Begin a step. The first one takes a place in the tree; a step that was thrown into, past what awaits it, takes the lane with it. -1
 * with an error that must reach the program. */
static inline __attribute__((always_inline)) int
begin_step(Coroutine *self, PyThreadState *thread)
{
    if (self->stepping) {
        return 0;
    }
    if (!self->lane) {
        if (self->ended) {
            return 0;
        }
        if (coroutine_open(self, thread) < 0) {
            if (self->duties & OWNS_LANE && self->outer) {
                coroutine_leave_lane(self);
            }
            return -1;
        }
        self->stepping = 1;
        self->step_ns = self->started_ns;
        return 0;
    }
    if ((self->duties & OWNS_LANE || self->lane->task != Py_None) && present_lane() != self->lane && coroutine_enter_lane(self) < 0) {
        return -1;
    }
    if (self->duties & IS_MEASURED) {
        coroutine_begin_part(self);
    }
    self->stepping = 1;
    self->step_ns = now_ns();
    return 0;
}

static inline __attribute__((always_inline)) void
end_step(Coroutine *self, uint64_t ended_ns)
{
    if (!self->stepping) { /* it was thrown into, and goes on without an event of that (3.11) */
        return;
    }
    self->active_ns += ended_ns > self->step_ns ? ended_ns - self->step_ns : 0;
    self->steps++;
    self->stepping = 0;
    if (self->duties & IS_MEASURED) {
        coroutine_end_part(self);
    }
    if (self->outer) {
        coroutine_leave_lane(self);
    }
}

/* The body has come to its next value, or to its end. */
static HOT void
end_run_of_body(Coroutine *step, Generator *body, uint64_t ended_ns)
{
    Lane *lane = step->lane;
    if (!lane) {
        return;
    }
    step->lane = NULL;
    if (step->node && lane->moves) {
        follow_move(lane, &step->node);
        follow_move(lane, &step->parent);
    }
    uint64_t duration_ns = ended_ns > step->started_ns ? ended_ns - step->started_ns : 0;
    body->started = 1;
    body->used_ns += duration_ns;
    body->waited_ns += duration_ns > step->active_ns ? duration_ns - step->active_ns : 0;
    body->steps += step->steps;
    step->active_ns = step->steps = 0;
    if (step->node) {
        if (lane->node != step->node) {
            close_abandoned(lane, step->node);
        }
        Py_SETREF(lane->node, (Node *)Py_NewRef(step->parent));
        state.words[lane->base + step->node->slot] = 0;
        ADD_TO(state.words[step->node->total], duration_ns);
        Py_XSETREF(body->node, (Node *)Py_NewRef(step->node));
    }
    Py_CLEAR(step->parent);
    Py_CLEAR(step->node);
    if (step->opened) {
        PyObject *opened = step->opened;
        step->opened = NULL;
        close_opened(opened);
    }
    if (step->duties & OWNS_LANE) {
        release_task_lane(lane);
    }
    step->duties = 0;
    Py_DECREF(lane);
}

/* Say whether what an asynchronous generator's frame yields is a value of it: else it waits. */
static inline int
is_own_value(PyObject *value)
{
    return !value || !strcmp(Py_TYPE(value)->tp_name, "async_generator_wrapped_value");
}
