/* The nodes of one shard, for the collector: read in one go, checked, and measured.
 *
 * In: the bytes of a shard. Out: its nodes with their counters, its strings, and where all other records stand, which are read
 * in Python. Runs in the launcher, and needs nothing of the recorder. Only what a writer of ours leaves is read here: whatever is
 * odd or makes no sense is refused, and the reader in Python (collector/shard_records) says what that means. So each index that is
 * followed here was checked, and no sum of what is kept here can overflow.
 */
#pragma once

#include "base.h"
#include "numbers.h"

#define LOW 0xFFFFFFFFu
#define SIZE_OF(head) ((head) >> 8 & 0xFFFFFF)
#define NOBODY UINT32_MAX /* where there is no index */

typedef unsigned __int128 Wide; /* of products and of sums of sums */
typedef __int128 Signed;

typedef struct {
    uint32_t at;     /* its record, in words */
    uint32_t number;
    int32_t parent;  /* index, -1 for a root */
    uint32_t name, site, target; /* strings, 0: none; target is the number of a record */
    uint64_t flags;
    uint64_t calls;
    uint64_t total_ns; /* from here on what `measure` fills in */
    uint64_t in_flight_ns;
    uint64_t self_ns;
} ShardNode;

/* What stands beside nodes, by their numbers. */
typedef struct {
    uint32_t index;   /* of the node, NOBODY for a metric or a status */
    uint32_t octaves; /* the first of a list, NOBODY for none */
    uint32_t per, computing; /* records, 0 for none */
} Beside;

typedef struct {
    uint32_t at, next;
} OctavePlace;

typedef struct {
    uint32_t at; /* 0: there is none */
    uint32_t path, kind;
} TargetOfShard;

typedef struct {
    PyObject_HEAD
    PyObject *content; /* bytes */
    PyObject *empty, *unknown; /* texts: none, and the name of a node that has none */
    const uint64_t *words;
    uint32_t end; /* in words */
    uint32_t nodes, statuses, octaves, rest;
    uint32_t numbers, texts, targets; /* lengths of the tables below: the highest number, and one for 0 */
    ShardNode *node;
    uint32_t *status; /* pairs: where it stands, the index of its parent */
    OctavePlace *octave;
    uint32_t *place; /* of all other records that are read */
    Beside *beside;
    PyObject **text;
    TargetOfShard *target;
} ShardNodes;

static int
refuse(const char *why)
{
    PyErr_SetString(PyExc_ValueError, why);
    return -1;
}

/* Return the 16 counts of an octave's record. */
static inline const uint64_t *
counts_at(const ShardNodes *shard, uint32_t at)
{
    return shard->words + at + BUCKETS_FIRST;
}

static int
are_counters(const uint64_t *words, int count)
{
    uint64_t all = 0;
    for (int word = 0; word < count; word++) {
        all |= words[word];
    }
    return all < LARGEST_COUNT; /* a power of two: each is below it */
}

/* The size that a record of a kind has that is read, 0 where any from 3 on will do, and 1 for all others. */
static uint32_t
size_of_kind(unsigned kind)
{
    switch (kind) {
    case RECORD_NODE: return NODE_WORDS;
    case RECORD_BUCKETS: return BUCKETS_WORDS;
    case RECORD_PER: return PER_WORDS;
    case RECORD_COMPUTING: return COMPUTING_WORDS;
    case RECORD_LANE: return LANE_WORDS;
    case RECORD_EXAMPLE: return EXAMPLE_WORDS;
    case RECORD_METRIC: return METRIC_WORDS;
    case RECORD_TARGET: case RECORD_WATCH: case RECORD_NOTE: return 0;
    default: return 1;
    }
}

/* Count the records, so that all tables can be made at once; refuse what is no row of records, or has numbers that are no row. */
static int
count_records(ShardNodes *shard)
{
    uint32_t at = SCRATCH;
    uint64_t numbers = 0, texts = 0, targets = 0, records = 0;
    while (at < shard->end) {
        uint64_t head = shard->words[at], size = SIZE_OF(head), number = head >> 32;
        unsigned kind = head & 0xFF;
        uint32_t wanted = size_of_kind(kind);
        if (size < 2 || at + size > shard->end) {
            return refuse("a record without an end");
        }
        records++;
        if (kind == RECORD_STRING) {
            texts = number > texts ? number : texts;
        }
        else if (wanted == size || (!wanted && size >= 3)) {
            switch (kind) {
            case RECORD_NODE: shard->nodes++; break;
            case RECORD_BUCKETS: shard->octaves++; break;
            case RECORD_PER: case RECORD_COMPUTING: break;
            case RECORD_TARGET: targets = number > targets ? number : targets; /* fall through */
            default: shard->rest++;
            }
            if (kind == RECORD_NODE || kind == RECORD_BUCKETS || kind == RECORD_PER || kind == RECORD_COMPUTING ||
                kind == RECORD_METRIC) {
                numbers = number > numbers ? number : numbers;
            }
        }
        at += (uint32_t)size;
    }
    if (numbers > records || texts > records || targets > records) {
        return refuse("a number beyond all records");
    }
    shard->numbers = (uint32_t)numbers + 1;
    shard->texts = (uint32_t)texts + 1;
    shard->targets = (uint32_t)targets + 1;
    return 0;
}

