/* storage/dictionary.h - the store learns what its mail has in common (storage/dictionary_priv.h). */
#pragma once

#include "storage/store.h"

enum {
	DICTIONARY_FIRST_BODIES = 1000, /* before there is one */
	DICTIONARY_GROWTH = 16,		/* as many times as many bodies: another */
};

/* Makes a dictionary where one is due, on the calling thread: up to a second of its time. ERR_OK also
 * where there was nothing to do, or too little in common. */
enum err dictionary_make(struct store *store) MUST_USE;

/* Does that on a thread of its own, each time that this process has filed enough mail, until
 * store_close(). Before the writer is started, and once. */
void store_start_dictionaries(struct store *store);
