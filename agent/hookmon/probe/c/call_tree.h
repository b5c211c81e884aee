/* The call tree of a run, to which the nodes of shards are added: collector/merge.Tree has what becomes of it.
 *
 * In: ShardNodes that were measured. Out: rows as collector/rows.Node has them. Runs in the launcher, and needs nothing of the
 * recorder. A place is known by the one above it, its name, its target and its line where that tells it from others. Sums stay below
 * 2**62: who would bring them beyond that is refused, and the tree in Python goes on, whose numbers have no end.
 */
#pragma once

#include "base.h"
#include "numbers.h"
#include "shard_nodes.h"
#include "shard_rows.h"

enum { /* the sums of a place */
    OF_CALLS, OF_ERRORS, OF_INTERRUPTED, OF_TOTAL_NS, OF_SELF_NS, OF_ACTIVE_NS, OF_STEPS, OF_UNTIMED,
    OF_TRANSACTIONS, OF_REPEATED_LANES, OF_REPEATED_CALLS, OF_REPEATED_NS,
    OF_MEASURED, OF_MEASURED_FOR, OF_MEASURED_NS, OF_COMPUTED_NS, OF_BESIDE_NS,
    SUMS
};

typedef struct {
    int32_t parent;
    uint32_t name, target, site; /* texts */
    uint32_t apart; /* what else tells it from others: its site if that does, and whether it is flat */
} PlaceKey;

typedef struct {
    PlaceKey key;
    uint32_t kind;
    uint32_t octaves; /* the first of a list, NOBODY for none */
    uint64_t flags;   /* as it was made with, and FLAG_GIVEN_UP where any has it */
    int has_changed;  /* since its row was asked for */
    uint64_t sums[SUMS];
    uint64_t min_ns, max_ns, most, most_repeated;
} TreePlace;

typedef struct {
    uint64_t counts[SUB_BUCKETS];
    uint32_t octave, next;
} TreeOctave;

typedef struct {
    PyObject_HEAD
    PyObject *numbers; /* {text: its number} */
    PyObject *texts;   /* list of them */
    Wide bound;        /* no sum is larger */
    uint32_t places, room;
    TreePlace *place;
    uint32_t octaves, octave_room;
    TreeOctave *octave;
    uint32_t slots; /* a power of two */
    uint32_t *slot; /* a place and one, 0 for none, by its key */
} CallTree;

static uint32_t
hash_of_place(const PlaceKey *key)
{
    uint64_t hash = 0x9E3779B97F4A7C15u;
    const uint32_t parts[] = {(uint32_t)key->parent, key->name, key->target, key->apart};
    for (int part = 0; part < 4; part++) {
        hash = (hash ^ parts[part]) * 0xD6E8FEB86659FD93u;
        hash ^= hash >> 32;
    }
    return (uint32_t)hash;
}

static inline int
is_same_place(const PlaceKey *a, const PlaceKey *b)
{
    return a->parent == b->parent && a->name == b->name && a->target == b->target && a->apart == b->apart;
}

/* Return where a key stands in the table, or the slot that is free for it. */
static uint32_t *
slot_of(const CallTree *tree, const PlaceKey *key)
{
    for (uint32_t at = hash_of_place(key);; at++) {
        uint32_t *slot = tree->slot + (at & (tree->slots - 1));
        if (!*slot || is_same_place(&tree->place[*slot - 1].key, key)) {
            return slot;
        }
    }
}

/* Make room for so many places and octaves more. */
static int
make_room(CallTree *tree, uint32_t places, uint32_t octaves)
{
    if (tree->places + places > tree->room) {
        uint32_t room = tree->places + places + tree->room / 2;
        TreePlace *place = PyMem_Realloc(tree->place, room * sizeof(TreePlace));
        if (!place) {
            PyErr_NoMemory();
            return -1;
        }
        tree->place = place;
        tree->room = room;
    }
    if (tree->octaves + octaves > tree->octave_room) {
        uint32_t room = tree->octaves + octaves + tree->octave_room / 2;
        TreeOctave *octave = PyMem_Realloc(tree->octave, room * sizeof(TreeOctave));
        if (!octave) {
            PyErr_NoMemory();
            return -1;
        }
        tree->octave = octave;
        tree->octave_room = room;
    }
    uint32_t slots = tree->slots ? tree->slots : 1024;
    while (slots < 2 * tree->room) {
        slots *= 2;
    }
    if (slots > tree->slots) {
        uint32_t *slot = PyMem_Calloc(slots, sizeof(uint32_t));
        if (!slot) {
            PyErr_NoMemory();
            return -1;
        }
        PyMem_Free(tree->slot);
        tree->slot = slot;
        tree->slots = slots;
        for (uint32_t place = 0; place < tree->places; place++) {
            *slot_of(tree, &tree->place[place].key) = place + 1;
        }
    }
    return 0;
}

