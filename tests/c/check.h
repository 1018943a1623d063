/*
 * What a C test is written with. A test program is
 *
 *     static void test_something(void) { CHECK(...); CHECK_EQ(got, 3); }
 *     int main(void) { RUN(test_something); return check_result(__FILE__); }
 *
 * A check that fails says where and what, and the test goes on; check_result() gives the exit status of the program.
 */
#ifndef KW_TESTS_CHECK_H
#define KW_TESTS_CHECK_H

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static int check_count, check_failed_count;
static const char *check_test = "";

/* Counts one check; returns `ok`, after saying where it is and what was asked when it is false. */
static inline bool check_that(bool ok, const char *file, int line, const char *text)
{
    check_count++;
    if (!ok) {
        check_failed_count++;
        fprintf(stderr, "%s:%d: %s: failed: %s\n", file, line, check_test, text);
    }
    return ok;
}

static inline bool check_eq(intmax_t got, intmax_t expected, const char *file, int line, const char *text)
{
    bool ok = check_that(got == expected, file, line, text);
    if (!ok)
        fprintf(stderr, "    got %" PRIdMAX ", expected %" PRIdMAX "\n", got, expected);
    return ok;
}

static inline bool check_str(const char *got, const char *expected, const char *file, int line, const char *text)
{
    bool ok = check_that(got && expected ? strcmp(got, expected) == 0 : got == expected, file, line, text);
    if (!ok)
        fprintf(stderr, "    got \"%s\", expected \"%s\"\n", got ? got : "(null)", expected ? expected : "(null)");
    return ok;
}

/* Each is true when the check holds, so a test can stop where going on makes no sense: `if (!CHECK(p)) return;`. */
#define CHECK(condition) check_that((condition), __FILE__, __LINE__, #condition)
#define CHECK_EQ(got, expected) check_eq((intmax_t)(got), (intmax_t)(expected), __FILE__, __LINE__, #got " == " #expected)
#define CHECK_STR(got, expected) check_str((got), (expected), __FILE__, __LINE__, #got " is " #expected)
#define CHECK_MEM(got, expected, len) check_that(memcmp((got), (expected), (len)) == 0, __FILE__, __LINE__, #got " holds " #expected)

#define RUN(test) (check_test = #test, test())

static inline int check_result(const char *file)
{
    const char *slash = strrchr(file, '/');
    printf("%s: %d checks, %d failed\n", slash ? slash + 1 : file, check_count, check_failed_count);
    return check_failed_count != 0;
}

#endif
