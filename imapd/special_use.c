/* imapd/special_use.c - the names of special uses, as LIST tells them and CREATE takes them. In
 * the back.
 *
 * RFC 6154 section 2, RFC 8457 (\Important). \All would be a mailbox that shows what lies in the
 * others; there is none. */
#include "imapd/list_priv.h"

static const struct {
	enum special_use use;
	const char *name;
} special_uses[] = {
	{ USE_ARCHIVE, "\\Archive" },	  { USE_DRAFTS, "\\Drafts" }, { USE_FLAGGED, "\\Flagged" },
	{ USE_JUNK, "\\Junk" },		  { USE_SENT, "\\Sent" },     { USE_TRASH, "\\Trash" },
	{ USE_IMPORTANT, "\\Important" },
};

const char *special_use_name(enum special_use use)
{
	for (size_t i = 0; i < ARRAY_LEN(special_uses); i++)
		if (special_uses[i].use == use)
			return special_uses[i].name;
	return NULL;
}

enum special_use special_use_of(struct slice attribute)
{
	for (size_t i = 0; i < ARRAY_LEN(special_uses); i++)
		if (slice_eq_nocase(attribute, slice_cstr(special_uses[i].name)))
			return special_uses[i].use;
	return USE_NONE;
}
