/* Setting the context variable by swapping the tree in which a context keeps its variables. */
#pragma once

#include "base.h"
#include "compat.h"
#include "contexts.h"
#include "state.h"
#include "types.h"

#ifdef HAS_CONTEXTS
/* Trees that hold nothing but a membership that has ended, for contexts in which nothing else is set: most requests begin in such
 * a one, and to make a tree takes as long as all else of a transaction's beginning. */
static PyObject *spare_trees[MOST_FREE];
static int spare_trees_count;

/* Return where a tree has its membership, NULL where it has anything else, or where anybody but the caller has it. */
static inline PyObject **
membership_in(PyObject *tree)
{
    Branch *root = (Branch *)((Tree *)tree)->root;
    int is_ours = branch_type && ((Tree *)tree)->count == 1 && Py_REFCNT(tree) == 1 && Py_IS_TYPE(root, branch_type) &&
                  Py_REFCNT(root) == 1 && Py_SIZE(root) == 2 && root->pairs[0] == state.members;
    return is_ours ? &root->pairs[1] : NULL;
}

/* Give a thread its first context, with nothing in it: what is set in none cannot be taken back. -1 with an error. */
static RARE int
make_context(void)
{
    PyObject *token = PyContextVar_Set(state.members, Py_None);
    int is_done = token && PyContextVar_Reset(state.members, token) == 0;
    Py_XDECREF(token);
    return is_done ? 0 : -1;
}

/* Put a transaction's member into a context that holds nothing; say whether that was possible. */
static inline int
set_in_empty(Transaction *self, PyThreadState *thread)
{
    Context *context = running_context(thread);
    if (!reads_contexts || !spare_trees_count || !context || ((Tree *)context->vars)->count) {
        return 0;
    }
    PyObject *tree = spare_trees[--spare_trees_count];
    PyObject **member = membership_in(tree);
    if (!LIKELY(member)) { /* somebody has got hold of it: gc.get_objects() returns them all */
        Py_DECREF(tree);
        return 0;
    }
    Py_SETREF(*member, Py_NewRef(self->member));
    self->vars_before = context->vars;
    self->vars_after = Py_NewRef(tree);
    self->context = context;
    context->vars = tree;
    fill_cache((Variable *)state.members, self->member, thread);
    return 1;
}

/* Keep a tree for the next one, where nobody else has it; the reference is taken. */
static inline void
keep_tree(PyObject *tree)
{
    PyObject **member = spare_trees_count < MOST_FREE ? membership_in(tree) : NULL;
    if (member) {
        Py_SETREF(*member, Py_NewRef(Py_None));
        spare_trees[spare_trees_count++] = tree;
    }
    else {
        Py_DECREF(tree);
    }
}

/* Make the token that setting the variable in the tree of before would have returned, while the program has set others. Without
 * memory there is none. */
static RARE void
make_token(Transaction *self, Context *context)
{
    PyObject *now = context->vars;
    context->vars = Py_NewRef(self->vars_before);
    self->token = PyContextVar_Set(state.members, Py_None);
    Py_SETREF(context->vars, now);
    forget_cache((Variable *)state.members);
    PyErr_Clear();
}
#endif
