/* error.c -- one expression sets an error.
 *
 *     {code 204, sys 0, at 0x2a8, "local heap signature"}
 */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* The length of `text` without a UTF-8 character that was cut off at its end. */
static size_t whole_characters(const char *text, size_t len) {
    size_t lead = len;
    while (lead > 0 && len - lead < 3 && ((unsigned char)text[lead - 1] & 0xC0) == 0x80) lead--;
    if (lead == 0) return len;
    unsigned char first = (unsigned char)text[lead - 1];
    size_t wanted = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : first >= 0xC0 ? 2 : 1;
    return len - lead + 1 < wanted ? lead - 1 : len;
}

int kw_fail(kw_error *err, int code, uint64_t at, const char *format, ...) {
    char detail[KW_DETAIL_LEN]; /* an argument may be err->detail itself */
    va_list args;
    va_start(args, format);
    int len = vsnprintf(detail, sizeof detail, format, args);
    va_end(args);
    if (len < 0) detail[0] = '\0';
    if (len >= (int)sizeof detail) detail[whole_characters(detail, sizeof detail - 1)] = '\0';
    err->code = code;
    err->sys = 0;
    err->at = at;
    memcpy(err->detail, detail, strlen(detail) + 1);
    return -1;
}

int kw_fail_memory(kw_error *err) {
    return kw_fail(err, KW_MEMORY, KW_NOWHERE, "out of memory");
}

int kw_fail_errno(kw_error *err, int code, int sys) {
    kw_fail(err, code, KW_NOWHERE, "%s", strerror(sys));
    err->sys = sys;
    return -1;
}
