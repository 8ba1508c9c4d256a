#pragma once
/* libcurl's types and constants. The library itself is opened at first use
 * (dlopen), so its variadic functions come as pointers, which Swift cannot
 * call: one wrapper for each kind of argument. */
#define CURL_DISABLE_TYPECHECK 1
#include <curl/curl.h>

typedef CURLcode (*curl_setopt_function)(CURL *handle, CURLoption option, ...);
typedef CURLcode (*curl_getinfo_function)(CURL *handle, CURLINFO info, ...);
typedef size_t (*curl_body_function)(char *bytes, size_t size, size_t count, void *context);

static inline CURLcode curl_set_long(void *function, CURL *handle, int option, long value) {
    return ((curl_setopt_function)function)(handle, (CURLoption)option, value);
}

static inline CURLcode curl_set_offset(void *function, CURL *handle, int option, curl_off_t value) {
    return ((curl_setopt_function)function)(handle, (CURLoption)option, value);
}

static inline CURLcode curl_set_string(void *function, CURL *handle, int option, const char *value) {
    return ((curl_setopt_function)function)(handle, (CURLoption)option, value);
}

static inline CURLcode curl_set_pointer(void *function, CURL *handle, int option, void *value) {
    return ((curl_setopt_function)function)(handle, (CURLoption)option, value);
}

static inline CURLcode curl_set_callback(void *function, CURL *handle, int option, curl_body_function value) {
    return ((curl_setopt_function)function)(handle, (CURLoption)option, value);
}

/* CURLOPT_CAINFO_BLOB: libcurl copies the bytes. */
static inline CURLcode curl_set_blob(void *function, CURL *handle, int option, void *bytes, size_t count) {
    struct curl_blob blob = {bytes, count, CURL_BLOB_COPY};
    return ((curl_setopt_function)function)(handle, (CURLoption)option, &blob);
}

static inline CURLcode curl_get_long(void *function, CURL *handle, int info, long *value) {
    return ((curl_getinfo_function)function)(handle, (CURLINFO)info, value);
}

static inline CURLcode curl_get_string(void *function, CURL *handle, int info, char **value) {
    return ((curl_getinfo_function)function)(handle, (CURLINFO)info, value);
}
