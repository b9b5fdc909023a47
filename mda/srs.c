/* mda/srs.c - the Sender Rewriting Scheme. Runs in the back and in the admin's process.
 *
 * Left out: paths whose local part would have more than 64 octets; they stay as they are. Who
 * sends newsletters from such ones signs them (DKIM), and that survives. */
#include "mda/srs.h"

#include "base/buffer.h"
#include "base/octets.h"
#include "mail/address.h"

enum { DAY_SECONDS = 24 * 3600, DAYS = 1024, DAY_DIGITS = 2, PREFIX_OCTETS = 5 };

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"; /* RFC 4648 section 6 */

static bool is_separator(uint8_t c)
{
	return c == '=' || c == '+' || c == '-';
}

static bool starts(struct slice local, const char *word)
{
	return local.len > PREFIX_OCTETS && slice_starts_nocase(local, slice_cstr(word)) &&
	       is_separator(local.ptr[PREFIX_OCTETS - 1]);
}

bool srs_is_rewritten(struct slice local)
{
	return starts(local, "SRS0") || starts(local, "SRS1");
}

/* The case of a local part may be changed on its way, though it should not. */
static void hash(const uint8_t key[MAC_KEY_OCTETS], const char *kind, struct slice a,
		 struct slice b, char out[SRS_HASH_DIGITS])
{
	struct buffer text = { 0 };
	struct arena arena = { 0 };
	uint8_t mac[MAC_OCTETS];

	buffer_add_cstr(&text, kind);
	buffer_add_block(&text, arena_lower(&arena, a));
	buffer_add_block(&text, arena_lower(&arena, b));
	mac_make(key, buffer_slice(&text), mac);
	uint64_t bits = get_be64(mac);
	for (int i = 0; i < SRS_HASH_DIGITS; i++)
		out[i] = digits[bits >> (64 - 5 * (i + 1)) & 31];
	buffer_free(&text);
	arena_fini(&arena);
}

static bool hash_fits(struct slice given, const char hash[SRS_HASH_DIGITS])
{
	uint8_t upper[SRS_HASH_DIGITS];

	if (given.len != SRS_HASH_DIGITS)
		return false;
	for (size_t i = 0; i < given.len; i++)
		upper[i] = given.ptr[i] >= 'a' && given.ptr[i] <= 'z'
				   ? (uint8_t)(given.ptr[i] - 'a' + 'A')
				   : given.ptr[i];
	return mac_equal(upper, (const uint8_t *)hash, SRS_HASH_DIGITS);
}

/* Up to the next "="; that is dropped. */
static struct slice take_part(struct slice *rest)
{
	size_t end = slice_find_byte(*rest, 0, '=');
	struct slice part = slice_sub(*rest, 0, end);
	*rest = slice_sub(*rest, end + 1, rest->len);
	return part;
}

static int digit_value(uint8_t c)
{
	for (int i = 0; i < 32; i++)
		if (digits[i] == (c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c))
			return i;
	return -1;
}

static bool is_recent(struct slice day, int64_t now_unix)
{
	if (day.len != DAY_DIGITS)
		return false;
	int high = digit_value(day.ptr[0]), low = digit_value(day.ptr[1]);
	if (high < 0 || low < 0)
		return false;
	int64_t today = now_unix / DAY_SECONDS % DAYS;
	return (today - (high * 32 + low) + DAYS) % DAYS <= SRS_DAYS;
}

/* "SRS1": `host` is who made `rest`, which is what stands behind the SRS0 of his address. */
static struct slice again(const uint8_t key[MAC_KEY_OCTETS], struct slice host, struct slice rest,
			  struct arena *arena)
{
	char mark[SRS_HASH_DIGITS];

	hash(key, "1", host, rest, mark);
	return slice_cstr(arena_format(arena, "SRS1=%.*s=%.*s=%.*s", SRS_HASH_DIGITS, mark,
				       SLICE_ARG(host), SLICE_ARG(rest)));
}

/* The parts of "SRS1=HASH=HOST=REST" behind its prefix. */
static bool take_again(struct slice local, struct slice *mark_out, struct slice *host_out,
		       struct slice *rest_out)
{
	struct slice rest = slice_sub(local, PREFIX_OCTETS, local.len);

	*mark_out = take_part(&rest);
	*host_out = take_part(&rest);
	*rest_out = rest;
	return host_out->len > 0 && rest.len > 1 && is_separator(rest.ptr[0]);
}

static struct slice first(const uint8_t key[MAC_KEY_OCTETS], const struct address *address,
			  int64_t now_unix, struct arena *arena)
{
	char mark[SRS_HASH_DIGITS];
	int64_t today = now_unix / DAY_SECONDS % DAYS;
	const char *text = arena_format(arena, "%c%c=%.*s", digits[today / 32], digits[today % 32],
					SLICE_ARG(address->domain));

	hash(key, "0", slice_cstr(text), address->local, mark);
	return slice_cstr(arena_format(arena, "SRS0=%.*s=%s=%.*s", SRS_HASH_DIGITS, mark, text,
				       SLICE_ARG(address->local)));
}

struct slice srs_forward(const uint8_t key[MAC_KEY_OCTETS], struct slice reverse_path,
			 struct slice domain, int64_t now_unix, struct arena *arena)
{
	struct address from, to = { .domain = domain }, checked;
	struct slice mark, host, rest;

	/* A local part that holds a NUL was quoted, and is nobody's. */
	if (!address_parse(reverse_path, arena, &from) || from.local.len == 0 ||
	    memchr(from.local.ptr, 0, from.local.len) ||
	    slice_find_byte(from.domain, 0, '=') < from.domain.len)
		return SLICE_NONE;
	if (starts(from.local, "SRS0"))
		to.local = again(key, from.domain,
				 slice_sub(from.local, PREFIX_OCTETS - 1, from.local.len), arena);
	else if (starts(from.local, "SRS1") && take_again(from.local, &mark, &host, &rest))
		to.local = again(key, host, rest, arena);
	else
		to.local = first(key, &from, now_unix, arena);
	struct slice path = address_format(&to, arena);
	return path.len + 2 <= ADDRESS_MAX_PATH && address_parse(path, arena, &checked)
		       ? path
		       : SLICE_NONE;
}

struct slice srs_back(const uint8_t key[MAC_KEY_OCTETS], struct slice local, int64_t now_unix,
		      struct arena *arena)
{
	char mark[SRS_HASH_DIGITS];
	struct slice given, rest;
	struct address to;

	if (starts(local, "SRS1")) {
		if (!take_again(local, &given, &to.domain, &rest))
			return SLICE_NONE;
		hash(key, "1", to.domain, rest, mark);
		to.local = slice_cstr(arena_format(arena, "SRS0%.*s", SLICE_ARG(rest)));
	} else if (starts(local, "SRS0")) {
		rest = slice_sub(local, PREFIX_OCTETS, local.len);
		given = take_part(&rest);
		struct slice dated = rest, day = take_part(&rest);
		to.domain = take_part(&rest);
		to.local = rest;
		dated.len = day.len + 1 + to.domain.len;
		if (!is_recent(day, now_unix) || to.domain.len == 0 || to.local.len == 0)
			return SLICE_NONE;
		hash(key, "0", dated, to.local, mark);
	} else {
		return SLICE_NONE;
	}
	return hash_fits(given, mark) ? address_format(&to, arena) : SLICE_NONE;
}
