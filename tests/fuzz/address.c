/* tests/fuzz/address.c - paths that are taken come back as they were; lists are well-formed. */
#include "tests/unit/mail/structure.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What was taken once is taken again from its formatted text, with the same meaning. */
static void try_path(struct slice text,
		     bool (*take)(struct cursor *, struct arena *, struct address *))
{
	struct arena arena = { 0 };
	struct address address, again;
	struct cursor c = cursor_of(text);
	if (!take(&c, &arena, &address)) {
		assert(c.at == text.ptr);
	} else {
		struct slice formatted = address_format(&address, &arena);
		char *path = arena_format(&arena, "<%.*s>", SLICE_ARG(formatted));
		assert(strlen(path) <= ADDRESS_MAX_PATH);
		c = cursor_of(slice_cstr(path));
		assert(take(&c, &arena, &again) && at_end(&c));
		assert(slice_eq(address.local, again.local));
		assert(slice_eq(address.domain, again.domain));
	}
	arena_fini(&arena);
}

static void try_domain(struct slice text)
{
	struct arena arena = { 0 };
	struct slice domain, normal, again;
	struct cursor c = cursor_of(text);
	if (take_domain_or_literal(&c, &domain))
		assert(domain.len > 0 && domain.len <= ADDRESS_MAX_DOMAIN);
	if (domain_normalise(text, &arena, &normal)) {
		assert(normal.len > 0 && normal.len < 254);
		assert(domain_normalise(normal, &arena, &again) && slice_eq(normal, again));
	}
	arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice text = slice_of(data, size);
	struct arena arena = { 0 };
	struct address address;
	size_t count;
	try_path(text, take_reverse_path);
	try_path(text, take_forward_path);
	try_domain(text);
	(void)address_parse(text, &arena, &address);
	struct header_address *list = address_list_parse(text, &arena, &count);
	structure_check_addresses(list, count);
	size_t octets = 0;
	for (size_t i = 0; i < count; i++)
		octets += list[i].name.len + list[i].route.len + list[i].mailbox.len +
			  list[i].host.len;
	assert(octets <= size);
	arena_fini(&arena);
	return 0;
}
