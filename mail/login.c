/* mail/login.c - the name of an account, as people type it. In front, back and admin. */
#include "mail/login.h"

#include "base/buffer.h"
#include "mail/address.h"

bool login_normalise(struct slice text, struct arena *arena, struct slice *login_out)
{
	struct address address;
	struct slice domain;
	if (!address_parse(text, arena, &address) ||
	    !domain_normalise(address.domain, arena, &domain))
		return false;
	struct slice local = local_normalise(address.local, arena);
	struct buffer joined = { NULL };
	buffer_add(&joined, local);
	buffer_add_byte(&joined, '@');
	buffer_add(&joined, domain);
	*login_out = arena_copy(arena, buffer_slice(&joined));
	buffer_free(&joined);
	return true;
}
