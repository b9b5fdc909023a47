/* admin/line_ends.h - how the lines of a message on the disk end, looked at piece by piece. */
#pragma once

#include "base/slice.h"
#include "storage/source.h"

/* Zero-initialise. */
struct line_ends {
	uint64_t lf, crlf;
	bool after_cr;
};
void line_ends_look(struct line_ends *ends, struct slice octets);
enum source_form line_ends_form(const struct line_ends *ends);
