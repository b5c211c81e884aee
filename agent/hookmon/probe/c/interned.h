/* Texts that are looked up or compared, interned once: by `fill_module`. A line here is all that one more needs. */
#pragma once

#include "base.h"

#define INTERNED(X) \
    X(name_asyncio, "_asyncio") \
    X(name_close, "close") \
    X(name_current_task, "current_task") \
    X(name_current_tasks, "_current_tasks") \
    X(name_dunder_name, "__name__") \
    X(name_entry, "entry") \
    X(name_function, "_self_function") \
    X(name_environ_traceparent, "HTTP_TRACEPARENT") \
    X(name_grow, "grow") \
    X(name_get_running_loop, "_get_running_loop") \
    X(name_headers, "headers") \
    X(name_kind, "kind") \
    X(name_message, "_message") \
    X(name_more_body, "more_body") \
    X(name_name, "name") \
    X(name_part, "part") \
    X(name_raw_headers, "raw_headers") \
    X(name_running_loop, "__asyncio_running_event_loop__") \
    X(name_status, "status") \
    X(name_target, "target") \
    X(name_throw, "throw") \
    X(name_traceparent, "traceparent") \
    X(name_type, "type") \
    X(no_text, "") \
    X(text_body, "http.response.body") \
    X(text_gc, "gc") \
    X(text_http, "http") \
    X(text_pathsend, "http.response.pathsend") \
    X(text_request, "request") \
    X(text_shim, "<shim>") \
    X(text_start, "http.response.start") \
    X(text_websocket, "websocket") \
    X(text_websocket_prefix, "WEBSOCKET ")

#define DECLARE_TEXT(name, text) static PyObject *name;
INTERNED(DECLARE_TEXT)
