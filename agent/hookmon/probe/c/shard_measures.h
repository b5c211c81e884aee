/* What follows from the nodes of a shard: whether its process can have counted that, times in flight and self times, and the
 * numbers of events that hookmon's own cost is computed from. In Python these are collector/records.RawNode.is_possible,
 * collector/merge.measure and collector/cost.add_work, which say why. */
#pragma once

#include "base.h"
#include "numbers.h"
#include "shard_nodes.h"

#include <math.h>

static PyObject *
are_possible(PyObject *self, PyObject *value)
{
    ShardNodes *shard = (ShardNodes *)self;
    long long age_ns = PyLong_AsLongLong(value);
    if (age_ns == -1 && PyErr_Occurred()) {
        return NULL;
    }
    for (uint32_t index = 0; index < shard->nodes; index++) {
        const ShardNode *node = shard->node + index;
        const uint64_t *words = shard->words + node->at;
        Wide age = age_ns > 0 ? (Wide)age_ns : 0, calls = node->calls;
        if (calls * SHORTEST_CALL_NS > age || words[NODE_ERRORS] + words[NODE_INTERRUPTED] > node->calls + MOST_LANES ||
            words[NODE_MAX_NS] > age || words[NODE_TOTAL_NS] > (calls + MOST_LANES) * age) {
            Py_RETURN_FALSE;
        }
    }
    Py_RETURN_TRUE;
}

/* Add the time that calls in flight have lasted: `stacks` is a list of (index, since_ns). Says whether that is in bounds. */
static int
add_in_flight(ShardNodes *shard, PyObject *stacks, long long now_ns)
{
    for (Py_ssize_t call = 0; call < PyList_GET_SIZE(stacks); call++) {
        long long index, since_ns;
        PyObject *pair = PyList_GET_ITEM(stacks, call);
        if (!PyArg_ParseTuple(pair, "LL", &index, &since_ns)) {
            return -1;
        }
        if (index < 0 || index >= (long long)shard->nodes) {
            PyErr_SetString(PyExc_IndexError, "no node has this index");
            return -1;
        }
        Signed lasted_ns = (Signed)now_ns - since_ns;
        Signed sum = (Signed)shard->node[index].in_flight_ns + (lasted_ns > 0 ? lasted_ns : 0);
        if (sum >= (Signed)LARGEST_COUNT) {
            return 0;
        }
        shard->node[index].in_flight_ns = (uint64_t)sum;
    }
    return 1;
}

/* Scale the time of nodes that were timed by samples up to all their calls. Says whether that is in bounds. */
static int
scale_times(ShardNodes *shard)
{
    for (uint32_t index = 0; index < shard->nodes; index++) {
        ShardNode *node = shard->node + index;
        uint64_t untimed = shard->words[node->at + NODE_UNTIMED], timed = node->calls - untimed;
        if (untimed && timed) {
            Wide total_ns = (Wide)node->total_ns * node->calls / timed;
            if (total_ns >= LARGEST_COUNT) {
                return 0;
            }
            node->total_ns = (uint64_t)total_ns;
        }
    }
    return 1;
}

/* Whether two nodes have one name and target, whatever numbers these have. */
static int
is_same_call(const ShardNodes *shard, const ShardNode *a, const ShardNode *b)
{
    return is_same_text(name_of(shard, a), name_of(shard, b)) && is_same_text(path_of(shard, a), path_of(shard, b));
}

/* Find for each folded node the call of the same function around it: its index, NOBODY for none. */
static void
find_outer_calls(const ShardNodes *shard, uint32_t *outer)
{
    for (uint32_t index = 0; index < shard->nodes; index++) {
        const ShardNode *node = shard->node + index;
        int32_t above = node->flags & FLAG_FOLDED ? node->parent : -1;
        while (above >= 0 && !is_same_call(shard, shard->node + above, node)) {
            above = shard->node[above].parent;
        }
        outer[index] = above >= 0 ? (uint32_t)above : NOBODY;
    }
}

