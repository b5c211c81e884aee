/* What the calls call that were put into a bytecode (3.11): the events of its code. See events.h. */
#pragma once

#include "base.h"
#include "events.h"
#include "interned.h"
#include "state.h"
#include "compat.h"
#include "types.h"

typedef struct {
    PyObject_HEAD
    vectorcallfunc vectorcall;
    Timed *timed;
    PyObject *code; /* the one it was made for, which tells what is open: the injected one is another */
    int event;
    int is_called; /* with the arguments; else it is stepped as an iterator: see patching/injection.py */
} CodeEvent;

enum { START, RETURNED, UNWOUND, YIELDED, WAITED, RESUMED, EVENTS };

/* Let the function whose frame begins be as it is without calls in it, the next time. -1 with an error. */
static RARE int
give_back(void)
{
#ifdef HAS_LOOPS /* 3.11, which alone has calls in bytecode; its frames know their functions */
    Frame *frame = running_frame();
    PyObject *function = frame ? (PyObject *)frame->function : NULL;
    if (function && PyFunction_Check(function) && code_of_function(function) == frame->code) {
        PyObject *answer = PyObject_CallOneArg(state.callbacks.give_back, function);
        Py_XDECREF(answer);
        return answer ? 0 : -1;
    }
#endif
    return 0;
}

static HOT PyObject *
code_event_call(PyObject *object, PyObject *const *args, size_t nargsf, PyObject *Py_UNUSED(kwnames))
{
    CodeEvent *self = (CodeEvent *)object;
    Timed *timed = self->timed;
    int failed = 0;
    if ((self->event == START || self->event == RESUMED) && !LIKELY(!is_due(timed)) && weigh(timed, self->code, 1) < 0) {
        return NULL;
    }
    switch (self->event) {
    case START:
        failed = LIKELY(!timed->is_given_up) ? on_start(timed, self->code, args, PyVectorcall_NARGS(nargsf)) < 0 : give_back() < 0;
        break;
    case RETURNED:
        failed = on_end(self->code, NULL) < 0;
        break;
    case UNWOUND: {
        PyObject *exception = PyErr_GetHandledException();
        failed = on_end(self->code, exception) < 0;
        Py_XDECREF(exception);
        break;
    }
    case YIELDED:
        failed = on_yield(NULL) < 0;
        break;
    case WAITED:
        failed = on_yield(Py_None) < 0;
        break;
    default:
        failed = on_resume() < 0;
    }
    return answer_event(failed);
}

static HOT PyObject *
code_event_step(PyObject *object)
{
    return code_event_call(object, NULL, 0, NULL);
}

static int
code_event_traverse(CodeEvent *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->timed);
    return 0;
}

static void
code_event_dealloc(CodeEvent *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    Py_CLEAR(self->timed);
    Py_CLEAR(self->code);
    type->tp_free(self);
    Py_DECREF(type);
}

/* A function that is pickled by value takes its constants with it, and where it is unpickled nobody counts: `"".format` takes
 * whatever it is given and does nothing, as `itertools.repeat(None)` does at each step. */
static PyObject *
code_event_reduce(CodeEvent *self, PyObject *Py_UNUSED(ignored))
{
    PyObject *module = PyImport_ImportModule(self->is_called ? "builtins" : "itertools");
    PyObject *make = module ? PyObject_GetAttrString(module, self->is_called ? "getattr" : "repeat") : NULL;
    Py_XDECREF(module);
    if (!make) {
        return NULL;
    }
    return self->is_called ? Py_BuildValue("N(ss)", make, "", "format") : Py_BuildValue("N(O)", make, Py_None);
}

static PyMethodDef code_event_methods[] = {
    {"__reduce__", (PyCFunction)code_event_reduce, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef code_event_members[] = {
    {"__vectorcalloffset__", Py_T_PYSSIZET, offsetof(CodeEvent, vectorcall), Py_READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

/* code_events(code, timed, takes_arguments, /): the callables start, returned, unwound, yielded, waited and resumed for a code object. */
static PyObject *
code_events(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *code, *timed;
    int takes_arguments;
    if (!PyArg_ParseTuple(args, "O!O!p", &PyCode_Type, &code, TimedCallableType, &timed, &takes_arguments)) {
        return NULL;
    }
    PyObject *made = PyTuple_New(EVENTS);
    for (int event = START; made && event < EVENTS; event++) {
        CodeEvent *one = (CodeEvent *)CodeEventType->tp_alloc(CodeEventType, 0);
        if (!one) {
            Py_CLEAR(made);
            break;
        }
        one->vectorcall = code_event_call;
        one->timed = (Timed *)Py_NewRef(timed);
        one->code = Py_NewRef(code);
        one->event = event;
        one->is_called = takes_arguments && event == START;
        PyObject_GC_UnTrack(one); /* there are thousands, which lead nowhere */
        PyTuple_SET_ITEM(made, event, (PyObject *)one);
    }
    return made;
}
