/* base/attributes.h - what a declaration can promise beyond its types. */
#pragma once

#include <stddef.h>

#define MUST_USE __attribute__((warn_unused_result))
#define PRINTF_LIKE(format_at, first_at) \
	__attribute__((__format__(__printf__, format_at, first_at)))
#define NORETURN __attribute__((__noreturn__))

#define ARRAY_LEN(array) (sizeof(array) / sizeof((array)[0]))

/* The structure of type `type` whose member `member` lies at `ptr`. */
#define CONTAINER_OF(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))
