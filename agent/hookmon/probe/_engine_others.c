/* The compiled engine once more, for other interpreters than the first: with a state for each of them, which has to be found. Where there
 * is no GIL they have none, and the pure engine serves them. */

#include "c/base.h"

#ifndef Py_GIL_DISABLED
#define OTHER_INTERPRETERS
#include "_engine.c"
#endif