static int
make_tables(ShardNodes *shard)
{
    shard->node = PyMem_Calloc(shard->nodes + 1, sizeof(ShardNode));
    shard->status = PyMem_Calloc(shard->nodes + 1, 2 * sizeof(uint32_t));
    shard->octave = PyMem_Calloc(shard->octaves + 1, sizeof(OctavePlace));
    shard->place = PyMem_Calloc(shard->rest + 1, sizeof(uint32_t));
    shard->beside = PyMem_Calloc(shard->numbers, sizeof(Beside));
    shard->text = PyMem_Calloc(shard->texts, sizeof(PyObject *));
    shard->target = PyMem_Calloc(shard->targets, sizeof(TargetOfShard));
    if (!shard->node || !shard->status || !shard->octave || !shard->place || !shard->beside || !shard->text || !shard->target) {
        PyErr_NoMemory();
        return -1;
    }
    for (uint32_t number = 0; number < shard->numbers; number++) {
        shard->beside[number].index = shard->beside[number].octaves = NOBODY;
    }
    return 0;
}

static int
take_text(ShardNodes *shard, uint32_t at, uint64_t size, uint32_t number)
{
    uint64_t length = shard->words[at + STRING_BYTES], most = (size - STRING_FIRST) * 8;
    if (!number || shard->text[number]) {
        return refuse("a string that is there twice");
    }
    length = length < most ? length : most;
    shard->text[number] = PyUnicode_DecodeUTF8((const char *)(shard->words + at + STRING_FIRST), (Py_ssize_t)length, "replace");
    return shard->text[number] ? 0 : -1;
}

static int
take_octave(ShardNodes *shard, uint32_t at, uint32_t number)
{
    Beside *beside = shard->beside + number;
    if (shard->words[at + BUCKETS_OCTAVE] >= OCTAVES || !are_counters(counts_at(shard, at), SUB_BUCKETS)) {
        return refuse("an octave that cannot be");
    }
    shard->octave[shard->octaves] = (OctavePlace){at, beside->octaves};
    beside->octaves = shard->octaves++;
    return 0;
}

static int
take_sums(ShardNodes *shard, uint32_t at, uint32_t *place, int words)
{
    if (*place || !are_counters(shard->words + at + 1, words - 1)) {
        return refuse("sums that cannot be");
    }
    *place = at;
    return 0;
}

/* Go through the records once more and put each where it belongs; the nodes follow when all is known that they refer to. */
static int
take_records(ShardNodes *shard)
{
    uint32_t node = 0;
    shard->octaves = shard->rest = 0; /* counted again: so many are in their tables */
    for (uint32_t at = SCRATCH; at < shard->end; at += (uint32_t)SIZE_OF(shard->words[at])) {
        uint64_t head = shard->words[at], size = SIZE_OF(head);
        uint32_t number = (uint32_t)(head >> 32), wanted = size_of_kind(head & 0xFF);
        int failed = 0;
        if ((head & 0xFF) == RECORD_STRING) {
            failed = take_text(shard, at, size, number);
        }
        else if (wanted == size || (!wanted && size >= 3)) {
            switch (head & 0xFF) {
            case RECORD_NODE: shard->node[node++].at = at; break;
            case RECORD_BUCKETS: failed = take_octave(shard, at, number); break;
            case RECORD_PER: failed = take_sums(shard, at, &shard->beside[number].per, PER_WORDS); break;
            case RECORD_COMPUTING: failed = take_sums(shard, at, &shard->beside[number].computing, COMPUTING_WORDS); break;
            case RECORD_TARGET:
                if (!number || shard->target[number].at) {
                    return refuse("a target that is there twice");
                }
                shard->target[number].at = at; /* fall through */
            default: shard->place[shard->rest++] = at;
            }
        }
        if (failed) {
            return -1;
        }
    }
    return 0;
}

static inline PyObject *
text_of(const ShardNodes *shard, uint32_t number)
{
    return number ? shard->text[number] : shard->empty;
}

