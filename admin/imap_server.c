/* admin/imap_server.c - the URL of an IMAP server and a user there (RFC 5092 section 3, without
 * AUTH). Runs in the admin's process. */
#include "admin/imap_server.h"

#include <string.h>

#include "base/hex.h"

bool imap_server_is_url(const char *text)
{
	return strncmp(text, "imap://", 7) == 0 || strncmp(text, "imaps://", 8) == 0;
}

static char *percent_decode(struct slice text, struct arena *arena)
{
	char *out = arena_string(arena, text), *to = out;
	for (size_t i = 0; i < text.len; i++) {
		bool is_escape = text.ptr[i] == '%' && i + 2 < text.len;
		int high = is_escape ? hex_value(text.ptr[i + 1]) : -1;
		int low = is_escape ? hex_value(text.ptr[i + 2]) : -1;
		if (high > 1 && low >= 0) { /* no control character */
			*to++ = (char)(high << 4 | low);
			i += 2;
		} else {
			*to++ = (char)text.ptr[i];
		}
	}
	*to = '\0';
	return out;
}

/* host[:port]; the host may be an IPv6 address in brackets. */
static bool parse_host(struct slice text, struct arena *arena, struct imap_server *server)
{
	uint64_t port;
	struct slice host, number;
	size_t end = slice_find_byte(text, 0, ':');
	if (text.len > 0 && text.ptr[0] == '[') {
		end = slice_find_byte(text, 0, ']');
		if (end == text.len)
			return false;
		number = slice_sub(text, end + 1, text.len);
		host = slice_sub(text, 1, end - 1);
	} else {
		number = slice_sub(text, end, text.len);
		host = slice_sub(text, 0, end);
	}
	if (number.len > 0) {
		if (number.ptr[0] != ':' ||
		    !slice_to_u64(slice_sub(number, 1, number.len), UINT16_MAX, &port) || port == 0)
			return false;
		server->port = (uint16_t)port;
	}
	server->host = arena_string(arena, host);
	return host.len > 0;
}

bool imap_server_parse(const char *url, struct arena *arena, struct imap_server *server_out)
{
	struct slice rest = slice_cstr(strstr(url, "://") + 3);
	server_out->tls_at_once = strncmp(url, "imaps", 5) == 0;
	server_out->port = server_out->tls_at_once ? 993 : 143;
	if (rest.len > 0 && rest.ptr[rest.len - 1] == '/')
		rest.len--;
	/* The last '@': a user's name may have one. */
	size_t at = rest.len;
	while (at > 0 && rest.ptr[at - 1] != '@')
		at--;
	if (at < 2 || slice_find_byte(rest, 0, '/') < rest.len)
		return false;
	server_out->user = percent_decode(slice_sub(rest, 0, at - 1), arena);
	return parse_host(slice_sub(rest, at, rest.len), arena, server_out) &&
	       server_out->user[0] != '\0';
}
