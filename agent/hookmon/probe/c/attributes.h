/* Attributes of an instance, read without asking the interpreter for them: as in attributes.py. */

/* What instances keep their attributes in, as far as we read it: to ask for six of them as Python does costs a Flask request 3,000
 * instructions, a third of its price, and each look-up in the table that all classes share can push out one of the program's.
 * As with frames and contexts: within a minor version it stays as it is, `check_values` makes sure of it once, and later versions are
 * asked as Python does. Source: Include/internal/pycore_dict.h and pycore_object.h of CPython 3.11, 3.12 and 3.13. */
#if PY_VERSION_HEX < 0x030E0000
#define HAS_VALUES
typedef struct {
    Py_ssize_t references;
    uint8_t log2_size, log2_index_bytes, kind;
    uint32_t version;
    Py_ssize_t usable, count;
    char indices[];
} Keys;
enum { SPLIT_KEYS = 2 };
static int reads_values;

static inline Keys *
keys_of(PyTypeObject *type)
{
    Keys *keys = PyType_HasFeature(type, Py_TPFLAGS_HEAPTYPE) ? (Keys *)((PyHeapTypeObject *)type)->ht_cached_keys : NULL;
    return keys && keys->kind == SPLIT_KEYS ? keys : NULL;
}

/* Return the position of a name among the attributes of a type's instances, -1 where they have none of that name. */
static Py_ssize_t
position_among(Keys *keys, PyObject *name)
{
    PyObject **pairs = (PyObject **)(keys->indices + ((size_t)1 << keys->log2_index_bytes));
    for (Py_ssize_t i = 0; i < keys->count; i++) {
        if (pairs[2 * i] == name) {
            return i;
        }
    }
    return -1;
}

/* Return the values of an instance by their positions; else NULL and its dictionary, borrowed, or NULL. */
static inline PyObject **
values_of(PyObject *instance, PyObject **dict)
{
#if PY_VERSION_HEX < 0x030C0000
    *dict = ((PyObject **)instance)[-3];
    return ((PyObject ***)instance)[-4];
#elif PY_VERSION_HEX < 0x030D0000
    uintptr_t either = ((uintptr_t *)instance)[-3];
    *dict = either & 1 ? NULL : (PyObject *)either;
    return either & 1 ? (PyObject **)(either + 1) : NULL;
#else
    struct {
        PyObject head;
        uint8_t capacity, size, embedded, valid;
        PyObject *values[1];
    } *inline_values = (void *)instance;
    *dict = ((PyObject **)instance)[-3];
    return PyType_HasFeature(Py_TYPE(instance), Py_TPFLAGS_INLINE_VALUES) && inline_values->valid ? inline_values->values : NULL;
#endif
}
#endif

/* Of a type and a name: that what instances have by the name is their own, and where. */
typedef struct {
    PyTypeObject *type;
    PyObject *name; /* only compared */
    unsigned version;
#ifdef HAS_VALUES
    Keys *keys; /* only compared; they grow at their end, and are the type's as long as it is there */
    Py_ssize_t position;
#endif
} OwnAttribute;

/* Find out about a type and a name; NULL when its class has something by that name that is no plain constant. */
static HOT OwnAttribute *
find_own_attribute(PyTypeObject *type, PyObject *name)
{
    static OwnAttribute known[64];
    OwnAttribute *own = known + ((uintptr_t)type >> 4 ^ (uintptr_t)name >> 4) % Py_ARRAY_LENGTH(known);
    if (own->type == type && own->name == name && own->version == type->tp_version_tag && type->tp_version_tag) {
        return own;
    }
    PyObject *on_class = _PyType_Lookup(type, name);
    if (on_class && on_class != Py_None) {
        return NULL;
    }
    own->type = type;
    own->name = name;
    own->version = type->tp_version_tag; /* 0: it has none */
#ifdef HAS_VALUES
    own->keys = NULL;
    own->position = -1;
#endif
    return own;
}

