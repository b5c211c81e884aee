/* New places of the call tree: a node with its record in the shard, and the octaves of its histogram. `_new_node` and `new_bucket` of
 * recording/recorder.py are the same in Python; they are asked where there is no shard yet, no space, or something else is rare. */
#pragma once

#include "base.h"
#include "children.h"
#include "clock.h"
#include "forks.h"
#include "freelist.h"
#include "nodes.h"
#include "records.h"
#include "spans.h"
#include "state.h"
#include "types.h"

#ifndef Py_GIL_DISABLED /* where it is, `recorder` makes places: one thread at a time */
#include "call_sites.h"
#endif

/* What became of a place: it is there, it is not to be recorded, Python has to make it (perhaps with an error: E_ASK). */
typedef enum { IS_MADE, IS_COVERED, IS_FOR_PYTHON } Made;

#ifndef Py_GIL_DISABLED
/* Say whether an open span around it counts the same thing: as `is_covered` of recording/tree.py. */
static int
is_covered(Node *parent, TargetFields *target)
{
    TargetFields *outer;
    for (Node *around = parent; Py_IS_TYPE((PyObject *)around, NodeType) && (outer = target_of(around)); around = (Node *)around->parent) {
        if (outer->entry == target->entry && !outer->nested
            && (is_same_text(outer->kind, target->kind) || (target->carrier != target->kind && is_same_text(outer->kind, target->carrier)))) {
            return 1;
        }
    }
    return 0;
}

static inline int
has_items(PyObject *list)
{
    return list && PyList_CheckExact(list) && PyList_GET_SIZE(list);
}

/* Return the node of an own function's span that is `above` or further up, borrowed; NULL in a transaction: as `_find_outer`. */
static Node *
find_outer(Node *above, Span *span)
{
    Node *outer = NULL;
    if (has_items(span->target->nodes)) {
        for (Node *node = above; Py_IS_TYPE((PyObject *)node, NodeType) && target_of(node); node = (Node *)node->parent) {
            if (node->entry) {
                return NULL;
            }
            if (node->span == (PyObject *)span && !outer) {
                outer = node;
            }
        }
    }
    return outer;
}

/* Return the node below which a span's node is made, and in `outer` that of a call around it of which it is a recursion, or NULL. */
static Node *
fold_recursion(Node *parent, Span *span, Node **outer)
{
    TargetFields *target = target_of(parent);
    if (target && has_items(target->recursions)) {
        Node *found = find_outer((Node *)parent->parent, (Span *)parent->span);
        parent = found ? found : parent;
    }
    *outer = find_outer(parent, span);
    return parent;
}

/* Have the numbers of a span's name and of its target in this shard. -1: Python has to (E_ASK). */
static int
number_span(Records *records, Span *span)
{
    if (span->serial != records->serial) {
        uint32_t name = text_number(records, span->name);
        if (!name) {
            return -1;
        }
        span->name_number = name;
        span->serial = records->serial;
    }
    TargetFields *target = span->target;
    if (target->serial != records->serial) {
        PyObject *answer = PyObject_CallMethodOneArg((PyObject *)records, name_target, (PyObject *)target);
        unsigned long number = answer ? PyLong_AsUnsignedLong(answer) : 0;
        Py_XDECREF(answer);
        if (PyErr_Occurred() || !number) {
            return -1;
        }
        target->number = (uint32_t)number;
        target->serial = records->serial;
    }
    return 0;
}

/* Make the node of a span under a parent; `node` is a new reference where that is done. What may run Python comes first. From
 * `ensure_storage` on nothing does: whoever is interrupted has made nothing yet. */