/* Set the totals of calls between an outer call and one within it. Says whether they are in bounds. */
static int
set_totals_in_recursions(ShardNodes *shard, const uint32_t *outer, Signed *totals, unsigned char *between)
{
    for (uint32_t index = 0; index < shard->nodes; index++) {
        int32_t above = outer[index] != NOBODY ? shard->node[index].parent : -1;
        for (; above >= 0 && (uint32_t)above != outer[index]; above = shard->node[above].parent) {
            between[above] = 1;
        }
    }
    for (uint32_t index = 0; index < shard->nodes; index++) {
        totals[index] = between[index] ? shard->node[index].self_ns : shard->node[index].total_ns;
    }
    for (uint32_t index = shard->nodes; index-- > 0;) { /* each after those below it */
        int32_t parent = shard->node[index].parent;
        if (parent >= 0 && between[parent] && outer[index] == NOBODY) {
            totals[parent] += totals[index];
        }
    }
    for (uint32_t index = 0; index < shard->nodes; index++) {
        if (totals[index] >= (Signed)LARGEST_COUNT) {
            return 0;
        }
        shard->node[index].total_ns = (uint64_t)totals[index];
    }
    return 1;
}

static int
set_self_times(ShardNodes *shard, Signed *own, uint32_t *outer, unsigned char *between)
{
    int has_folded = 0;
    for (uint32_t index = 0; index < shard->nodes; index++) {
        ShardNode *node = shard->node + index;
        own[index] += (Signed)node->total_ns + node->in_flight_ns;
        if (node->parent >= 0) {
            own[node->parent] -= (Signed)node->total_ns + node->in_flight_ns;
        }
        has_folded |= (node->flags & FLAG_FOLDED) != 0;
    }
    if (has_folded) {
        find_outer_calls(shard, outer);
        for (uint32_t index = 0; index < shard->nodes; index++) {
            if (outer[index] != NOBODY) {
                own[outer[index]] += own[index];
                own[index] = 0;
            }
        }
    }
    for (uint32_t index = 0; index < shard->nodes; index++) {
        ShardNode *node = shard->node + index;
        Signed self_ns = own[index] < (Signed)node->total_ns ? own[index] : (Signed)node->total_ns;
        node->self_ns = node->flags & FLAG_FLAT || self_ns < 0 ? 0 : (uint64_t)self_ns;
    }
    return !has_folded || set_totals_in_recursions(shard, outer, own, between);
}

/* measure(now_ns, stacks, scales): once. False where times are beyond all bounds: then this object is of no use any more. */
static PyObject *
measure_nodes(PyObject *self, PyObject *args)
{
    ShardNodes *shard = (ShardNodes *)self;
    PyObject *stacks;
    long long now_ns;
    int scales;
    if (!PyArg_ParseTuple(args, "LO!p", &now_ns, &PyList_Type, &stacks, &scales)) {
        return NULL;
    }
    int in_bounds = add_in_flight(shard, stacks, now_ns);
    if (in_bounds < 0) {
        return NULL;
    }
    if (!in_bounds || (scales && !scale_times(shard))) {
        Py_RETURN_FALSE;
    }
    Signed *own = PyMem_Calloc(shard->nodes + 1, sizeof(Signed));
    uint32_t *outer = PyMem_Calloc(shard->nodes + 1, sizeof(uint32_t));
    unsigned char *between = PyMem_Calloc(shard->nodes + 1, 1);
    if (own && outer && between) {
        in_bounds = set_self_times(shard, own, outer, between);
    }
    else {
        PyErr_NoMemory();
    }
    PyMem_Free(own);
    PyMem_Free(outer);
    PyMem_Free(between);
    return PyErr_Occurred() ? NULL : PyBool_FromLong(in_bounds);
}

static PyObject *
count_nodes(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    ShardNodes *shard = (ShardNodes *)self;
    uint64_t calls = 0, errors = 0;
    for (uint32_t index = 0; index < shard->nodes; index++) {
        calls += shard->node[index].calls;
        errors += shard->words[shard->node[index].at + NODE_ERRORS];
    }
    return Py_BuildValue("KK", (unsigned long long)calls, (unsigned long long)errors);
}

