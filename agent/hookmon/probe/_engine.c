/* The compiled engine: the hot path of the probe in C, as `_engine`, a module of Python.
 *
 * In: callables and their spans. Out: words in the shard. Runs in the watched process, under the GIL where there is one.
 *
 * What happens at each call is here: find the node under the one that the lane is at, publish it, call, and add to the counters
 * straight in the mapped file. No Python frame of ours is on the stack, and no lock is needed: CPython does not switch threads inside
 * a C function that calls nothing; without a GIL each thread has a call tree of its own (c/free_threads.h). What happens rarely stays
 * in Python and serves both engines: new lanes, names that were not seen yet, forks (recording/recorder.py), asynchronous generators
 * and what else `configure` is given as callbacks.
 *
 * It is one translation unit. Its parts are the headers in `c`, each of which includes what it uses; docs/architecture.md has a map of
 * them, and c/types.h says what must hold in all of them. Here are the types and the module.
 */

#include "c/base.h"
#include "c/interpreters.h" /* first: other parts give what an engine keeps names of their own */
#include "c/asgi.h"
#include "c/callables.h"
#include "c/chained.h"
#include "c/children.h"
#include "c/control.h"
#include "c/collector_types.h"
#include "c/coroutines.h"
#include "c/counting.h"
#include "c/current_lane.h"
#include "c/events.h"
#include "c/injected.h"
#include "c/slots.h"
#include "c/forks.h"
#include "c/generators.h"
#include "c/histogram.h"
#include "c/hooks.h"
#include "c/interned.h"
#include "c/lane_fields.h"
#include "c/lanes.h"
#include "c/observers.h"
#include "c/membership.h"
#include "c/module_functions.h"
#include "c/nodes.h"
#include "c/numbers.h"
#include "c/places.h"
#include "c/records.h"
#include "c/response.h"
#include "c/spans.h"
#include "c/stand_ins.h"
#include "c/state.h"
#include "c/traces.h"
#include "c/transaction_fields.h"
#include "c/transactions.h"
#include "c/types.h"

#include <pthread.h>