/* Return the number of a text of the tree, which is a new one where nobody knows it; -1 with an exception. */
static int64_t
number_of_text(CallTree *tree, PyObject *text)
{
    PyObject *known = PyDict_GetItemWithError(tree->numbers, text);
    if (known) {
        return PyLong_AsLongLong(known);
    }
    int64_t number = PyList_GET_SIZE(tree->texts);
    PyObject *value = PyErr_Occurred() ? NULL : PyLong_FromLongLong(number);
    if (!value) {
        return -1;
    }
    int failed = PyDict_SetItem(tree->numbers, text, value) < 0 || PyList_Append(tree->texts, text) < 0;
    Py_DECREF(value);
    return failed ? -1 : number;
}

/* Set the tree's number of a text of a shard, once. */
static int
find_text(CallTree *tree, const ShardNodes *shard, uint32_t number, uint32_t *texts)
{
    if (texts[number] == NOBODY) {
        int64_t found = number_of_text(tree, text_of(shard, number));
        if (found < 0) {
            return -1;
        }
        texts[number] = (uint32_t)found;
    }
    return 0;
}

/* Find the texts that nodes have; of notes and the like the tree needs none. */
static int
find_texts(CallTree *tree, const ShardNodes *shard, uint32_t *texts)
{
    memset(texts, 0xFF, shard->texts * sizeof(uint32_t));
    int failed = find_text(tree, shard, 0, texts);
    for (uint32_t index = 0; !failed && index < shard->nodes; index++) {
        const ShardNode *node = shard->node + index;
        const TargetOfShard *target = shard->target + node->target;
        failed = find_text(tree, shard, node->name, texts) || find_text(tree, shard, node->site, texts) ||
                 find_text(tree, shard, target->path, texts) || find_text(tree, shard, target->kind, texts);
    }
    return failed ? -1 : 0;
}

static void
add_octave(CallTree *tree, TreePlace *place, const uint64_t *words)
{
    uint32_t *link = &place->octaves;
    uint32_t which = (uint32_t)words[BUCKETS_OCTAVE];
    while (*link != NOBODY && tree->octave[*link].octave < which) {
        link = &tree->octave[*link].next;
    }
    if (*link == NOBODY || tree->octave[*link].octave != which) { /* in ascending order */
        tree->octave[tree->octaves] = (TreeOctave){.octave = which, .next = *link};
        *link = tree->octaves++;
    }
    for (int bucket = 0; bucket < SUB_BUCKETS; bucket++) {
        tree->octave[*link].counts[bucket] += words[BUCKETS_FIRST + bucket];
    }
}

static inline void
raise_to(uint64_t *most, uint64_t value)
{
    *most = value > *most ? value : *most;
}

static void
add_sums_beside(TreePlace *place, const ShardNodes *shard, const Beside *beside)
{
    if (beside->per) {
        const uint64_t *per = shard->words + beside->per;
        place->sums[OF_TRANSACTIONS] += per[PER_TRANSACTIONS];
        raise_to(&place->most, per[PER_MOST]);
        place->sums[OF_REPEATED_LANES] += per[PER_REPEATED];
        place->sums[OF_REPEATED_CALLS] += per[PER_REPEATED_CALLS];
        place->sums[OF_REPEATED_NS] += per[PER_REPEATED_NS];
        raise_to(&place->most_repeated, per[PER_MOST_REPEATED]);
    }
    if (beside->computing) {
        const uint64_t *computing = shard->words + beside->computing;
        uint64_t duration_ns = computing[COMPUTING_DURATION_NS], own_ns = computing[COMPUTING_OWN_NS];
        place->sums[OF_MEASURED] += computing[COMPUTING_MEASURED];
        place->sums[OF_MEASURED_FOR] += computing[COMPUTING_STANDS_FOR];
        place->sums[OF_MEASURED_NS] += duration_ns;
        place->sums[OF_COMPUTED_NS] += own_ns < duration_ns ? own_ns : duration_ns;
        place->sums[OF_BESIDE_NS] += computing[COMPUTING_BESIDE_NS];
    }
}

static void
add_node(CallTree *tree, TreePlace *place, const ShardNodes *shard, const ShardNode *node)
{
    const uint64_t *words = shard->words + node->at;
    const Beside *beside = shard->beside + node->number;
    uint64_t *sums = place->sums, min_ns = words[NODE_MIN_NS], max_ns = words[NODE_MAX_NS];
    if (node->calls > words[NODE_UNTIMED] && max_ns >= min_ns) {
        place->min_ns = sums[OF_CALLS] == sums[OF_UNTIMED] || min_ns < place->min_ns ? min_ns : place->min_ns;
    }
    raise_to(&place->max_ns, max_ns);
    sums[OF_CALLS] += node->calls;
    sums[OF_ERRORS] += words[NODE_ERRORS];
    sums[OF_INTERRUPTED] += words[NODE_INTERRUPTED];
    sums[OF_TOTAL_NS] += node->total_ns;
    sums[OF_SELF_NS] += node->self_ns;
    sums[OF_ACTIVE_NS] += words[NODE_ACTIVE_NS];
    sums[OF_STEPS] += words[NODE_STEPS];
    sums[OF_UNTIMED] += words[NODE_UNTIMED];
    place->flags |= node->flags & FLAG_GIVEN_UP;
    place->has_changed = 1;
    add_sums_beside(place, shard, beside);
    for (uint32_t octave = beside->octaves; octave != NOBODY; octave = shard->octave[octave].next) {
        add_octave(tree, place, shard->words + shard->octave[octave].at);
    }
}

