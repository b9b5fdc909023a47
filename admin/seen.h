/* admin/seen.h - how often a content was seen in this run: equal messages of a source that has no
 * other names for them are told apart by that. 16 octets a message, no content. */
#pragma once

#include <stdint.h>

struct seen;
struct seen *seen_new(void);
/* 0 at the first time. */
uint32_t seen_count(struct seen *seen, uint64_t content);
void seen_free(struct seen **seen);
