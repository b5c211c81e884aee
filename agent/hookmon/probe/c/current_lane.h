/* `recorder.current` for Python: the running lane. */
#pragma once

#include "base.h"
#include "lanes.h"
#include "state.h"
#include "types.h"

typedef struct {
    PyObject_HEAD
} CurrentLane;

static PyObject *
current_lane_get_lane(PyObject *Py_UNUSED(self), void *Py_UNUSED(closure))
{
    Lane *lane = present_lane();
    if (!lane) {
        PyErr_SetString(PyExc_AttributeError, "lane");
        return NULL;
    }
    return Py_NewRef(lane);
}

static int
current_lane_set_lane(PyObject *Py_UNUSED(self), PyObject *value, void *Py_UNUSED(closure))
{
    if (!value || !Py_IS_TYPE(value, LaneType)) {
        PyErr_SetString(PyExc_TypeError, "a lane is a Lane");
        return -1;
    }
    run_lane((Lane *)value);
    return 0;
}

static PyGetSetDef current_lane_getset[] = {
    {"lane", current_lane_get_lane, current_lane_set_lane, "The Lane of the running thread; AttributeError until the first span.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static void
plain_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    type->tp_free(self);
    Py_DECREF(type);
}
