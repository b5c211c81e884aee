/* The end of a response, and what still runs then: as in response.py. */

/* Say whether a node is that of a call that is open: between the innermost one and the entry's. */
static int
is_open(Node *innermost, Node *entry, Node *node)
{
    for (Node *open_node = innermost;; open_node = (Node *)open_node->parent) {
        if (open_node == node || open_node == entry) {
            return open_node == node;
        }
    }
}

/* Lead the calls that are open now, and what leads to them already, to the tail. -1 with an error. */
static int
move_to_tail(Lane *lane, Node *entry, Node *tail)
{
    for (int i = 0; i < lane->moves; i++) {
        if (is_open(lane->node, entry, lane->moved[i].to)) {
            Py_SETREF(lane->moved[i].to, (Node *)Py_NewRef(tail));
        }
    }
    for (Node *open_node = lane->node;; open_node = (Node *)open_node->parent) {
        if (move_node(lane, open_node, tail) < 0) {
            return -1;
        }
        if (open_node == entry) {
            return 0;
        }
    }
}

/* Count a call that is open as if it ended now. */
static HOT void
count_open(Lane *lane, Trace *trace, Node *node, uint64_t ended_ns)
{
    Py_ssize_t slot = lane->base + node->slot;
    uint64_t started_ns = state.words[slot] == node->number ? state.words[slot + 1] : 0; /* else it is only counted */
    uint64_t duration_ns = started_ns && ended_ns > started_ns ? ended_ns - started_ns : 0;
    state.words[slot] = 0;
    if (started_ns) {
        state.words[node->total] += duration_ns;
        count_call(node, duration_ns);
    }
    else {
        state.words[node->total + UNTIMED]++;
    }
    trace_add(trace, node, started_ns, duration_ns, started_ns ? OUTCOME_RETURNED : OUTCOME_UNTIMED);
}

/* Settle a transaction: its response has ended for the client. */
static HOT void
finish_response(Transaction *self)
{
    Lane *lane = self->lane;
    Node *entry = self->node;
    Node *innermost = lane->node;
    if (self->ended || self->nested || self->epoch != (long)state.epoch || lane->base == state.scratch_lane ||
        !is_text(entry->kind, text_request)) {
        return;
    }
    for (Node *open_node = innermost; open_node != entry; open_node = (Node *)open_node->parent) {
        if ((PyObject *)open_node == state.root || !Py_IS_TYPE(open_node->parent, NodeType)) {
            return; /* the entry is not open there */
        }
    }
    if (!entry->tail) {
        entry->tail = PyObject_CallMethodOneArg(state.callbacks, name_tail, (PyObject *)entry);
    }
    if (!entry->tail || !Py_IS_TYPE(entry->tail, NodeType)) {
        Py_CLEAR(entry->tail);
        return;
    }
    Node *tail = (Node *)entry->tail;
    Trace *own = first_trace(self);
    if (!own || move_to_tail(lane, entry, tail) < 0) {
        return;
    }
    self->ended = 1;
    Py_CLEAR(lane->trace);
    lane->node = (Node *)Py_NewRef(tail); /* the reference to the innermost node is ours now, and it has one to each above */
    Py_INCREF(entry);
    Py_INCREF(own); /* what is counted may call Python, which may ask for the list of traces */
    uint64_t ended_ns = now_ns();
    for (Node *open_node = innermost;; open_node = (Node *)open_node->parent) {
        int is_last = open_node == entry || !Py_IS_TYPE(open_node->parent, NodeType); /* a fork in between has retired them */
        count_open(lane, own, open_node, ended_ns);
        if (is_last) {
            break;
        }
    }
    (void)settle_last(self);
    Py_DECREF(own);
    Py_DECREF(entry);
    Py_DECREF(innermost);
}

static PyObject *
finish_response_for_python(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *transaction = Py_None;
    if (!PyArg_ParseTuple(args, "|O", &transaction)) {
        return NULL;
    }
    Transaction *open = transaction == Py_None ? open_transaction() : (Transaction *)Py_NewRef(transaction);
    if (open && Py_IS_TYPE((PyObject *)open, TransactionType)) {
        finish_response(open);
    }
    Py_XDECREF(open);
    if (PyErr_Occurred()) {
        return NULL;
    }
    Py_RETURN_NONE;
}

/* The caller's request has raised: an error, also when its response has ended; counted once. */
static void
mark_failed(Transaction *self)
{
    if (!self->failed && self->epoch == (long)state.epoch) {
        self->failed = 1;
        if (self->ended) {
            state.words[self->node->total + ERRORS]++;
        }
    }
}

/* Open a transaction with its entry's node. NULL, perhaps with an error, where that failed. */
static HOT PyObject *
begin_transaction(Lane *lane, Node *node)
{
    if (!state.joining) {
        PyObject *done = PyObject_CallMethodNoArgs(state.recorder, name_join_from_now_on);
        if (!done) {
            return NULL;
        }
        Py_DECREF(done);
    }
    Transaction *opened = (Transaction *)make_transaction(TransactionType, lane, node);
    if (!opened || set_member(opened) < 0) {
        PyErr_Clear(); /* no memory: the call goes on without */
        Py_XDECREF(opened);
        return NULL;
    }
    Py_XSETREF(lane->trace, (Trace *)Py_NewRef((PyObject *)opened->own));
    forget_moves(lane);
    return (PyObject *)opened;
}

/* Return what an entry's call opens, whose reference it takes where there is one already: a transaction, or within another one, a job
 * or a test, a request of its own name. NULL, perhaps with an error, where there is nothing. */
static HOT PyObject *
open_entry(Lane *lane, Node *node, PyObject *opened)
{
    if (!lane->trace && !opened) {
        return begin_transaction(lane, node);
    }
    if (!is_text(node->kind, text_request)) {
        return opened;
    }
    PyObject *nested =
        PyObject_CallMethodObjArgs(state.callbacks, name_nest, (PyObject *)lane, (PyObject *)node, opened ? opened : Py_None, NULL);
    if (!nested || nested == Py_None) {
        Py_XDECREF(nested);
        return opened;
    }
    Py_XDECREF(opened);
    return nested;
}

static HOT void
close_opened(PyObject *opened)
{
    SavedException saved;
    exception_save(&saved);
    PyObject *answer = Py_IS_TYPE(opened, TransactionType) ? transaction_close((Transaction *)opened, NULL)
                                                           : PyObject_CallMethodNoArgs(opened, name_close);
    Py_XDECREF(answer);
    exception_restore_unless_new(&saved);
    Py_DECREF(opened);
}
