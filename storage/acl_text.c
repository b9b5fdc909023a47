/* storage/acl_text.c - rights as the letters of RFC 4314, which people and clients write. In the back,
 * and in the admin's process. */
#include "storage/acl.h"

#include "base/cursor.h"

/* In the order in which they are told. "c" and "d" are RFC 2086's (section 2.1.1). */
static const struct {
	char letter;
	unsigned rights;
} letters[ACL_TEXT_OCTETS - 1] = {
	{ 'l', RIGHT_LOOKUP },
	{ 'r', RIGHT_READ },
	{ 's', RIGHT_SEEN },
	{ 'w', RIGHT_WRITE },
	{ 'i', RIGHT_INSERT },
	{ 'p', RIGHT_POST },
	{ 'k', RIGHT_CREATE },
	{ 'x', RIGHT_DELETE_MAILBOX },
	{ 't', RIGHT_DELETE_MESSAGES },
	{ 'e', RIGHT_EXPUNGE },
	{ 'c', RIGHT_CREATE | RIGHT_DELETE_MAILBOX },
	{ 'd', RIGHT_DELETE_MESSAGES | RIGHT_EXPUNGE },
	{ 'a', RIGHT_ADMINISTER },
};

bool acl_text_parse(struct slice text, enum acl_change *change_out, unsigned *rights_out)
{
	struct cursor c = cursor_of(text);
	*change_out = take_byte(&c, '+') ? ACL_ADD : take_byte(&c, '-') ? ACL_REMOVE : ACL_SET;
	*rights_out = 0;
	for (; !at_end(&c); c.at++) {
		size_t i = 0;
		while (i < ARRAY_LEN(letters) && letters[i].letter != (char)*c.at)
			i++;
		if (i == ARRAY_LEN(letters))
			return false;
		*rights_out |= letters[i].rights;
	}
	return true;
}

void acl_text_format(unsigned rights, char out[ACL_TEXT_OCTETS])
{
	for (size_t i = 0; i < ARRAY_LEN(letters); i++)
		if (rights & letters[i].rights)
			*out++ = letters[i].letter;
	*out = '\0';
}
