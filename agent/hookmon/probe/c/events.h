/* Functions that are known by their code: watched themselves, and not by a wrapper under their name. As in wrappers/events.py.
 *
 * Two ways lead here. The slot: a function is called by way of `function->vectorcall`, which is ours (CPython 3.12 and later, slots.h).
 * The call comes with its arguments and the C stack holds what is open, as in calls.h. The events of the code: sys.monitoring tells
 * when a frame of it starts, returns, yields … (3.12 and later), or calls that were put into its bytecode do (3.11, injected.h).
 * A function has the frame, the traceback, the identity and the depth of recursion that it has without us. */
#pragma once

#include "base.h"
#include "clock.h"
#include "compat.h"
#include "control.h"
#include "coroutines.h"
#include "errors.h"
#include "event_calls.h"
#include "event_steps.h"
#include "generators.h"
#include "names.h"
#include "runs.h"
#include "state.h"
#include "origins.h"
#include "types.h"
#include "watched_codes.h"
#include "weighing.h"

#define MOST_EVENT_ARGUMENTS 16

/* Read the positional arguments of the running frame, new references. Returns how many there are, -1 with an error. */
static RARE Py_ssize_t
frame_arguments(PyObject *code, PyObject **args)
{
    Py_ssize_t count = ((PyCodeObject *)code)->co_argcount;
    PyFrameObject *frame = PyThreadState_GetFrame(PyThreadState_Get());
    PyObject *names = count <= MOST_EVENT_ARGUMENTS ? PyCode_GetVarnames((PyCodeObject *)code) : NULL;
    Py_ssize_t found = 0;
    for (; frame && names && found < count; found++) {
        args[found] = frame_variable(frame, PyTuple_GET_ITEM(names, found));
        if (!args[found]) {
            break;
        }
    }
    PyErr_Clear();
    Py_XDECREF(names);
    Py_XDECREF((PyObject *)frame);
    return found;
}

/* Have a run that is named by its arguments, or by the line that it is made in. NULL: it has no name, or there is an error. */
static RARE Run *
put_named_run(Timed *timed, void *key, PyObject *code, PyObject *const *args, Py_ssize_t count)
{
    PyObject *read[MOST_EVENT_ARGUMENTS];
    Py_ssize_t held = 0;
    if (!timed->span && !args) {
        held = count = frame_arguments(code, read);
        args = read;
    }
    PyObject *span = span_of(timed, args, count, NULL);
    while (held) {
        Py_DECREF(read[--held]);
    }
    Run *run = span ? put_run(key, code, span) : NULL;
    Py_XDECREF(span);
    return run;
}

/* Find the header that the call of an entry, a coroutine, comes with. */
static RARE void
read_origin(Coroutine *record, PyObject *kind, PyObject *code, PyObject *const *args, Py_ssize_t count)
{
    PyObject *read[MOST_EVENT_ARGUMENTS];
    Py_ssize_t held = 0;
    if (!count) {
        held = count = frame_arguments(code, read);
        args = read;
    }
    record->origin = find_origin(kind, args, count, 1);
    while (held) {
        Py_DECREF(read[--held]);
    }
    PyErr_Clear();
}

static inline int
resume_generator(Run *run)
{
    Generator *generator = (Generator *)run->record;
    return generator->stepping ? 0 : generator_enter(generator, &generator->step);
}

/* A frame of a watched generator or coroutine begins: with its arguments, or, NULL, without. -1 with an error that must reach the
 * program. */
static HOT int
begin_run(Timed *timed, PyObject *code, PyObject *const *args, Py_ssize_t count)
{
    PyThreadState *thread = PyThreadState_Get();
    void *key = handled_exception(thread);
    Run *run = find_run(key);
    if (LIKELY(!run || run->code != code || has_begun(run))) { /* else it was named where it was made */
        if (LIKELY(timed->span && !is_located(timed))) {
            run = put_run(key, code, timed->span);
        }
        else {
            run = put_named_run(timed, key, code, args, count);
        }
    }
    if (!run) {
        int must_reach = PyErr_Occurred() && !PyErr_ExceptionMatches(PyExc_MemoryError);
        if (!must_reach) {
            PyErr_Clear();
        }
        return must_reach ? -1 : 0;
    }
    if (!LIKELY(Py_IS_TYPE(run->record, CoroutineType))) {
        return resume_generator(run);
    }
    Coroutine *record = (Coroutine *)run->record;
    if (!record->lane && !record->origin && entry_kind_of(timed, record->span) != Py_None) {
        read_origin(record, timed->entry_kind, code, args, count);
    }
    return begin_step(record, thread);
}

/* A frame of a watched function begins. -1 with an error that must reach the program. */
static HOT int
begin_call(Timed *timed, PyObject *code, PyObject *const *args, Py_ssize_t count)
{
    int is_entry = timed->span && !count && entry_kind_of(timed, timed->span) != Py_None;
    if (LIKELY((timed->span || args) && !is_entry)) {
        return enter_call(timed, code, args, count);
    }
    PyObject *read[MOST_EVENT_ARGUMENTS];
    Py_ssize_t held = frame_arguments(code, read);
    int answer = enter_call(timed, code, read, held);
    while (held) {
        Py_DECREF(read[--held]);
    }
    return answer;
}

/* A frame begins that is not recorded. What was begun or named under its key has gone without an event, and must not be taken for it;
 * a call inside one of the same code ends with an event of its own. -1 with an error that must reach the program. */
