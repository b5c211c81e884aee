/* What is watched, as the engine reads it: spans, and of their targets the fields on which a place of the call tree depends. */
#pragma once

#include "base.h"
#include "errors.h"
#include "interned.h"
#include "numbers.h"
#include "state.h"
#include "types.h"

static int
span_init(Span *self, PyObject *args, PyObject *kwargs)
{
    PyObject *target, *name, *site = NULL;
    if (kwargs && PyDict_GET_SIZE(kwargs)) {
        PyErr_SetString(PyExc_TypeError, "Span takes no keyword arguments");
        return -1;
    }
    if (!PyArg_ParseTuple(args, "O!U|U", TargetFieldsType, &target, &name, &site)) {
        return -1;
    }
    Py_XSETREF(self->target, (TargetFields *)Py_NewRef(target));
    Py_XSETREF(self->name, Py_NewRef(name));
    Py_XSETREF(self->site, Py_NewRef(site ? site : no_text));
    Py_XSETREF(self->made_at, Py_NewRef(no_text));
    self->serial = 0;
    return 0;
}

static int
span_traverse(Span *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->target);
    return 0;
}

static void
span_dealloc(Span *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    Py_CLEAR(self->target);
    Py_CLEAR(self->name);
    Py_CLEAR(self->site);
    Py_CLEAR(self->made_at);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMemberDef span_members[] = {
    {"target", Py_T_OBJECT_EX, offsetof(Span, target), Py_READONLY, NULL},
    {"name", Py_T_OBJECT_EX, offsetof(Span, name), Py_READONLY, NULL},
    {"site", Py_T_OBJECT_EX, offsetof(Span, site), Py_READONLY, NULL},
    {"made_at", Py_T_OBJECT_EX, offsetof(Span, made_at), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

static int
target_fields_traverse(TargetFields *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->nodes);
    Py_VISIT(self->recursions);
    return 0;
}

static void
target_fields_dealloc(TargetFields *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    Py_CLEAR(self->kind);
    Py_CLEAR(self->carrier);
    Py_CLEAR(self->package);
    Py_CLEAR(self->place);
    Py_CLEAR(self->nodes);
    Py_CLEAR(self->recursions);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMemberDef target_fields_members[] = {
    {"kind", Py_T_OBJECT_EX, offsetof(TargetFields, kind), 0, NULL},
    {"carrier", Py_T_OBJECT_EX, offsetof(TargetFields, carrier), 0, NULL},
    {"package", Py_T_OBJECT_EX, offsetof(TargetFields, package), 0, NULL},
    {"place", Py_T_OBJECT_EX, offsetof(TargetFields, place), 0, NULL},
    {"nodes", Py_T_OBJECT_EX, offsetof(TargetFields, nodes), 0, NULL},
    {"recursions", Py_T_OBJECT_EX, offsetof(TargetFields, recursions), 0, NULL},
    {"flags", Py_T_INT, offsetof(TargetFields, flags), 0, NULL},
    {"entry", Py_T_BOOL, offsetof(TargetFields, entry), 0, NULL},
    {"nested", Py_T_BOOL, offsetof(TargetFields, nested), 0, NULL},
    {"has_sites", Py_T_BOOL, offsetof(TargetFields, has_sites), 0, NULL},
    {"may_be_covered", Py_T_BOOL, offsetof(TargetFields, may_be_covered), 0, NULL},
    {"is_sampled", Py_T_BOOL, offsetof(TargetFields, is_sampled), 0, NULL},
    {"is_all_own", Py_T_BOOL, offsetof(TargetFields, is_all_own), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot target_fields_slots[] = {
    SLOT(Py_tp_new, PyType_GenericNew),
    SLOT(Py_tp_dealloc, target_fields_dealloc),
    SLOT(Py_tp_traverse, target_fields_traverse),
    SLOT(Py_tp_members, target_fields_members),
    SLOT(Py_tp_doc, "TargetFields()\n--\n\n"),
    {0, NULL},
};
static PyType_Spec target_fields_spec = {
    "hookmon.probe._engine.TargetFields", sizeof(TargetFields), 0, PLAIN_FLAGS | Py_TPFLAGS_BASETYPE, target_fields_slots};

static PyType_Slot span_slots[] = {
    SLOT(Py_tp_new, PyType_GenericNew),   SLOT(Py_tp_init, span_init),       SLOT(Py_tp_dealloc, span_dealloc),
    SLOT(Py_tp_traverse, span_traverse),  SLOT(Py_tp_members, span_members),
    SLOT(Py_tp_doc, "Span(target, name, site='', /)\n--\n\n"),
    {0, NULL},
};
static PyType_Spec span_spec = {"hookmon.probe._engine.Span", sizeof(Span), 0, PLAIN_FLAGS, span_slots};

/* Return the target of a node's span, borrowed; NULL for the root, which has none. */
static inline TargetFields *
target_of(Node *node)
{
    return node->span && Py_IS_TYPE(node->span, SpanType) ? ((Span *)node->span)->target : NULL;
}

/* Return the kind of a node's target, borrowed; NULL for the root. */
static inline PyObject *
kind_of(Node *node)
{
    TargetFields *target = target_of(node);
    return target ? target->kind : NULL;
}
