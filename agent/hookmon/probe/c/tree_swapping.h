/* Membership in a context by swapping the tree in which the context keeps its variables.
 *
 * PyContextVar_Set makes a new tree and PyContextVar_Reset makes one more, which together take as long as all else of a transaction's
 * beginning and end. We put a tree of our own into a context that holds nothing, and later the context's own tree back; and we refill
 * that tree for the next transaction, which CPython never does: to it a tree does not change. Why that is sound:
 *
 *  1  Who can hold a tree: contexts (a copy shares the tree of its original), iterators and views of a context, our `vars_before`,
 *     `vars_after` and `spare_trees`, and whoever took it out of gc.get_objects(). Each holds a counted reference. A token holds the
 *     context and the old value, and no tree.
 *  2  A tree is refilled only where its count of references is 1, and that one is the caller's; and its root's is 1, the tree's
 *     (`membership_in`). So nobody else can see the change: whoever reads a tree holds a reference to it.
 *  3  The counts are looked at when a tree is kept and again when it is used: in between gc.get_objects() may have given it away, as
 *     what is tracked is in nobody's hands alone (I5). Then it is let go, and Python sets the variable.
 *  4  Between looking and storing nothing runs that may run Python: when a tree is used, what the store lets go is None. When one is
 *     kept, the Member goes after the store (Py_SETREF), and a Member's end runs nothing of the program.
 *  5  The empty tree that is put back is the one that the context had. It is never refilled: it holds nothing, so `membership_in`
 *     finds nothing in it.
 *  6  The variable's cache is what contextvars would have made of it: filled with the member as PyContextVar_Set does, emptied when a
 *     tree is put back. The cached value is borrowed from the tree, which the context holds.
 *  7  Where the program has set variables meanwhile, the context's tree is not the one we put there (`is_same_tree`): it stays, and
 *     the variable is reset as Python does it, by a token that `make_token` makes.
 *  8  The layout is that of versions that we know, and `check_contexts` and `check_trees` try all of this once at start.
 */
#pragma once

#include "base.h"
#include "checks.h"
#include "compat.h"
#include "contexts.h"
#include "state.h"
#include "types.h"

#ifdef HAS_CONTEXTS
/* Trees that hold None as the only membership. Most requests begin in a context that holds nothing. */
#define spare_trees (state.spare_trees)
#define spare_trees_count (state.spare_trees_count)

/* Return the place of the membership in a tree that holds nothing else and that only the caller has; else NULL. */
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
    if (!LIKELY(member)) { /* 3 */
        Py_DECREF(tree);
        return 0;
    }
    CHECK(*member == Py_None); /* 4 */
    Py_SETREF(*member, Py_NewRef(self->member));
    self->vars_before = context->vars;
    self->vars_after = Py_NewRef(tree);
    self->context = context;
    context->vars = tree;
    fill_cache((Variable *)state.members, self->member, thread);
    return 1;
}

/* Keep a tree for the next transaction where nobody else has it. Takes the reference. */
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

/* Make the token that PyContextVar_Set would have returned in the tree of before: the program has set other variables since. Without
 * memory there is no token. */
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

/* Put the context's own tree back, where the one that was put there is still in its place; say whether it was. */
static inline int
restore_tree(Transaction *self, Context *context)
{
    if (!self->vars_after || context != self->context || !is_same_tree(context->vars, self->vars_after)) {
        return 0;
    }
    PyObject *left = context->vars;
    context->vars = self->vars_before;
    self->vars_before = NULL;
    forget_cache((Variable *)state.members);
    Py_DECREF(left);
    PyObject *tree = self->vars_after;
    self->vars_after = NULL;
    Py_CLEAR(self->token);
    keep_tree(tree);
    return 1;
}
#endif