static inline PyObject *
name_of(const ShardNodes *shard, const ShardNode *node)
{
    PyObject *name = text_of(shard, node->name);
    return PyUnicode_GET_LENGTH(name) ? name : shard->unknown;
}

static inline PyObject *
path_of(const ShardNodes *shard, const ShardNode *node)
{
    return node->target ? text_of(shard, shard->target[node->target].path) : shard->empty;
}

static inline int
has_text(const ShardNodes *shard, uint64_t number)
{
    return !number || (number < shard->texts && shard->text[number]);
}

static int
take_targets(ShardNodes *shard)
{
    for (uint32_t number = 1; number < shard->targets; number++) {
        TargetOfShard *target = shard->target + number;
        if (target->at) {
            uint64_t path = shard->words[target->at + TARGET_PATH], kind = shard->words[target->at + TARGET_KIND_PACK] & LOW;
            if (!has_text(shard, path) || !has_text(shard, kind)) {
                return refuse("a target without a name");
            }
            target->path = (uint32_t)path;
            target->kind = (uint32_t)kind;
        }
    }
    return 0;
}

/* Set how many calls a number has by its octaves, which are of 48 kinds, each of them there once. */
static int
count_octaves(const ShardNodes *shard, uint32_t number, Wide *calls)
{
    uint64_t seen = 0;
    for (uint32_t place = shard->beside[number].octaves; place != NOBODY; place = shard->octave[place].next) {
        uint32_t at = shard->octave[place].at;
        uint64_t octave = 1ull << shard->words[at + BUCKETS_OCTAVE];
        if (seen & octave) {
            return refuse("an octave that is there twice");
        }
        seen |= octave;
        for (int bucket = 0; bucket < SUB_BUCKETS; bucket++) {
            *calls += counts_at(shard, at)[bucket];
        }
    }
    return 0;
}

/* Make a node of a record; those before it are made. `tame` is the sum of the largest counters of all, which is kept in bounds. */
static int
take_node(ShardNodes *shard, ShardNode *node, uint32_t at, Wide *tame)
{
    const uint64_t *words = shard->words + at;
    uint64_t parent = words[NODE_PARENT_NAME] & LOW, target = words[NODE_TARGET_SITE] & LOW;
    uint32_t number = (uint32_t)(*words >> 32);
    Wide calls = words[NODE_UNTIMED], largest = 0;
    if (!are_counters(words + NODE_TOTAL_NS, NODE_WORDS - NODE_TOTAL_NS)) {
        return refuse("a counter that cannot be");
    }
    if (parent && (parent >= shard->numbers || shard->beside[parent].index == NOBODY)) {
        return refuse("a node without the one above it");
    }
    if (!has_text(shard, words[NODE_PARENT_NAME] >> 32) || !has_text(shard, words[NODE_TARGET_SITE] >> 32) ||
        (target && (target >= shard->targets || !shard->target[target].at))) {
        return refuse("a node without its name");
    }
    if (count_octaves(shard, number, &calls) < 0) {
        return -1;
    }
    for (int word = NODE_TOTAL_NS; word < NODE_WORDS; word++) {
        largest = words[word] > largest ? words[word] : largest;
    }
    *tame += calls > largest ? calls : largest;
    if (*tame >= LARGEST_COUNT) {
        return refuse("counters that cannot be added up");
    }
    if (words[NODE_FLAGS] & FLAG_STATUS) {
        if (!parent) {
            return refuse("a status of no requests");
        }
        shard->status[2 * shard->statuses] = at;
        shard->status[2 * shard->statuses++ + 1] = shard->beside[parent].index;
        return 0;
    }
    if (!number || shard->beside[number].index != NOBODY) {
        return refuse("a node that is there twice");
    }
    *node = (ShardNode){
        .at = at,
        .number = number,
        .parent = parent ? (int32_t)shard->beside[parent].index : -1,
        .name = (uint32_t)(words[NODE_PARENT_NAME] >> 32),
        .site = (uint32_t)(words[NODE_TARGET_SITE] >> 32),
        .target = (uint32_t)target,
        .flags = words[NODE_FLAGS],
        .calls = (uint64_t)calls,
        .total_ns = words[NODE_TOTAL_NS],
    };
    shard->beside[number].index = shard->nodes++;
    return 0;
}

static int
take_nodes(ShardNodes *shard)
{
    uint32_t records = shard->nodes;
    Wide tame = 0;
    shard->nodes = 0; /* those that are statuses are none */
    for (uint32_t record = 0; record < records; record++) {
        if (take_node(shard, shard->node + shard->nodes, shard->node[record].at, &tame) < 0) {
            return -1;
        }
    }
    return 0;
}
