/* Call sites: the line of the program that a new place of the call tree is called from, as a string of the shard. `call_site` of
 * base/target.py is the same in Python, and is asked where a frame or a name is not as expected. */
#pragma once

#include "base.h"
#include "compat.h"
#include "errors.h"
#include "interned.h"
#include "names.h"
#include "records.h"
#include "spans.h"
#include "state.h"
#include "types.h"

enum { ROOM_FOR_LINE = 24 };

static const char *const plumbing[] = {"hookmon", "asyncio", "concurrent", "contextlib", "functools", "threading"};

typedef struct {
    char text[LONGEST_STRING + ROOM_FOR_LINE];
    size_t size;
} Site;

/* What a frame is to who looks for the calling line: it is passed over, it is the caller, the line is where a coroutine was made, or
 * Python has to say. */
typedef enum { PASSED_OVER, CALLER, MADE_AT, UNKNOWN_FRAME } Role;

/* Write "file:line". -1: the name of the file is not for C (no error). */
static int
write_site(Site *site, PyObject *filename, int line)
{
    Py_ssize_t size;
    const char *text = PyUnicode_IS_COMPACT_ASCII(filename)
                           ? (size = PyUnicode_GET_LENGTH(filename), (const char *)PyUnicode_1BYTE_DATA(filename))
                           : PyUnicode_AsUTF8AndSize(filename, &size);
    if (!text) {
        PyErr_Clear(); /* bytes that are no UTF-8 */
        return -1;
    }
    size = size < LONGEST_STRING ? size : LONGEST_STRING;
    memcpy(site->text, text, (size_t)size);
    char digits[ROOM_FOR_LINE], *digit = digits + sizeof digits;
    if (line < 0) {
        digit -= 4;
        memcpy(digit, "None", 4); /* as `f_lineno` is */
    }
    else {
        unsigned left = (unsigned)line;
        do {
            *--digit = (char)('0' + left % 10);
            left /= 10;
        } while (left);
    }
    *--digit = ':';
    size_t added = (size_t)(digits + sizeof digits - digit);
    memcpy(site->text + size, digit, added);
    site->size = (size_t)size + added;
    return 0;
}

static int
is_one_of_plumbing(const char *top, size_t size)
{
    for (size_t i = 0; i < Py_ARRAY_LENGTH(plumbing); i++) {
        if (strlen(plumbing[i]) == size && !memcmp(plumbing[i], top, size)) {
            return 1;
        }
    }
    return 0;
}

/* Return the part of a module's name before the first dot; NULL where it is not for C. */
static const char *
top_of(PyObject *module, size_t *size)
{
    if (!PyUnicode_IS_COMPACT_ASCII(module)) {
        return NULL;
    }
    const char *name = (const char *)PyUnicode_1BYTE_DATA(module);
    size_t length = (size_t)PyUnicode_GET_LENGTH(module);
    const char *dot = memchr(name, '.', length);
    *size = dot ? (size_t)(dot - name) : length;
    return name;
}

/* Say what a frame is to a span. Its code is looked at first: where a frame only stands between C and Python (its file is called <shim>,
 * in 3.12), there is anything in the place of its globals. */
static Role
role_of(Span *span, PyCodeObject *code, PyObject *(*globals_of)(void *), void *frame)
{
    PyObject *filename = code->co_filename;
    int is_made = PyUnicode_GET_LENGTH(filename) && PyUnicode_READ_CHAR(filename, 0) == '<' && !is_own(filename);
    if (is_made && (!PyUnicode_GET_LENGTH(span->made_at) || is_text(filename, text_shim))) {
        return PASSED_OVER;
    }
    PyObject *globals = globals_of(frame);
    if (!globals || !PyDict_Check(globals)) {
        return is_made ? PASSED_OVER : UNKNOWN_FRAME;
    }
    PyObject *module = PyDict_GetItemWithError(globals, name_dunder_name);
    if (!module || !PyUnicode_Check(module)) {
        PyErr_Clear();
        return PASSED_OVER;
    }
    size_t size;
    const char *top = top_of(module, &size);
    if (!top || !PyUnicode_IS_COMPACT_ASCII(span->target->package)) {
        return UNKNOWN_FRAME;
    }
    if (size == 7 && !memcmp(top, "asyncio", size) && PyUnicode_GET_LENGTH(span->made_at)) {
        return MADE_AT;
    }
    PyObject *package = span->target->package;
    int is_of_package = (size_t)PyUnicode_GET_LENGTH(package) == size && !memcmp(PyUnicode_1BYTE_DATA(package), top, size);
    return is_made || is_of_package || is_one_of_plumbing(top, size) ? PASSED_OVER : CALLER;
}

