/* What the program's own functions cost, all of which are watched: now and then Python weighs one, and may give it up. As in
 * wrappers/weighing.py. */
#pragma once

#include "base.h"
#include "lanes.h"
#include "runs.h"
#include "state.h"
#include "types.h"

enum { EVENTS_UNTIL_CLOSED = 16 };

/* Say whether it is time to weigh a function, at one more event of it. */
static inline int
is_due(Timed *timed)
{
    return timed->until_weighed && !--timed->until_weighed;
}

/* Say whether a call of a code object is open in a lane; or, of a generator, a step of one in any. */
static int
is_open_by_code(Lane *lane, PyObject *code)
{
    if (((PyCodeObject *)code)->co_flags & RUNS) {
        int is_open = 0;
        LOCK();
        for (size_t i = 0; i < runs.size && !is_open; i++) {
            Run *run = &runs.entries[i];
            is_open = run->key && run->code == code && Py_IS_TYPE(run->record, GeneratorType) && ((Generator *)run->record)->stepping;
        }
        UNLOCK();
        return is_open;
    }
    for (int i = lane ? lane->open_calls - 1 : -1; i >= 0; i--) {
        if (lane->open[i].code == code) {
            return 1;
        }
    }
    return 0;
}

/* Have Python weigh a function. Where it is known by events it stays watched as long as a call of it is open in this lane: nobody would
 * tell of its end. Returns whether it is given up, -1 with an error that must reach the program. What times it may be gone then. */
static RARE int
weigh(Timed *timed, PyObject *code, int by_events)
{
    if (by_events && is_open_by_code(present_lane(), code)) {
        timed->until_weighed = EVENTS_UNTIL_CLOSED;
        timed->events += EVENTS_UNTIL_CLOSED;
        return 0;
    }
    Py_INCREF(timed);
    Py_INCREF(code);
    PyObject *events = PyLong_FromUnsignedLong(timed->events);
    PyObject *answer = events ? PyObject_CallFunctionObjArgs(state.callbacks.weigh, code, timed->span, events, NULL) : NULL;
    long next = answer ? PyLong_AsLong(answer) : 0;
    Py_XDECREF(answer);
    Py_XDECREF(events);
    timed->is_given_up = next < 0;
    timed->until_weighed = next < 0 ? 0 : (unsigned short)next;
    timed->events = timed->until_weighed;
    Py_DECREF(code);
    Py_DECREF((PyObject *)timed);
    return PyErr_Occurred() ? -1 : next < 0;
}
