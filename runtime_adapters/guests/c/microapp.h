/* What an app in C says to its host, for core modules with WASI preview 1.
 *
 *   zig cc -target wasm32-wasi -Os -Wl,-z,stack-size=65536 -o app.wasm app.c                 (PyPI: ziglang)
 *   clang --target=wasm32-wasi --sysroot=/usr -Os -Wl,-z,stack-size=65536 -o app.wasm app.c  (Debian: clang lld wasi-libc)
 *
 * Say how large the stack is: zig takes 16 MiB of an app's memory for it otherwise.
 *
 * The request is on standard input, the answer goes to standard output, what a developer wants to know to standard error.
 * Requests and answers of the host are JSON, as runtime_adapters/abi.py has them.
 */
#ifndef MICROAPP_H
#define MICROAPP_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

__attribute__((import_module("microapp_v1"), import_name("call")))
int32_t microapp_host_call(const char *request, int32_t length, char *answer, int32_t capacity);

/* Ask the host. The answer is put at `answer` and ended with a zero; the result is its length without it.
 * -1: it does not fit into `capacity` bytes, and nothing was put there, though the host did what was asked. */
static inline int32_t microapp_call(const char *request, char *answer, size_t capacity)
{
    if (capacity == 0 || capacity > INT32_MAX)
        return -1;
    int32_t length = microapp_host_call(request, (int32_t)strlen(request), answer, (int32_t)capacity - 1);
    if (length < 0 || (size_t)length >= capacity)
        return -1;
    answer[length] = '\0';
    return length;
}

/* Put `text` into `to` as a JSON string with its quotes. 0, or -1 where it does not fit. */
static inline int microapp_quoted(const char *text, char *to, size_t capacity)
{
    size_t at = 0;
    if (capacity < 3)
        return -1;
    to[at++] = '"';
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (at + 8 > capacity)
            return -1;
        if (c == '"' || c == '\\') {
            to[at++] = '\\';
            to[at++] = (char)c;
        } else if (c < 0x20) {
            at += (size_t)snprintf(to + at, capacity - at, "\\u%04x", c);
        } else {
            to[at++] = (char)c;
        }
    }
    to[at++] = '"';
    to[at] = '\0';
    return 0;
}

/* The request, ended with a zero; its length, or -1 where it does not fit. */
static inline int32_t microapp_request(char *to, size_t capacity)
{
    size_t length = fread(to, 1, capacity, stdin);
    if (length >= capacity)
        return -1;
    to[length] = '\0';
    return (int32_t)length;
}

#endif