/* Return what an instance has of its own by a name, a new reference; NULL without an error where there is nothing. */
static HOT PyObject *
read_own_attribute(PyObject *instance, PyObject *name, OwnAttribute *own)
{
#ifdef HAS_VALUES
    PyTypeObject *type = Py_TYPE(instance);
    if (reads_values && PyType_HasFeature(type, Py_TPFLAGS_MANAGED_DICT)) {
        PyObject *dict;
        PyObject **values = values_of(instance, &dict);
        Keys *keys = values ? keys_of(type) : NULL;
        if (keys && (own->keys != keys || own->position < 0)) {
            own->keys = keys;
            own->position = position_among(keys, name);
        }
        if (keys && own->position >= 0) {
            return Py_XNewRef(values[own->position]);
        }
        if (dict && PyDict_CheckExact(dict)) {
            PyObject *found = PyDict_GetItemWithError(dict, name);
            PyErr_Clear();
            return Py_XNewRef(found);
        }
    }
#else
    (void)own;
#endif
    PyObject *found = PyObject_GenericGetAttr(instance, name);
    PyErr_Clear();
    return found;
}

#ifdef HAS_VALUES
/* Say whether instances are what we take them for: with values, with a dictionary that somebody asked for, and with another one. */
static int
check_values(void)
{
    PyObject *type = PyObject_CallFunction((PyObject *)&PyType_Type, "s(){}", "Instance");
    PyObject *instance = type ? PyObject_CallNoArgs(type) : NULL;
    PyObject *another = Py_BuildValue("{OO}", name_look, Py_True);
    int agree = instance && another && PyObject_SetAttr(instance, name_close, Py_None) == 0 && PyObject_SetAttr(instance, name_look, type) == 0;
    reads_values = 1;
    for (int step = 0; agree && step < 3; step++) {
        PyObject *dict = step == 1 ? PyObject_GetAttrString(instance, "__dict__") : NULL;
        agree = (step != 1 || dict) && (step != 2 || PyObject_SetAttrString(instance, "__dict__", another) == 0);
        OwnAttribute own = {0};
        PyObject *found = agree ? read_own_attribute(instance, name_look, &own) : NULL;
        agree = found == (step == 2 ? Py_True : type) && (step || (own.keys && own.position == 1 && own.keys->count == 2));
        Py_XDECREF(found);
        Py_XDECREF(dict);
    }
    Py_XDECREF(another);
    Py_XDECREF(instance);
    Py_XDECREF(type);
    PyErr_Clear();
    return agree;
}
#endif

/* Return what an object has by a name, a new reference, without running code of the program; NULL where Python is to look: see
 * names.attribute. */
static HOT PyObject *
read_attribute(PyObject *value, PyObject *name)
{
    if (PyLong_CheckExact(name)) {
        Py_ssize_t at = PyLong_AsSsize_t(name);
        int is_there = (PyTuple_CheckExact(value) && at < PyTuple_GET_SIZE(value)) ||
                       (PyList_CheckExact(value) && at < PyList_GET_SIZE(value));
        return is_there ? Py_NewRef(PyTuple_CheckExact(value) ? PyTuple_GET_ITEM(value, at) : PyList_GET_ITEM(value, at)) : NULL;
    }
    PyObject *found;
    OwnAttribute *own;
    if (PyDict_CheckExact(value)) {
        found = PyDict_GetItemWithError(value, name);
        Py_XINCREF(found);
    }
    else if (!PyType_Check(value) && (own = find_own_attribute(Py_TYPE(value), name))) {
        found = read_own_attribute(value, name, own);
        if (found == Py_None) {
            Py_CLEAR(found); /* perhaps the class's */
        }
    }
    else {
        PyObject *on_class = PyType_Check(value) ? NULL : _PyType_Lookup(Py_TYPE(value), name);
        PyTypeObject *kind = on_class ? Py_TYPE(on_class) : NULL;
        if (PyType_Check(value) || (kind && kind != &PyMemberDescr_Type && (kind->tp_descr_get || kind->tp_descr_set))) {
            return NULL;
        }
        found = PyObject_GenericGetAttr(value, name); /* an instance's own, a slot, or a plain value of the class */
        if (found && found == on_class && !PyUnicode_CheckExact(found) && !PyLong_CheckExact(found)) {
            Py_CLEAR(found);
        }
    }
    if (!found) {
        PyErr_Clear();
    }
    return found;
}
