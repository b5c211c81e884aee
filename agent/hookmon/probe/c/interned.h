/* Texts that are looked up or compared, interned once in each interpreter, by `fill_module`. One more needs a line
 * here and one below. */
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

#define DECLARE_TEXT(name, text) PyObject *name;
typedef struct {
    INTERNED(DECLARE_TEXT)
} Texts;

/* Each interpreter has its own. */
#define name_asyncio (state.texts.name_asyncio)
#define name_close (state.texts.name_close)
#define name_current_task (state.texts.name_current_task)
#define name_current_tasks (state.texts.name_current_tasks)
#define name_dunder_name (state.texts.name_dunder_name)
#define name_entry (state.texts.name_entry)
#define name_function (state.texts.name_function)
#define name_environ_traceparent (state.texts.name_environ_traceparent)
#define name_get_running_loop (state.texts.name_get_running_loop)
#define name_grow (state.texts.name_grow)
#define name_headers (state.texts.name_headers)
#define name_kind (state.texts.name_kind)
#define name_message (state.texts.name_message)
#define name_more_body (state.texts.name_more_body)
#define name_name (state.texts.name_name)
#define name_part (state.texts.name_part)
#define name_raw_headers (state.texts.name_raw_headers)
#define name_running_loop (state.texts.name_running_loop)
#define name_status (state.texts.name_status)
#define name_target (state.texts.name_target)
#define name_throw (state.texts.name_throw)
#define name_traceparent (state.texts.name_traceparent)
#define name_type (state.texts.name_type)
#define no_text (state.texts.no_text)
#define text_body (state.texts.text_body)
#define text_gc (state.texts.text_gc)
#define text_http (state.texts.text_http)
#define text_pathsend (state.texts.text_pathsend)
#define text_request (state.texts.text_request)
#define text_shim (state.texts.text_shim)
#define text_start (state.texts.text_start)
#define text_websocket (state.texts.text_websocket)
#define text_websocket_prefix (state.texts.text_websocket_prefix)
