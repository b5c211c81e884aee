/* The program's errors, which ours may not disturb. */

typedef struct {
#if PY_VERSION_HEX >= 0x030C0000
    PyObject *raised;
#else
    PyObject *type, *value, *trace;
#endif
} Raised;

static inline void
put_aside(Raised *raised)
{
#if PY_VERSION_HEX >= 0x030C0000
    raised->raised = PyErr_GetRaisedException();
#else
    PyErr_Fetch(&raised->type, &raised->value, &raised->trace);
#endif
}

static inline void
put_back(Raised *raised)
{
#if PY_VERSION_HEX >= 0x030C0000
    PyErr_SetRaisedException(raised->raised);
#else
    PyErr_Restore(raised->type, raised->value, raised->trace);
#endif
}

/* Put an error back that was set aside; when there was none, one that came since stays. */
static inline void
put_back_unless_new(Raised *raised)
{
#if PY_VERSION_HEX >= 0x030C0000
    int had = raised->raised != NULL;
#else
    int had = raised->type != NULL;
#endif
    if (had) {
        PyErr_Clear();
        put_back(raised);
    }
}

/* Say whether a value is that text of ASCII. */
static inline int
is_text(PyObject *value, PyObject *text)
{
    return value == text || (value && PyUnicode_CheckExact(value) && PyUnicode_GET_LENGTH(value) == PyUnicode_GET_LENGTH(text) &&
                             PyUnicode_IS_COMPACT_ASCII(value) &&
                             !memcmp(PyUnicode_1BYTE_DATA(value), PyUnicode_1BYTE_DATA(text), (size_t)PyUnicode_GET_LENGTH(text)));
}
