/* admin/store.c - writing from the admin's process, and what a refusal means to a person. */
#include <string.h>

#include "admin/admin_priv.h"

int admin_fail_store(enum err err, const char *doing)
{
	switch (err) {
	case ERR_FULL: return admin_fail("%s: the disk is full; make room and try again", doing);
	case ERR_DISK:
		return admin_fail("%s: the disk or file system failed; look at the line above and "
				  "at the system's log",
				  doing);
	case ERR_DAMAGED:
		return admin_fail(
			"%s: a record of the store is damaged; \"bode verify\" names it, and "
			"--repair mends what can be mended",
			doing);
	default: return admin_fail("%s: %s", doing, err_word(err));
	}
}

enum err admin_write(struct admin *admin, struct job *job)
{
	return store_write_now(admin->store, job);
}
