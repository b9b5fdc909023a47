/* base/err.c - the log's words for outcomes. */
#include "base/err.h"

const char *err_word(enum err err)
{
	switch (err) {
	case ERR_OK: return "ok";
	case ERR_NOT_FOUND: return "not-found";
	case ERR_EXISTS: return "exists";
	case ERR_BAD_INPUT: return "bad-input";
	case ERR_DENIED: return "denied";
	case ERR_REFUSED: return "refused";
	case ERR_LOOP: return "loop";
	case ERR_RATE: return "rate";
	case ERR_BUSY: return "busy";
	case ERR_LIMIT: return "limit";
	case ERR_QUOTA: return "quota";
	case ERR_GONE: return "gone";
	case ERR_DAMAGED: return "damaged";
	case ERR_UNAVAILABLE: return "unavailable";
	case ERR_CANCELLED: return "cancelled";
	case ERR_LINE_END: return "line-end";
	case ERR_FULL: return "full";
	case ERR_DISK: return "disk";
	case ERR_VERSION: return "version";
	}
	return "unknown";
}
