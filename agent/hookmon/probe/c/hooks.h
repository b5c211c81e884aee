/* Functions that hand out callbacks: see hooks.py. And those in classes that bind to other ones for some objects: see instances.py. */

static PyObject *
selective_call(PyObject *callable, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    return PyObject_Vectorcall(((Timed *)callable)->function, args, nargsf, kwnames);
}

/* `name` is {id: stand-in}, and `known` has some of these by address, or all. */
static HOT PyObject *
selective_get(PyObject *object, PyObject *instance, PyObject *Py_UNUSED(owner))
{
    Timed *self = (Timed *)object;
    if (!instance || instance == Py_None) {
        return Py_NewRef(self->function);
    }
    Py_hash_t address = (Py_hash_t)((uintptr_t)instance >> 4);
    PyObject *timed = known_span(self, address);
    if (!timed && self->known_used < PyDict_GET_SIZE(self->name)) {
        PyObject *id = PyLong_FromVoidPtr(instance);
        timed = id ? PyDict_GetItemWithError(self->name, id) : NULL;
        Py_XDECREF(id);
        if (timed) {
            remember_span(self, address, timed);
        }
        else if (PyErr_Occurred()) {
            return NULL;
        }
    }
    return PyMethod_New(timed ? timed : self->function, instance);
}

static PyObject *
selective_forget(Timed *self, PyObject *id)
{
    if (PyDict_DelItem(self->name, id) < 0) {
        PyErr_Clear(); /* it is not there */
    }
    forget_known(self);
    Py_RETURN_NONE;
}

static PyMethodDef selective_methods[] = {
    {"_self_forget", (PyCFunction)selective_forget, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

/* Return a stand-in for what is handed out, or that itself; its reference is taken. NULL with an error. */
static PyObject *
replaced(PyObject *copy, PyObject *const *args, Py_ssize_t count, PyObject *kwnames, PyObject *each)
{
    PyObject *made = call_mark(copy, args, count, kwnames, each);
    if (made == Py_None) {
        Py_DECREF(made);
        return each;
    }
    Py_DECREF(each);
    return made;
}

static inline PyObject *
replaced_of(Handed *self, PyObject *each)
{
    return replaced(self->copy, self->args, self->count, self->kwnames, each);
}

static PySendResult
handed_am_send(PyObject *object, PyObject *value, PyObject **result)
{
    Handed *self = (Handed *)object;
    PySendResult outcome = PyIter_Send(self->inner, value, result);
    if (outcome == PYGEN_NEXT) {
        *result = replaced_of(self, *result);
        return *result ? PYGEN_NEXT : PYGEN_ERROR;
    }
    return outcome;
}

static PyObject *
handed_send(PyObject *self, PyObject *value)
{
    PyObject *result = NULL;
    PySendResult outcome = handed_am_send(self, value, &result);
    return as_iteration(outcome, result);
}

static HOT PyObject *
handed_next(Handed *self)
{
    PyObject *each = Py_TYPE(self->inner)->tp_iternext(self->inner);
    return each ? replaced_of(self, each) : NULL;
}

static PyObject *
handed_throw(Handed *self, PyObject *args)
{
    PyObject *method = PyObject_GetAttr(self->inner, name_throw);
    PyObject *each = method ? PyObject_CallObject(method, args) : NULL;
    Py_XDECREF(method);
    return each ? replaced_of(self, each) : NULL;
}

static PyObject *
handed_close(Handed *self, PyObject *Py_UNUSED(ignored))
{
    return PyObject_CallMethodNoArgs(self->inner, name_close);
}

static inline Py_ssize_t
all_arguments(Py_ssize_t count, PyObject *kwnames)
{
    return count + (kwnames ? PyTuple_GET_SIZE(kwnames) : 0);
}

static int
handed_traverse(Handed *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->inner);
    Py_VISIT(self->copy);
    for (Py_ssize_t i = 0; self->args && i < all_arguments(self->count, self->kwnames); i++) {
        Py_VISIT(self->args[i]);
    }
    Py_VISIT(self->kwnames);
    return 0;
}

static HOT void
handed_dealloc(Handed *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    if (self->weakrefs) {
        PyObject_ClearWeakRefs((PyObject *)self);
    }
    Py_CLEAR(self->inner);
    Py_CLEAR(self->copy);
    for (Py_ssize_t i = 0; self->args && i < all_arguments(self->count, self->kwnames); i++) {
        Py_DECREF(self->args[i]);
    }
    if (self->args != self->few) {
        PyMem_Free(self->args);
    }
    self->args = NULL;
    Py_CLEAR(self->kwnames);
    freelist_push(&handed_freelist, (PyObject *)self);
    Py_DECREF(type);
}

static PyMethodDef handed_methods[] = {
    {"send", (PyCFunction)handed_send, METH_O, NULL},
    {"throw", (PyCFunction)handed_throw, METH_VARARGS, NULL},
    {"close", (PyCFunction)handed_close, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef handed_members[] = {
    {"__weaklistoffset__", Py_T_PYSSIZET, offsetof(Handed, weakrefs), Py_READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static int
is_empty(PyObject *value)
{
    return (PyList_CheckExact(value) && !PyList_GET_SIZE(value)) || (PyTuple_CheckExact(value) && !PyTuple_GET_SIZE(value));
}

static HOT PyObject *
handing_call(PyObject *callable, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    Timed *self = (Timed *)callable;
    Py_ssize_t count = PyVectorcall_NARGS(nargsf);
    PyObject *result = call(self->function, args, nargsf, kwnames);
    if (!result || is_empty(result)) {
        return result;
    }
    if (!PyIter_Check(result)) {
        return replaced(self->name, args, count, kwnames, result);
    }
    Py_ssize_t all = all_arguments(count, kwnames);
    Handed *handed = (Handed *)freelist_pop(&handed_freelist, HandedType);
    PyObject **room = !handed ? NULL : all <= FEW_ARGUMENTS ? handed->few : PyMem_New(PyObject *, all);
    if (!room) {
        Py_DECREF(result);
        Py_XDECREF(handed);
        return PyErr_NoMemory();
    }
    for (Py_ssize_t i = 0; i < all; i++) {
        room[i] = Py_NewRef(args[i]);
    }
    handed->inner = result;
    handed->copy = Py_NewRef(self->name);
    handed->args = room;
    handed->count = count;
    handed->kwnames = Py_XNewRef(kwnames);
    return (PyObject *)handed;
}
