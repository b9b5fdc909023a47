/* mail/mime_part.c - asking a finished structure. RFC 9051 section 6.4.5.1. Runs in both. */
#include "mail/mime.h"

/* A part has children exactly if it was looked into. */
bool mime_is_multipart(const struct mime_part *part)
{
	return part->first_child && slice_eq(part->type, SLICE("multipart"));
}

bool mime_is_message(const struct mime_part *part)
{
	return part->first_child && slice_eq(part->type, SLICE("message"));
}

bool mime_parameter_find(const struct mime_part *part, struct slice name, struct slice *value_out)
{
	for (size_t i = 0; i < part->parameter_count; i++) {
		if (slice_eq_nocase(part->parameters[i].name, name)) {
			*value_out = part->parameters[i].value;
			return true;
		}
	}
	return false;
}

const struct mime_part *mime_find_part(const struct mime_part *root, const uint32_t *numbers,
				       size_t count)
{
	const struct mime_part *part = root;
	bool is_whole_message = true; /* whose body is its part 1, unless it is a multipart */
	for (size_t i = 0; i < count; i++) {
		if (!is_whole_message && mime_is_message(part)) {
			part = part->first_child;
			is_whole_message = true;
		}
		if (mime_is_multipart(part)) {
			uint32_t number = numbers[i];
			if (number == 0)
				return NULL;
			for (part = part->first_child; part && number > 1; number--)
				part = part->next_sibling;
			if (!part)
				return NULL;
		} else if (!is_whole_message || numbers[i] != 1) {
			return NULL;
		}
		is_whole_message = false;
	}
	return part;
}
