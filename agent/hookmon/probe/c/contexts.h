/* Contexts, and who is a member of which transaction by them. */
#pragma once

#include "base.h"
#include "compat.h"
#include "state.h"

/* What a context holds is a tree that never changes: to take back what we set, the tree of before is put back in its place where all
 * else is as it was, a tenth of what it costs to set the variable once more. See tree_swapping.h. */
#ifdef HAS_CONTEXTS
#define reads_contexts (state.reads_contexts)
#define branch_type (state.branch_type)

/* Say whether two branches surely hold the same. */
static HOT int
is_same_branch(PyObject *one, PyObject *other, int depth)
{
    if (one == other) {
        return 1;
    }
    Branch *a = (Branch *)one, *b = (Branch *)other;
    int are_branches = depth && Py_TYPE(one) == branch_type && Py_TYPE(other) == branch_type;
    if (!are_branches || Py_SIZE(one) != Py_SIZE(other) || a->bitmap != b->bitmap) {
        return 0;
    }
    for (Py_ssize_t i = 0; i + 1 < Py_SIZE(one); i += 2) {
        if (a->pairs[i] != b->pairs[i]) {
            return 0;
        }
        if (a->pairs[i + 1] != b->pairs[i + 1] && (a->pairs[i] || !is_same_branch(a->pairs[i + 1], b->pairs[i + 1], depth - 1))) {
            return 0;
        }
    }
    return 1;
}

/* Say whether two trees surely hold the same, as after a variable that was set is reset. */
static int
is_same_tree(PyObject *one, PyObject *other)
{
    return one == other || (branch_type && ((Tree *)one)->count == ((Tree *)other)->count &&
                            is_same_branch(((Tree *)one)->root, ((Tree *)other)->root, 4));
}

/* Say whether trees are what we take them for: one in which a variable was set and reset is as before, one with another value not. */
static int
check_trees(Context *present)
{
    PyObject *some = PyContextVar_New("hookmon", NULL);
    PyObject *before = Py_NewRef(present->vars);
    PyTypeObject *type = Py_TYPE(((Tree *)before)->root);
    int agree = some && Py_TYPE(before)->tp_basicsize == sizeof(Tree) && !strcmp(type->tp_name, "hamt_bitmap_node") &&
                type->tp_basicsize == offsetof(Branch, pairs) && type->tp_itemsize == sizeof(PyObject *);
    if (agree) {
        branch_type = type;
        PyObject *token = PyContextVar_Set(some, Py_None);
        agree = token && !is_same_tree(before, present->vars) && PyContextVar_Reset(some, token) == 0 &&
                present->vars != before && is_same_tree(before, present->vars);
        Py_XDECREF(token);
        token = agree ? PyContextVar_Set(state.members, Py_None) : NULL;
        agree = token && !is_same_tree(before, present->vars);
        Py_XDECREF(token);
    }
    Py_XDECREF(some);
    Py_DECREF(before);
    return agree;
}

/* Say whether contexts are what we take them for. */
static int
check_contexts(void)
{
    if (Py_TYPE(state.members)->tp_basicsize != sizeof(Variable) || PyContext_Type.tp_basicsize != sizeof(Context)) {
        return 0;
    }
    PyObject *context = PyContext_CopyCurrent();
    if (!context || PyContext_Enter(context) < 0) {
        Py_XDECREF(context);
        PyErr_Clear();
        return 0;
    }
    Context *present = running_context(PyThreadState_Get());
    PyObject *before = Py_NewRef(present->vars);
    PyObject *token = PyContextVar_Set(state.members, state.members);
    int agree = token && (PyObject *)present == context && present->vars != before && Py_IS_TYPE(present->vars, Py_TYPE(before)) &&
                !strcmp(Py_TYPE(before)->tp_name, "hamt") &&
                is_in_cache((Variable *)state.members, state.members, PyThreadState_Get());
    branch_type = NULL;
    if (agree && !check_trees(present)) {
        branch_type = NULL;
    }
    if (agree) {
        Py_SETREF(present->vars, Py_NewRef(before));
        forget_cache((Variable *)state.members);
        PyObject *seen = NULL;
        agree = PyContextVar_Get(state.members, Py_None, &seen) == 0 && seen != state.members;
        Py_XDECREF(seen);
    }
    Py_XDECREF(token);
    Py_DECREF(before);
    (void)PyContext_Exit(context);
    Py_DECREF(context);
    PyErr_Clear();
    return agree;
}

static inline PyObject *
present_vars(void)
{
    Context *context = reads_contexts ? running_context(PyThreadState_Get()) : NULL;
    return context ? context->vars : NULL;
}
#endif

/* Return the membership that the context holds, a new reference, None where there is none. NULL with an error. */
static PyObject *
present_member(void)
{
#ifdef HAS_CONTEXTS
    PyObject *vars = present_vars();
    if (branch_type && vars && !((Tree *)vars)->count) {
        return Py_NewRef(Py_None);
    }
#endif
    PyObject *member = NULL;
    return PyContextVar_Get(state.members, Py_None, &member) < 0 ? NULL : member;
}

/* Say whether the context belongs to a transaction. */
static int
is_member(void)
{
    PyObject *member = present_member();
    if (!member) {
        PyErr_Clear();
        return 0;
    }
    Py_DECREF(member);
    return member != Py_None;
}
