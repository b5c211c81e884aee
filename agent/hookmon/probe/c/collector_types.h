/* The types of the collector: ShardNodes and CallTree, which need nothing of the recorder and are not used beside one. */
#pragma once

#include "base.h"
#include "call_tree.h"
#include "call_tree_rows.h"
#include "shard_measures.h"
#include "shard_nodes.h"
#include "shard_rows.h"

static Py_ssize_t
tree_length(PyObject *self)
{
    return ((CallTree *)self)->places;
}

static PyMethodDef shard_nodes_methods[] = {
    {"are_possible", are_possible, METH_O, "are_possible(age_ns, /)\n--\n\nSay whether a process of that age can have counted all this."},
    {"measure", measure_nodes, METH_VARARGS, "measure(now_ns, stacks, scales, /)\n--\n\nSet times in flight, totals and self times; False where they are beyond all bounds."},
    {"count", count_nodes, METH_NOARGS, "count()\n--\n\nReturn (calls, errors)."},
    {"events", events_of_nodes, METH_NOARGS, "events()\n--\n\nReturn what the own cost is computed from."},
    {"strings", shard_strings, METH_NOARGS, "strings()\n--\n\nReturn {number: text}."},
    {"places", shard_places, METH_NOARGS, "places()\n--\n\nReturn where the records begin that are read in Python, in words."},
    {"statuses", shard_statuses, METH_NOARGS, "statuses()\n--\n\nReturn where each status stands, and the index of its node."},
    {"index", shard_index, METH_O, "index(number, /)\n--\n\nReturn the index of a node, -1 where there is none."},
    {"buckets", shard_buckets, METH_O, "buckets(number, /)\n--\n\nReturn {bucket: count} of a number."},
    {"row", shard_row, METH_O, "row(index, /)\n--\n\nReturn the fields of a RawNode."},
    {NULL, NULL, 0, NULL},
};

static PyMethodDef call_tree_methods[] = {
    {"add", add_shard, METH_O, "add(shard, /)\n--\n\nAdd nodes that were measured; return their places, None where sums could become too large."},
    {"take_changes", take_changes, METH_O, "take_changes(most, /)\n--\n\nReturn [(place, row)] of what has changed since it was taken last, so many at most."},
    {"row", tree_row, METH_O, "row(place, /)\n--\n\nReturn the fields of a Node."},
    {"copy", tree_copy, METH_NOARGS, "copy()\n--\n\nReturn a tree that can be added to without changing this one."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot shard_nodes_slots[] = {
    {Py_tp_new, (void *)shard_nodes_new},
    {Py_tp_dealloc, (void *)shard_nodes_dealloc},
    {Py_tp_methods, (void *)shard_nodes_methods},
    {Py_sq_length, (void *)shard_length},
    {Py_tp_doc, (void *)"ShardNodes(content, /)\n--\n\n"},
    {0, NULL},
};

static PyType_Slot call_tree_slots[] = {
    {Py_tp_new, (void *)call_tree_new},
    {Py_tp_dealloc, (void *)call_tree_dealloc},
    {Py_tp_methods, (void *)call_tree_methods},
    {Py_sq_length, (void *)tree_length},
    {Py_tp_doc, (void *)"CallTree()\n--\n\n"},
    {0, NULL},
};

static PyType_Spec shard_nodes_spec = {
    "hookmon.probe._engine.ShardNodes", sizeof(ShardNodes), 0, Py_TPFLAGS_DEFAULT, shard_nodes_slots};
static PyType_Spec call_tree_spec = {"hookmon.probe._engine.CallTree", sizeof(CallTree), 0, Py_TPFLAGS_DEFAULT, call_tree_slots};

static int
add_collector_types(PyObject *module)
{
    PyObject *shard_nodes = PyType_FromSpec(&shard_nodes_spec), *call_tree = PyType_FromSpec(&call_tree_spec);
    int failed = !shard_nodes || !call_tree || PyModule_AddObjectRef(module, "ShardNodes", shard_nodes) < 0 ||
                 PyModule_AddObjectRef(module, "CallTree", call_tree) < 0;
    Py_XDECREF(shard_nodes);
    Py_XDECREF(call_tree);
    return failed ? -1 : 0;
}