static RARE int
leave_out_frame(PyObject *code)
{
    if (PyErr_Occurred()) {
        return -1;
    }
    if (((PyCodeObject *)code)->co_flags & RUNS) {
        Run *run = find_run(run_key());
        if (run) {
            drop_run(take_run(run));
        }
        return PyErr_Occurred() ? -1 : 0;
    }
    Lane *lane = present_lane();
    OpenCall *call = lane && is_open_by_code(lane, code) ? push_open_call(lane) : NULL;
    if (call) {
        *call = (OpenCall){code, NULL, NULL, NULL, 0};
    }
    return 0;
}

static inline int
on_start(Timed *timed, PyObject *code, PyObject *const *args, Py_ssize_t count)
{
    if (is_off(timed)) {
        return leave_out_frame(code);
    }
    if (make_part() < 0) {
        return leave_out_frame(code);
    }
    is_beginning = 1;
    int runs_on = ((PyCodeObject *)code)->co_flags & RUNS;
    int answer = runs_on ? begin_run(timed, code, args, count) : begin_call(timed, code, args, count);
    is_beginning = 0;
    return answer;
}

/* A frame goes on, by `send` or by an exception that is thrown into it. -1 with an error that must reach the program. */
static HOT int
on_resume(void)
{
    PyThreadState *thread = PyThreadState_Get();
    Run *run = find_run(handled_exception(thread));
    if (!run) { /* it had begun before its events were asked for */
        return 0;
    }
    return Py_IS_TYPE(run->record, GeneratorType) ? resume_generator(run) : begin_step((Coroutine *)run->record, thread);
}

static HOT int
on_yield(PyObject *value)
{
    Run *run = find_run(run_key());
    if (!run) {
        return 0;
    }
    if (Py_IS_TYPE(run->record, GeneratorType)) {
        Generator *generator = (Generator *)run->record;
        return generator->stepping && generator_leave(generator, &generator->step) && PyErr_Occurred() ? -1 : 0;
    }
    else {
        uint64_t now = now_ns();
        Generator *body = run->body;
        Coroutine *step = (Coroutine *)run->record;
        end_step(step, now);
        if (body && is_own_value(value)) {
            Py_INCREF(step);
            Py_INCREF(body);
            end_run_of_body(step, body, now);
            Py_DECREF(body);
            Py_DECREF(step);
        }
    }
    return PyErr_Occurred() ? -1 : 0;
}

/* A frame ends, by an exception or, NULL, without one. */
static HOT int
on_end(PyObject *code, PyObject *exception)
{
    if (LIKELY(!(((PyCodeObject *)code)->co_flags & RUNS))) {
        return leave_call(code, exception);
    }
    uint64_t now = now_ns();
    Run *run = find_run(run_key());
    if (!run) {
        return 0;
    }
    int rare = 1;
    Run taken = take_run(run);
    set_outcome(exception);
    if (Py_IS_TYPE(taken.record, GeneratorType)) {
        Generator *generator = (Generator *)taken.record;
        if (generator->stepping) {
            generator_leave(generator, &generator->step);
        }
        generator_end(generator, 0);
    }
    else {
        Coroutine *step = (Coroutine *)taken.record;
        end_step(step, now);
        if (taken.body) {
            end_run_of_body(step, taken.body, now);
            generator_end(taken.body, 0);
        }
        else {
            rare = coroutine_end(step, exception ? ASK_ERROR : RETURNED_CALL, now);
        }
    }
    int answer = rare ? clear_outcome(exception) : 0;
    drop_run(taken);
    return answer;
}

static inline PyObject *
answer_event(int failed)
{
    if (failed) {
        return NULL;
    }
    Py_RETURN_NONE;
}

/* Return what times the code of an event that begins or resumes a frame; NULL where nothing does any more (E_ASK). */
static inline Timed *
timer_of_event(PyObject *const *args, Py_ssize_t count)
{
    Watched *watched = count > 0 ? watched_of(args[0]) : NULL;
    Timed *timed = watched ? watched->events : NULL;
    if (timed && !LIKELY(!is_due(timed))) {
        if (weigh(timed, args[0], 1)) {
            return NULL;
        }
        watched = watched_of(args[0]); /* the table may have grown */
        timed = watched ? watched->events : NULL;
    }
    return timed;
}

/* What sys.monitoring calls: (code, offset), (code, offset, value) or (code, offset, exception). The events of unwinding and throwing
 * come for all code up to 3.14. */
static HOT PyObject *
monitor_start(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count)
{
    Timed *timed = timer_of_event(args, count);
    return answer_event(timed ? on_start(timed, args[0], NULL, 0) < 0 : PyErr_Occurred() != NULL);
}

static HOT PyObject *
monitor_resume(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count)
{
    Timed *timed = timer_of_event(args, count);
    return answer_event(timed ? on_resume() < 0 : PyErr_Occurred() != NULL);
}

static HOT PyObject *
monitor_throw(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    Watched *watched = count > 0 ? watched_of(args[0]) : NULL;
    if (!watched || !(((PyCodeObject *)args[0])->co_flags & RUNS)) {
        Py_RETURN_NONE;
    }
    return monitor_resume(module, args, count);
}

static HOT PyObject *
monitor_yield(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count)
{
    Watched *watched = count > 2 ? watched_of(args[0]) : NULL;
    return answer_event(watched && watched->events && on_yield(args[2]) < 0);
}

static HOT PyObject *
monitor_return(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count)
{
    Watched *watched = count > 0 ? watched_of(args[0]) : NULL;
    return answer_event(watched && watched->events && on_end(args[0], NULL) < 0);
}

static HOT PyObject *
monitor_unwind(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count)
{
    Watched *watched = count > 2 ? watched_of(args[0]) : NULL;
    return answer_event(watched && watched->events && on_end(args[0], args[2]) < 0);
}