static Made
make_place(Node *parent, PyObject *given, Node **node)
{
    Records *records = state.records;
    if (!records || is_unknown_fork() || !Py_IS_TYPE(given, SpanType) || (!parent->number && (PyObject *)parent != state.root)) {
        return IS_FOR_PYTHON;
    }
    Span *span = (Span *)given;
    TargetFields *target = span->target;
    if (target->may_be_covered && is_covered(parent, target)) {
        Children *children = own_children(parent);
        if (!children || make_room_for_child(children) < 0) {
            return IS_FOR_PYTHON;
        }
        set_child(children, given, Py_None);
        return IS_COVERED;
    }
    if (PyList_GET_SIZE(state.nodes) >= MOST_NODES || parent->children == state.flat) {
        PyObject *flat = child_of(state.flat, given);
        *node = (Node *)Py_XNewRef(flat);
        return flat ? IS_MADE : IS_FOR_PYTHON;
    }
    Node *outer;
    parent = fold_recursion(parent, span, &outer);
    Made made = IS_FOR_PYTHON;
    Node *fresh = NULL;
    Py_INCREF(records);
    Py_INCREF(parent);
    Py_XINCREF(outer);
    uint32_t site = site_number(records, span);
    if (PyErr_Occurred() || number_span(records, span) < 0) {
        goto done;
    }
    fresh = (Node *)alloc_untracked(NodeType);
    if (!fresh) {
        PyErr_Clear();
        goto done;
    }
    Children *below = outer ? own_children(outer) : NULL, *children = own_children(parent);
    if (!children || (outer && !below) || make_room_for_child(children) < 0 || !ensure_storage(records, NODE_WORDS)) {
        goto done;
    }
    if (state.records != records || is_unknown_fork() || (!parent->number && (PyObject *)parent != state.root) || child_of(children, given) ||
        make_room_for_child(children) < 0 || (PyObject *)children != (PyObject *)parent->children) {
        goto done; /* something has run in between, and Python looks again */
    }
    if (PyList_Append(state.nodes, (PyObject *)fresh) < 0 ||
        (target->is_all_own && PyList_Append(outer ? target->recursions : target->nodes, (PyObject *)fresh) < 0)) {
        PyErr_Clear(); /* without memory: a node that is in the first list only stands for nothing */
        goto done;
    }
    uint64_t number = ++records->nodes;
    Py_ssize_t at = take_words(records, NODE_WORDS);
    int flags = target->flags | (outer ? FLAG_FOLDED : 0) | (PyUnicode_GET_LENGTH(span->site) ? FLAG_SITED : 0);
    records->memory[at + NODE_PARENT_NAME] = parent->number | (uint64_t)span->name_number << 32;
    records->memory[at + NODE_TARGET_SITE] = target->number | (uint64_t)site << 32;
    records->memory[at + NODE_FLAGS] = (uint64_t)flags;
    publish_record(records, at, RECORD_NODE, number);
    fill_node(fresh, (PyObject *)parent, given, (uint32_t)number, at, parent->depth + 1);
    fresh->skip = target->is_sampled;
    fresh->children = below ? (Children *)Py_NewRef(below) : NULL;
    set_child(children, given, (PyObject *)fresh);
    *node = (Node *)Py_NewRef(fresh);
    made = IS_MADE;
done:
    Py_XDECREF(fresh);
    Py_XDECREF(outer);
    Py_DECREF(parent);
    Py_DECREF(records);
    return made;
}
#endif

/* Make an octave of a node and return the index of its first bucket; 0: Python has to. Nothing of Python runs. Where another thread has
 * made it meanwhile, that one is the answer: an octave is there once. */
static Py_ssize_t
make_octave(Node *node, int octave)
{
    Records *records = state.records;
    if (!records || is_unknown_fork() || !node->number) {
        return 0;
    }
    LOCK();
#ifdef Py_GIL_DISABLED
    Py_ssize_t first = other_first(node, octave);
#else
    Py_ssize_t first = 0;
#endif
    if (!first && records->used + BUCKETS_WORDS <= records->capacity && prepare_octave(node) == 0) {
        Py_ssize_t at = take_words(records, BUCKETS_WORDS);
        records->memory[at + BUCKETS_OCTAVE] = (uint64_t)octave;
        publish_record(records, at, RECORD_BUCKETS, node->number);
        first = at + BUCKETS_FIRST;
        set_octave(node, octave, (int32_t)first);
    }
    UNLOCK();
    return first;
}
