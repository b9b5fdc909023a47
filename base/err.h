/* base/err.h - the outcomes on which a caller acts differently.
 *
 * Each protocol maps them to its replies in one table. Whoever meets the cause
 * (errno, a database code) logs it once, there; callers pass the value up in
 * silence. */
#pragma once

#include <stdbool.h>

enum err {
	ERR_OK = 0,
	ERR_NOT_FOUND,	 /* no such account, address, mailbox, message */
	ERR_EXISTS,	 /* the name is taken */
	ERR_BAD_INPUT,	 /* what was asked for breaks a grammar or a rule */
	ERR_DENIED,	 /* wrong password, no right to do that */
	ERR_REFUSED,	 /* who is asked for does not want it: a list, from who may not post */
	ERR_LOOP,	 /* the message has been here before */
	ERR_RATE,	 /* the account's for today: tomorrow it may work */
	ERR_BUSY,	 /* somebody else holds it; later it may work */
	ERR_LIMIT,	 /* a limit of the configuration or the protocol */
	ERR_QUOTA,	 /* the account's quota */
	ERR_GONE,	 /* existed when the session looked, deleted since */
	ERR_DAMAGED,	 /* stored bytes do not match their checksum */
	ERR_UNAVAILABLE, /* the process that does it is away or is stopping */
	ERR_CANCELLED,	 /* who asked has left */
	ERR_LINE_END,	 /* a CR or LF in a message that is no part of CRLF */
	/* From here on the store itself failed: the whole batch is lost. */
	ERR_FULL,    /* no space on the disk or in the map */
	ERR_DISK,    /* the device or the file system failed */
	ERR_VERSION, /* the store was written by a newer Bode */
};

/* True for outcomes that lose the whole write transaction. */
static inline bool err_is_store_failure(enum err err)
{
	return err >= ERR_FULL;
}

/* A word for the log: "not-found", "quota", ... Never for the wire. */
const char *err_word(enum err err);
