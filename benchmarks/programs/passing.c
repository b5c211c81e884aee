/* A wrapper that calls what it wraps and does nothing else: the least that any wrapper in C adds to a call. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stddef.h>

typedef struct {
    PyObject_HEAD
    vectorcallfunc vectorcall;
    PyObject *function;
} Passing;

static PyObject *
pass_on(PyObject *self, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    PyObject *function = ((Passing *)self)->function;
    return ((PyFunctionObject *)function)->vectorcall(function, args, nargsf, kwnames);
}

static PyTypeObject PassingType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "passing.Passing",
    .tp_basicsize = sizeof(Passing),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL,
    .tp_vectorcall_offset = offsetof(Passing, vectorcall),
    .tp_call = PyVectorcall_Call,
};

static PyObject *
wrap(PyObject *module, PyObject *function)
{
    (void)module;
    if (!PyFunction_Check(function)) {
        PyErr_SetString(PyExc_TypeError, "a function of Python is passed on");
        return NULL;
    }
    Passing *self = PyObject_New(Passing, &PassingType);
    if (self) {
        self->vectorcall = pass_on;
        self->function = Py_NewRef(function);
    }
    return (PyObject *)self;
}

static PyMethodDef methods[] = {{"wrap", wrap, METH_O, NULL}, {NULL, NULL, 0, NULL}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "passing", NULL, -1, methods, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC
PyInit_passing(void)
{
    return PyType_Ready(&PassingType) < 0 ? NULL : PyModule_Create(&module);
}