/* Say whether code begins where the user's function does: its frame has begun, and its caller is wanted. */
static int
is_code_at(PyCodeObject *code, PyObject *place)
{
    Site site;
    return PyUnicode_IS_COMPACT_ASCII(place) && !write_site(&site, code->co_filename, code->co_firstlineno) &&
           site.size == (size_t)PyUnicode_GET_LENGTH(place) && !memcmp(site.text, PyUnicode_1BYTE_DATA(place), site.size);
}

#ifdef HAS_FRAMES
static PyObject *
globals_of_internal(void *frame)
{
    return ((Frame *)frame)->globals;
}

static inline Frame *
skip_incomplete(Frame *frame)
{
    while (frame && !(frame->code && PyCode_Check(frame->code))) {
        frame = frame->previous; /* what stands between C and Python */
    }
    return frame;
}

/* Find the calling line of a span. -1: Python has to (no error); else MADE_AT, CALLER, or PASSED_OVER where nobody calls. */
static int
look_for_caller(Span *span, Site *site)
{
    Frame *frame = skip_incomplete(running_frame());
    if (span->target->flags & FLAG_BY_EVENTS && frame && is_code_at((PyCodeObject *)frame->code, span->target->place)) {
        frame = skip_incomplete(frame->previous);
    }
    for (; frame; frame = skip_incomplete(frame->previous)) {
        PyCodeObject *code = (PyCodeObject *)frame->code;
        Role role = role_of(span, code, globals_of_internal, frame);
        if (role == UNKNOWN_FRAME || role == MADE_AT) {
            return role == MADE_AT ? MADE_AT : -1;
        }
        if (role == CALLER) {
            int line = PyCode_Addr2Line(code, (int)frame_offset(frame));
            return write_site(site, code->co_filename, line) < 0 ? -1 : CALLER;
        }
    }
    return PASSED_OVER;
}
#endif

static PyObject *
globals_of_object(void *frame)
{
    PyObject *globals = PyFrame_GetGlobals(frame);
    Py_XDECREF(globals); /* the frame has it */
    return globals;
}

static PyFrameObject *
step_back(PyFrameObject *frame)
{
    PyFrameObject *back = PyFrame_GetBack(frame);
    Py_DECREF(frame);
    return back;
}

/* The same by CPython's interface. */
static int
look_for_caller_by_interface(Span *span, Site *site)
{
    PyFrameObject *frame = (PyFrameObject *)Py_XNewRef((PyObject *)PyEval_GetFrame());
    int is_first = (span->target->flags & FLAG_BY_EVENTS) != 0, found = PASSED_OVER;
    while (frame && found == PASSED_OVER) {
        PyCodeObject *code = PyFrame_GetCode(frame);
        if (!is_first || !is_code_at(code, span->target->place)) {
            Role role = role_of(span, code, globals_of_object, frame);
            found = role == UNKNOWN_FRAME ? -1 : (int)role;
            if (found == CALLER && write_site(site, code->co_filename, PyFrame_GetLineNumber(frame)) < 0) {
                found = -1;
            }
        }
        is_first = 0;
        Py_DECREF(code);
        frame = step_back(frame);
    }
    Py_XDECREF((PyObject *)frame);
    return found;
}

/* Have Python find the calling line of a span, and return the number of that text, 0 for none (E_ASK). */
static RARE uint32_t
ask_for_site(Records *records, Span *span)
{
    PyObject *text = PyObject_CallOneArg(state.callbacks.call_site, (PyObject *)span);
    uint32_t number = text && PyUnicode_Check(text) && PyUnicode_GET_LENGTH(text) ? text_number(records, text) : 0;
    Py_XDECREF(text);
    return number;
}

/* Return the number of the text of a span's calling line, 0 where there is none (E_ASK). */
static uint32_t
site_number(Records *records, Span *span)
{
    TargetFields *target = span->target;
    if (!target->has_sites || is_text(target->kind, text_gc)) {
        return 0;
    }
    if (PyUnicode_GET_LENGTH(span->site)) {
        return text_number(records, span->site);
    }
    if (target->flags & FLAG_WAITS) {
        return ask_for_site(records, span);
    }
    Site site;
#ifdef HAS_FRAMES
    int found = reads_frames ? look_for_caller(span, &site) : look_for_caller_by_interface(span, &site);
#else
    int found = look_for_caller_by_interface(span, &site);
#endif
    if (found < 0) {
        return PyErr_Occurred() ? 0 : ask_for_site(records, span);
    }
    return found == MADE_AT ? text_number(records, span->made_at) : found == CALLER ? string_number(records, site.text, site.size) : 0;
}