enum { CALL_EVENTS, STEP_EVENTS, GENERATOR_EVENTS, COROUTINE_EVENTS, WAYS_APART };
enum { BY_WRAPPER, BY_EVENTS, BY_SLOT, WAYS };

/* Half of the calls that are only counted are charged. In floating point, rounded to the even one, as Python does it. */
static inline uint64_t
charged(uint64_t calls, uint64_t untimed)
{
    return (uint64_t)rint((double)calls - (double)untimed * 0.5);
}

/* Return in how many octaves the durations of a node lie, without the first one. */
static uint32_t
further_octaves(const ShardNodes *shard, uint32_t number)
{
    uint32_t octaves = 0;
    for (uint32_t place = shard->beside[number].octaves; place != NOBODY; place = shard->octave[place].next) {
        const uint64_t *counts = counts_at(shard, shard->octave[place].at);
        uint64_t any = 0;
        for (int which = 0; which < SUB_BUCKETS; which++) {
            any |= counts[which];
        }
        octaves += any != 0;
    }
    return octaves ? octaves - 1 : 0;
}

/* Return ((calls, steps, generators, coroutines) by way, transactions, traced, sited, further octaves, [events of each node]). */
static PyObject *
events_of_nodes(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    ShardNodes *shard = (ShardNodes *)self;
    uint64_t done[WAYS * WAYS_APART] = {0}, transactions = 0, all_traced = 0, sited = 0, octaves = 0;
    unsigned char *traced = PyMem_Calloc(shard->nodes + 1, 1);
    PyObject *events = PyList_New(shard->nodes);
    if (!traced || !events) {
        PyMem_Free(traced);
        Py_XDECREF(events);
        return PyErr_NoMemory();
    }
    for (uint32_t index = 0; index < shard->nodes; index++) {
        const ShardNode *node = shard->node + index;
        uint64_t steps = shard->words[node->at + NODE_STEPS], untimed = shard->words[node->at + NODE_UNTIMED];
        int inside = node->parent >= 0 && traced[node->parent] && !(node->flags & FLAG_AFTER);
        int is_transaction = node->flags & FLAG_ENTRY && !inside;
        uint64_t *way = done + WAYS_APART * (node->flags & FLAG_BY_EVENTS ? BY_EVENTS : node->flags & FLAG_BY_SLOT ? BY_SLOT : BY_WRAPPER);
        traced[index] = inside || is_transaction;
        way[STEP_EVENTS] += steps;
        transactions += is_transaction ? node->calls : 0;
        all_traced += inside ? node->calls : 0;
        sited += node->flags & FLAG_SITED ? node->calls : 0;
        octaves += further_octaves(shard, node->number);
        if (!steps) {
            way[CALL_EVENTS] += charged(node->calls, untimed);
        }
        else {
            way[node->flags & FLAG_COROUTINE ? COROUTINE_EVENTS : GENERATOR_EVENTS] += node->calls;
        }
        PyObject *own = PyLong_FromUnsignedLongLong(node->calls + steps);
        if (!own) {
            PyMem_Free(traced);
            Py_DECREF(events);
            return NULL;
        }
        PyList_SET_ITEM(events, index, own);
    }
    PyMem_Free(traced);
    PyObject *ways = PyTuple_New(WAYS * WAYS_APART);
    for (int which = 0; ways && which < WAYS * WAYS_APART; which++) {
        PyObject *count = PyLong_FromUnsignedLongLong(done[which]);
        if (!count) {
            Py_CLEAR(ways);
            break;
        }
        PyTuple_SET_ITEM(ways, which, count);
    }
    if (!ways) {
        Py_DECREF(events);
        return NULL;
    }
    return Py_BuildValue("NKKKKN", ways, (unsigned long long)transactions, (unsigned long long)all_traced,
                         (unsigned long long)sited, (unsigned long long)octaves, events);
}
