"""Where wrappers are put: the targets of a watch in a loaded module, hooks and their callbacks, bindings made before."""