/* Return the largest sum that a node can add to. */
static Wide
largest_of(const ShardNodes *shard, const ShardNode *node)
{
    const uint64_t *words = shard->words;
    const Beside *beside = shard->beside + node->number;
    uint64_t largest = node->total_ns > node->calls ? node->total_ns : node->calls;
    for (int word = NODE_TOTAL_NS; word < NODE_WORDS; word++) {
        raise_to(&largest, words[node->at + word]);
    }
    for (int word = 1; beside->per && word < PER_WORDS; word++) {
        raise_to(&largest, words[beside->per + word]);
    }
    for (int word = 1; beside->computing && word < COMPUTING_WORDS; word++) {
        raise_to(&largest, words[beside->computing + word]);
    }
    return largest;
}

static uint32_t
find_place(CallTree *tree, const ShardNode *node, const PlaceKey *key, uint32_t kind)
{
    uint32_t *slot = slot_of(tree, key);
    if (!*slot) {
        TreePlace *place = tree->place + tree->places++;
        *place = (TreePlace){.key = *key, .kind = kind, .octaves = NOBODY, .flags = node->flags};
        *slot = tree->places;
    }
    return *slot - 1;
}

/* Add the nodes, for which there is room; write down where each of them is. */
static void
add_nodes(CallTree *tree, const ShardNodes *shard, const uint32_t *texts, uint32_t unknown, uint32_t function, uint32_t *places)
{
    for (uint32_t index = 0; index < shard->nodes; index++) {
        const ShardNode *node = shard->node + index;
        const TargetOfShard *target = shard->target + node->target; /* that of 0 has nothing */
        int has_kind = target->kind && PyUnicode_GET_LENGTH(shard->text[target->kind]);
        int is_sited = (node->flags & FLAG_SITED) && PyUnicode_GET_LENGTH(text_of(shard, node->site));
        PlaceKey key = {
            .parent = node->parent >= 0 ? (int32_t)places[node->parent] : -1,
            .name = name_of(shard, node) == shard->unknown ? unknown : texts[node->name],
            .target = texts[target->path],
            .site = texts[node->site],
            .apart = (is_sited ? (texts[node->site] + 1) << 1 : 0) | ((node->flags & FLAG_FLAT) != 0),
        };
        places[index] = find_place(tree, node, &key, has_kind ? texts[target->kind] : function);
        add_node(tree, tree->place + places[index], shard, node);
    }
}

/* add(shard): return the place of each node; None where sums could become too large: then nothing is added. */
static PyObject *
add_shard(PyObject *self, PyObject *value)
{
    CallTree *tree = (CallTree *)self;
    ShardNodes *shard = (ShardNodes *)value;
    if (Py_TYPE(value)->tp_dealloc != shard_nodes_dealloc) {
        PyErr_SetString(PyExc_TypeError, "what is added are ShardNodes");
        return NULL;
    }
    Wide bound = tree->bound;
    for (uint32_t index = 0; index < shard->nodes; index++) {
        bound += largest_of(shard, shard->node + index);
    }
    if (bound >= LARGEST_COUNT || (uint64_t)tree->places + shard->nodes >= INT32_MAX / 4) {
        Py_RETURN_NONE;
    }
    PyObject *function_text = PyUnicode_FromString("function");
    int64_t function = function_text ? number_of_text(tree, function_text) : -1;
    int64_t unknown = function >= 0 ? number_of_text(tree, shard->unknown) : -1;
    uint32_t *texts = PyMem_Calloc(shard->texts, sizeof(uint32_t));
    uint32_t *places = PyMem_Calloc(shard->nodes + 1, sizeof(uint32_t));
    PyObject *found = NULL;
    Py_XDECREF(function_text);
    if (!texts || !places) {
        PyErr_NoMemory();
    }
    else if (unknown >= 0 && find_texts(tree, shard, texts) == 0 && make_room(tree, shard->nodes, shard->octaves) == 0) {
        found = PyList_New(shard->nodes);
    }
    if (found) {
        tree->bound = bound;
        add_nodes(tree, shard, texts, (uint32_t)unknown, (uint32_t)function, places);
        for (uint32_t index = 0; index < shard->nodes; index++) {
            PyList_SET_ITEM(found, index, PyLong_FromLong((long)places[index]));
        }
        if (PyErr_Occurred()) { /* no memory for one of them */
            Py_CLEAR(found);
        }
    }
    PyMem_Free(texts);
    PyMem_Free(places);
    return found;
}
