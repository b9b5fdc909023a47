/* tests/unit/unit.h - what every unit test includes: cmocka, with what it wants before it. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/slice.h"

/* Compares a slice with a string, showing both when they differ. */
static inline void assert_slice(struct slice got, const char *want)
{
	if (!slice_eq(got, slice_cstr(want)))
		fail_msg("got \"%.*s\", want \"%s\"", SLICE_ARG(got), want);
}
