/* mda/delivered_to.c - the trail of a message through our aliases. Runs in the back and in the
 * admin's process. */
#include "mda/delivered_to.h"

#include "mda/sender.h"

static const struct slice name = { (const uint8_t *)"Delivered-To:", 13 };

static void look(struct delivered_to *watch, const struct destinations *found)
{
	struct slice line = slice_trim(slice_of(watch->line, watch->len));
	struct arena arena = { 0 };

	watch->is_past_header = line.len == 0;
	if (!slice_starts_nocase(line, name))
		return;
	struct slice value = slice_trim(slice_sub(line, name.len, line.len));
	struct slice address = sender_recipient(value, &arena);
	for (size_t i = 0; i < found->remote_count; i++)
		if (found->remotes[i].via.len > 0 &&
		    slice_eq(sender_recipient(found->remotes[i].via, &arena), address))
			watch->is_loop = true;
	arena_fini(&arena);
}

void delivered_to_feed(struct delivered_to *watch, struct slice octets,
		       const struct destinations *found)
{
	while (!watch->is_past_header && octets.len > 0) {
		size_t len = slice_find_byte(octets, 0, '\n'),
		       room = sizeof(watch->line) - watch->len;
		size_t kept = len < room ? len : room;
		memcpy(watch->line + watch->len, octets.ptr, kept);
		watch->len += kept;
		if (len == octets.len)
			return;
		look(watch, found);
		watch->len = 0;
		octets = slice_sub(octets, len + 1, octets.len);
	}
}

struct slice delivered_to_line(const struct destinations *found, struct arena *arena)
{
	if (found->recipient_count != 1 || found->remote_count == 0 ||
	    found->remotes[0].via.len == 0)
		return SLICE_NONE;
	return slice_cstr(
		arena_format(arena, "Delivered-To: %.*s\r\n", SLICE_ARG(found->remotes[0].via)));
}
