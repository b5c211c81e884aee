/* The compiled engine once more, for other interpreters than the first: with a state for each of them, which has to be found. */

#define OTHER_INTERPRETERS
#include "_engine.c"