static PyMethodDef module_methods[] = {
    {"use_counter", use_counter, METH_NOARGS, "Keep time by the processor's time-stamp counter, where there is one."},
    {"uses_counter", uses_counter, METH_NOARGS, "Say whether time is kept by the counter; it no more is once it was wrong."},
    {"now_ns", now_for_python, METH_NOARGS, "Return the time of the stamps: nanoseconds of CLOCK_MONOTONIC."},
    {"settle", settle_for_python, METH_O, "settle(traces, /)\n--\n\nWrite down how often each node was called in one transaction."},
    {"give", move_call, METH_VARARGS, "give(node, other, duration_ns, outcome, /)\n--\n\nLet one completed call of a node be another's."},
    {"reads", reads, METH_NOARGS, "Say what is read past CPython's interface: {what: whether it is laid out as expected, None: not known yet}."},
    {"join_from_now_on", join_from_now_on, METH_NOARGS, "join_from_now_on()\n--\n\nLet calls at the root of their lane ask for a transaction."},
    {"set_words", set_words, METH_VARARGS, "set_words(view, shared, /)\n--\n\nWrite into this memoryview from now on; say whether a shard is behind it."},
    {"map_control", map_control, METH_O, "map_control(descriptor, /)\n--\n\nMap the launcher's page for reading."},
    {"unmap_control", unmap_control, METH_NOARGS, "unmap_control()\n--\n\nLet go of the launcher's page."},
    {"switch_now", switch_for_python, METH_NOARGS, "switch_now()\n--\n\nReturn the switch as it is now, 0 while nothing is off."},
    {"plan_number", plan_for_python, METH_NOARGS, "plan_number()\n--\n\nReturn the number of the newest addition to the plan, 0 where there is none."},
    {"control_page", control_page, METH_NOARGS, "control_page()\n--\n\nReturn a copy of the launcher's page."},
    {"window_length_ns", window_length, METH_NOARGS, "window_length_ns()\n--\n\nReturn how long windows are now, 0 where there are none."},
    {"cover_words", cover_words, METH_NOARGS, "cover_words()\n--\n\nPut memory of our own over the shard, for good."},
    {"use_records", use_records, METH_VARARGS, "use_records(records, nodes, flat, /)\n--\n\nWrite new places of the call tree there, from now on."},
    {"configure", (PyCFunction)(void (*)(void))configure, METH_VARARGS | METH_KEYWORDS, "Say where the rare things are done."},
    {"use_greenlets", use_greenlets, METH_VARARGS, "use_greenlets(getcurrent, lanes, /)\n--\n\nKeep lanes by greenlet."},
    {"after_fork", after_fork, METH_NOARGS, "after_fork()\n--\n\nForget the lanes of the parent process."},
    {"follow_thread", follow_thread, METH_O, "follow_thread(lane, /)\n--\n\nHave the lane of this thread back when it ends."},
    {"finish_response", finish_response_for_python, METH_VARARGS, "finish_response(transaction=None, /)\n--\n\nSettle a transaction, the caller's own if none is given."},
    {"count_call", count_call_for_python, METH_VARARGS, "count_call(node, duration_ns, /)\n--\n\nCount a completed call of a node."},
    {"watch_code", watch_code, METH_VARARGS, "watch_code(code, slot, events, /)\n--\n\nTime the calls of a code object: by the slots of its functions, by events."},
    {"watch_file", watch_file, METH_VARARGS, "watch_file(file, begin, /)\n--\n\nHave begin(code) called at the first call of each function of a file; say whether that can be."},
    {"watched_by", watched_by, METH_O, "watched_by(code, /)\n--\n\nReturn (slot, events): what times a code object, or None."},
    {"take_function", take_function, METH_VARARGS, "take_function(function, is_taken, /)\n--\n\nHave a function called by way of us, or no more; say whether it is."},
    {"time_function", time_function, METH_VARARGS, "time_function(function, timer, /)\n--\n\nTime one function, and not others with the same code; say whether that is possible."},
    {"span_of_function", span_of_function, METH_O, "span_of_function(function, /)\n--\n\nReturn the span under which one function is timed, or None."},
    {"forget_functions", forget_functions, METH_NOARGS, "forget_functions()\n--\n\nBe told no more of functions that are made, and time none of those that were timed one by one."},
    {"running_key", key_for_python, METH_NOARGS, "running_key()\n--\n\nReturn the key of the running generator."},
    {"measure_key", measure_key, METH_VARARGS, "measure_key(generator, key, /)\n--\n\nLearn where generators have their key; say whether it is in them."},
    {"untrack", (PyCFunction)(void (*)(void))untrack, METH_FASTCALL, "untrack(*objects)\n--\n\nKeep objects of ours from the garbage collector."},
    {"code_events", code_events, METH_VARARGS, "code_events(code, timed, takes_arguments, /)\n--\n\nReturn what calls in a bytecode are to call."},
    {"on_start", (PyCFunction)(void (*)(void))monitor_start, METH_FASTCALL, NULL},
    {"on_resume", (PyCFunction)(void (*)(void))monitor_resume, METH_FASTCALL, NULL},
    {"on_throw", (PyCFunction)(void (*)(void))monitor_throw, METH_FASTCALL, NULL},
    {"on_yield", (PyCFunction)(void (*)(void))monitor_yield, METH_FASTCALL, NULL},
    {"on_return", (PyCFunction)(void (*)(void))monitor_return, METH_FASTCALL, NULL},
    {"on_unwind", (PyCFunction)(void (*)(void))monitor_unwind, METH_FASTCALL, NULL},
    {"bucket_of", bucket_for_python, METH_O, "Return the bucket of a duration, as core.histogram does."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot node_slots[] = {
    SLOT(Py_tp_new, PyType_GenericNew), SLOT(Py_tp_init, node_init),       SLOT(Py_tp_dealloc, node_dealloc),
    SLOT(Py_tp_traverse, node_traverse), SLOT(Py_tp_members, node_members), SLOT(Py_tp_methods, node_methods),
    SLOT(Py_tp_getset, node_getset),
    SLOT(Py_tp_doc, "Node(parent, span, number, at, depth, /)\n--\n\n"),
    {0, NULL},
};
static PyType_Slot lane_slots[] = {
    SLOT(Py_tp_new, PyType_GenericNew),  SLOT(Py_tp_init, lane_init),   SLOT(Py_tp_dealloc, lane_dealloc),
    SLOT(Py_tp_traverse, lane_traverse), SLOT(Py_tp_members, lane_members), SLOT(Py_tp_getset, lane_getset),   SLOT(Py_tp_methods, lane_methods),
    SLOT(Py_tp_doc, "Lane(base, task, node, /)\n--\n\n"),
    {0, NULL},
};
static PyType_Slot trace_slots[] = {
    SLOT(Py_tp_new, PyType_GenericNew), SLOT(Py_tp_dealloc, trace_dealloc), SLOT(Py_tp_methods, trace_methods), SLOT(Py_tp_doc, "Trace()\n--\n\n"),
    {0, NULL},
};
static PyType_Slot member_slots[] = {
    SLOT(Py_tp_new, member_new), SLOT(Py_tp_dealloc, member_dealloc), SLOT(Py_tp_traverse, member_traverse),
    SLOT(Py_tp_members, member_members), SLOT(Py_tp_doc, "Member(transaction, lane, trace, /)\n--\n\n"),
    {0, NULL},
};
static PyType_Slot transaction_slots[] = {
    SLOT(Py_tp_new, transaction_new),         SLOT(Py_tp_dealloc, transaction_dealloc),
    SLOT(Py_tp_traverse, transaction_traverse), SLOT(Py_tp_clear, transaction_clear),
    SLOT(Py_tp_methods, transaction_methods), SLOT(Py_tp_members, transaction_members),
    SLOT(Py_tp_getset, transaction_getset),   SLOT(Py_tp_doc, "Transaction(lane, node, /)\n--\n\n"),
    {0, NULL},
};
static PyType_Slot part_slots[] = {
    SLOT(Py_tp_new, part_new), SLOT(Py_tp_dealloc, part_dealloc), SLOT(Py_tp_traverse, part_traverse),
    SLOT(Py_tp_methods, part_methods), SLOT(Py_tp_doc, "Part(transaction, /)\n--\n\n"),
    {0, NULL},
};
static PyType_Slot current_lane_slots[] = {
    SLOT(Py_tp_new, PyType_GenericNew),
    SLOT(Py_tp_dealloc, plain_dealloc),
    SLOT(Py_tp_getset, current_lane_getset),
    {0, NULL},
};
static PyType_Slot callable_slots[] = {
    SLOT(Py_tp_new, timed_new),           SLOT(Py_tp_dealloc, timed_dealloc),   SLOT(Py_tp_traverse, timed_traverse),
    SLOT(Py_tp_clear, timed_clear),       SLOT(Py_tp_getattro, timed_getattr),  SLOT(Py_tp_setattro, timed_setattr),
    SLOT(Py_tp_repr, timed_repr),         SLOT(Py_tp_hash, timed_hash),         SLOT(Py_tp_richcompare, timed_compare),
    SLOT(Py_tp_call, PyVectorcall_Call),  SLOT(Py_tp_methods, timed_methods),   SLOT(Py_tp_members, timed_members),
    SLOT(Py_tp_getset, timed_getset),     {0, NULL},
};
static PyType_Slot code_event_slots[] = {
    SLOT(Py_tp_dealloc, code_event_dealloc), SLOT(Py_tp_traverse, code_event_traverse), SLOT(Py_tp_call, PyVectorcall_Call),
    SLOT(Py_tp_iter, return_self),           SLOT(Py_tp_iternext, code_event_step),
    SLOT(Py_tp_methods, code_event_methods), SLOT(Py_tp_members, code_event_members),   {0, NULL},
};
static PyType_Slot binding_slots[] = {
    SLOT(Py_tp_descr_get, timed_get),
    SLOT(Py_tp_call, PyVectorcall_Call), /* inherited anyway; debug builds of CPython want it said */
    SLOT(Py_tp_members, timed_members),
    SLOT(Py_tp_getset, timed_getset),
    {0, NULL},
};
static PyType_Slot observed_slots[] = {
    SLOT(Py_tp_new, observed_new),
    SLOT(Py_tp_dealloc, observed_dealloc),
    SLOT(Py_tp_traverse, observed_traverse),
    SLOT(Py_tp_clear, observed_clear),
    SLOT(Py_tp_descr_get, timed_get),
    SLOT(Py_tp_call, PyVectorcall_Call),
    SLOT(Py_tp_members, timed_members),
    SLOT(Py_tp_getset, timed_getset),
    {0, NULL},
};
static PyType_Slot selective_slots[] = {
    SLOT(Py_tp_descr_get, selective_get), SLOT(Py_tp_call, PyVectorcall_Call), SLOT(Py_tp_members, selective_members),
    SLOT(Py_tp_methods, selective_methods), SLOT(Py_tp_getset, timed_getset), {0, NULL},
};
static PyType_Slot observed_send_slots[] = {
    SLOT(Py_tp_dealloc, observed_send_dealloc), SLOT(Py_tp_traverse, observed_send_traverse), SLOT(Py_tp_call, PyVectorcall_Call),
    SLOT(Py_tp_members, observed_send_members), {0, NULL},
};
static PyType_Slot callback_iterator_slots[] = {
    SLOT(Py_tp_dealloc, callback_iterator_dealloc), SLOT(Py_tp_traverse, callback_iterator_traverse),
    SLOT(Py_tp_getattro, generator_getattr), SLOT(Py_tp_setattro, generator_setattr), SLOT(Py_tp_repr, generator_repr),
    SLOT(Py_tp_methods, callback_iterator_methods), SLOT(Py_tp_members, callback_iterator_members), SLOT(Py_tp_iter, return_self),
    SLOT(Py_tp_iternext, callback_iterator_next), SLOT(Py_am_send, callback_iterator_am_send), {0, NULL},
};
static PyType_Slot chained_slots[] = {
    SLOT(Py_tp_new, chained_new),         SLOT(Py_tp_dealloc, chained_dealloc),   SLOT(Py_tp_traverse, chained_traverse),
    SLOT(Py_tp_clear, chained_clear),     SLOT(Py_tp_getattro, chained_getattr),  SLOT(Py_tp_repr, chained_repr),
    SLOT(Py_tp_call, PyVectorcall_Call),  SLOT(Py_tp_members, chained_members),   SLOT(Py_tp_descr_get, timed_get),
    {0, NULL},
};
static PyType_Slot coroutine_slots[] = {
    SLOT(Py_tp_new, coroutine_new),           SLOT(Py_tp_dealloc, coroutine_dealloc),
    SLOT(Py_tp_finalize, coroutine_finalize), SLOT(Py_tp_traverse, coroutine_traverse),
    SLOT(Py_tp_clear, coroutine_clear),       SLOT(Py_tp_getattro, coroutine_getattr),
    SLOT(Py_tp_setattro, coroutine_setattr),  SLOT(Py_tp_repr, coroutine_repr),
    SLOT(Py_tp_methods, coroutine_methods),   SLOT(Py_tp_members, coroutine_members),
    SLOT(Py_tp_iternext, coroutine_next),     SLOT(Py_am_await, return_self),
    SLOT(Py_am_send, coroutine_am_send),      {0, NULL},
};
static PyType_Slot generator_slots[] = {
    SLOT(Py_tp_new, generator_new),           SLOT(Py_tp_dealloc, generator_dealloc),
    SLOT(Py_tp_finalize, generator_finalize), SLOT(Py_tp_traverse, generator_traverse),
    SLOT(Py_tp_getattro, generator_getattr),  SLOT(Py_tp_setattro, generator_setattr),
    SLOT(Py_tp_repr, generator_repr),         SLOT(Py_tp_methods, generator_methods),
    SLOT(Py_tp_members, generator_members),   SLOT(Py_tp_iter, return_self),
    SLOT(Py_tp_iternext, generator_next),     SLOT(Py_am_send, generator_am_send),
    {0, NULL},
};

/* Immutable: only then does the interpreter specialise the look-up of a method for its class, as it does for functions. */
#define TIMED_FLAGS (PLAIN_FLAGS | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_IMMUTABLETYPE)

static PyType_Spec node_spec = {"hookmon.probe._engine.Node", sizeof(Node), 0, PLAIN_FLAGS, node_slots};
static PyType_Spec lane_spec = {"hookmon.probe._engine.Lane", sizeof(Lane), 0, PLAIN_FLAGS, lane_slots};
static PyType_Spec trace_spec = {"hookmon.probe._engine.Trace", sizeof(Trace), 0, Py_TPFLAGS_DEFAULT, trace_slots};
static PyType_Spec member_spec = {"hookmon.probe._engine.Member", sizeof(Member), 0, PLAIN_FLAGS, member_slots};
static PyType_Spec part_spec = {"hookmon.probe._engine.Part", sizeof(Part), 0, PLAIN_FLAGS, part_slots};
static PyType_Spec transaction_spec = {
    "hookmon.probe._engine.Transaction", sizeof(Transaction), 0, PLAIN_FLAGS, transaction_slots};
static PyType_Spec current_lane_spec = {
    "hookmon.probe._engine.CurrentLane", sizeof(CurrentLane), 0, Py_TPFLAGS_DEFAULT, current_lane_slots};
static PyType_Spec callable_spec = {
    "hookmon.probe._engine.TimedCallable", sizeof(Timed), 0, TIMED_FLAGS, callable_slots};
/* Types that go by the name of what they stand for. */
static PyType_Spec timed_spec = {
    "hookmon.probe._engine.function", sizeof(Timed), 0,
    (TIMED_FLAGS & ~Py_TPFLAGS_HAVE_GC) | Py_TPFLAGS_METHOD_DESCRIPTOR, /* the garbage collection is the base's */
    binding_slots};
static PyType_Spec timed_method_spec = {
    "hookmon.probe._engine.method_descriptor", sizeof(Timed), 0,
    (TIMED_FLAGS & ~Py_TPFLAGS_HAVE_GC) | Py_TPFLAGS_METHOD_DESCRIPTOR, binding_slots};
static PyType_Spec observed_spec = {
    "hookmon.probe._engine.function", sizeof(Observed), 0, TIMED_FLAGS | Py_TPFLAGS_METHOD_DESCRIPTOR, observed_slots};
static PyType_Spec selective_spec = {
    "hookmon.probe._engine.function", sizeof(Timed), 0, TIMED_FLAGS & ~Py_TPFLAGS_HAVE_GC, selective_slots};
static PyType_Spec coroutine_spec = {
    "hookmon.probe._engine.coroutine", sizeof(Coroutine), 0, PLAIN_FLAGS, coroutine_slots};
static PyType_Spec observed_send_spec = {
    "hookmon.probe._engine.send", sizeof(ObservedSend), 0,
    PLAIN_FLAGS | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_DISALLOW_INSTANTIATION, observed_send_slots};
static PyType_Spec callback_iterator_spec = {
    "hookmon.probe._engine.generator", sizeof(CallbackIterator), 0,
    PLAIN_FLAGS | Py_TPFLAGS_DISALLOW_INSTANTIATION, callback_iterator_slots};
static PyType_Spec code_event_spec = {
    "hookmon.probe._engine.code_event", sizeof(CodeEvent), 0,
    PLAIN_FLAGS | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_DISALLOW_INSTANTIATION, code_event_slots};
static PyType_Spec chained_spec = {
    "hookmon.probe._engine.method_descriptor", sizeof(Chained), 0, PLAIN_FLAGS | Py_TPFLAGS_HAVE_VECTORCALL, chained_slots};
static PyType_Spec generator_spec = {
    "hookmon.probe._engine.generator", sizeof(Generator), 0, PLAIN_FLAGS, generator_slots};

static int
add_type(PyObject *module, PyTypeObject **place, PyType_Spec *spec, PyTypeObject *base, const char *name)
{
    *place = (PyTypeObject *)PyType_FromSpecWithBases(spec, (PyObject *)base);
    return *place ? PyModule_AddObjectRef(module, name, (PyObject *)*place) : -1;
}

#define FILL_TEXT(name, text) \
    if (add_name(&name, text) < 0) { \
        return -1; \
    }

static int
add_name(PyObject **place, const char *text)
{
    *place = PyUnicode_InternFromString(text);
    return *place ? 0 : -1;
}

/* Do what is done once, whichever interpreter loads the module first. -1 with an error. */
static int
begin_process(void)
{
    static int is_begun;
    (void)pthread_mutex_lock(&engines_lock);
    if (!is_begun) {
        fill_histogram();
#ifdef HAS_SLOTS
        slot_of_ours = function_called;
#endif
        if (pthread_key_create(&thread_key, on_thread_end)) {
            PyErr_SetString(PyExc_ImportError, "no key for threads is left");
        }
        else if (pthread_atfork(NULL, NULL, on_fork_in_child)) {
            PyErr_SetString(PyExc_ImportError, "no memory to be told of forks");
        }
        else {
            is_begun = 1;
        }
    }
    (void)pthread_mutex_unlock(&engines_lock);
    return is_begun ? 0 : -1;
}

/* The same as `fill_engine`, of another interpreter than the first: in _engine_others.c. Where that was left out only the first has one. */
__attribute__((visibility("hidden"), weak)) int hookmon_fill_other(PyObject *);

/* Fill the module, once its interpreter has an engine. -1 with an error. */
static __attribute__((noinline)) int
fill_types(PyObject *module)
{
    if (PyModule_AddFunctions(module, module_methods) < 0 || PyModule_AddIntConstant(module, "NUMBERS", NUMBERS) < 0 ||
        PyModule_AddIntConstant(module, "SERVES_OTHERS", hookmon_fill_other != NULL) < 0 || add_collector_types(module) < 0) {
        return -1;
    }
    INTERNED(FILL_TEXT)
    PyTypeObject *current_lane_type;
    if (add_type(module, &RecordsType, &records_spec, NULL, "Records") < 0 ||
        add_type(module, &ChildrenType, &children_spec, NULL, "Children") < 0 ||
        add_type(module, &TargetFieldsType, &target_fields_spec, NULL, "TargetFields") < 0 ||
        add_type(module, &SpanType, &span_spec, NULL, "Span") < 0 ||
        add_type(module, &NodeType, &node_spec, NULL, "Node") < 0 ||
        add_type(module, &LaneType, &lane_spec, NULL, "Lane") < 0 ||
        add_type(module, &TraceType, &trace_spec, NULL, "Trace") < 0 ||
        add_type(module, &MemberType, &member_spec, NULL, "Member") < 0 ||
        add_type(module, &PartType, &part_spec, NULL, "Part") < 0 ||
        add_type(module, &TransactionType, &transaction_spec, NULL, "Transaction") < 0 ||
        add_type(module, &current_lane_type, &current_lane_spec, NULL, "CurrentLane") < 0 ||
        add_type(module, &TimedCallableType, &callable_spec, NULL, "TimedCallable") < 0 ||
        add_type(module, &TimedType, &timed_spec, TimedCallableType, "Timed") < 0 ||
        add_type(module, &CoroutineFunctionType, &timed_spec, TimedType, "TimedCoroutineFunction") < 0 ||
        add_type(module, &GeneratorFunctionType, &timed_spec, TimedType, "TimedGeneratorFunction") < 0 ||
        add_type(module, &ObservedType, &observed_spec, TimedType, "Observed") < 0 ||
        add_type(module, &ObservedBeforeType, &observed_spec, ObservedType, "ObservedBefore") < 0 ||
        add_type(module, &ObservedCoroutineType, &observed_spec, ObservedType, "ObservedCoroutineFunction") < 0 ||
        add_type(module, &ApplicationType, &timed_spec, TimedType, "Application") < 0 ||
        add_type(module, &ObservedSendType, &observed_send_spec, NULL, "ObservedSend") < 0 ||
        add_type(module, &TimedMethodType, &timed_method_spec, TimedType, "TimedMethod") < 0 ||
        add_type(module, &CallbackSourceType, &timed_spec, TimedType, "CallbackSource") < 0 ||
        add_type(module, &SelectiveType, &selective_spec, TimedCallableType, "Selective") < 0 ||
        add_type(module, &CallbackIteratorType, &callback_iterator_spec, NULL, "CallbackIterator") < 0 ||
        add_type(module, &CodeEventType, &code_event_spec, NULL, "CodeEvent") < 0 ||
        add_type(module, &ChainedType, &chained_spec, NULL, "Chained") < 0 ||
        add_type(module, &CoroutineType, &coroutine_spec, NULL, "TimedCoroutine") < 0 ||
        add_type(module, &GeneratorType, &generator_spec, NULL, "TimedGenerator") < 0) {
        return -1;
    }
    return 0;
}

/* Have the module be the engine of the running interpreter. -1 with an error. */
static int
fill_engine(PyObject *module)
{
    return begin_process() < 0 || begin_engine() < 0 ? -1 : fill_types(module);
}

#ifdef OTHER_INTERPRETERS
int
hookmon_fill_other(PyObject *module)
{
    return fill_engine(module);
}
#else
static int
fill_module(PyObject *module)
{
    if (PyInterpreterState_Get() == PyInterpreterState_Main()) {
        return fill_engine(module);
    }
    if (!hookmon_fill_other) {
        PyErr_SetString(PyExc_ImportError, "the compiled engine was built for the first interpreter only, without _engine_others.c");
        return -1;
    }
    return hookmon_fill_other(module);
}

static PyModuleDef_Slot module_slots[] = {
    SLOT(Py_mod_exec, fill_module),
#ifdef Py_GIL_DISABLED
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
#if PY_VERSION_HEX >= 0x030C0000
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
#endif
    {0, NULL},
};

static PyModuleDef module_definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_engine",
    .m_doc = "The hot path of the probe in C.",
    .m_size = 0,
    .m_slots = module_slots,
};

PyMODINIT_FUNC
PyInit__engine(void)
{
    return PyModuleDef_Init(&module_definition);
}
#endif
