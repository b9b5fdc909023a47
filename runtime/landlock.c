/* runtime/landlock.c - Landlock by its raw system calls; landlock(7).
 *
 * The names and numbers are the kernel's interface, spelled out here since the headers of a
 * distribution may be older than the kernel that runs. Rights that the running kernel does
 * not know yet are left out, each of them with the version that brought it. */
#include "runtime/landlock_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"

enum {
	CALL_CREATE_RULESET = 444, /* the same number on every architecture */
	CALL_ADD_RULE = 445,
	CALL_RESTRICT_SELF = 446,
	CREATE_RULESET_VERSION = 1,
	RULE_PATH_BENEATH = 1,
};

enum file_right {
	FILE_EXECUTE = 1 << 0,
	FILE_WRITE = 1 << 1,
	FILE_READ = 1 << 2,
	FILE_READ_DIR = 1 << 3,
	FILE_REMOVE_DIR = 1 << 4,
	FILE_REMOVE_FILE = 1 << 5,
	FILE_MAKE_REG = 1 << 8,
	FILE_ALL_OF_1 = (1 << 13) - 1,
	FILE_REFER = 1 << 13,	  /* version 2 */
	FILE_TRUNCATE = 1 << 14,  /* version 3 */
	FILE_IOCTL_DEV = 1 << 15, /* version 5 */
};
enum port_right { PORT_BIND_TCP = 1 << 0, PORT_CONNECT_TCP = 1 << 1 }; /* version 4 */
enum scope { SCOPE_ABSTRACT_UNIX = 1 << 0, SCOPE_SIGNAL = 1 << 1 };    /* version 6 */

struct ruleset {
	uint64_t file_rights;
	uint64_t port_rights;
	uint64_t scopes;
};
struct path_beneath {
	uint64_t allowed_rights;
	int32_t parent_fd;
} __attribute__((packed));

/* What the store does: LMDB's files, their growth and their replacement. */
enum { STORE_RIGHTS = FILE_READ | FILE_WRITE | FILE_READ_DIR | FILE_REMOVE_FILE | FILE_MAKE_REG };

/* How much of the structure the kernel of that version knows. */
static size_t ruleset_size(int version)
{
	if (version < 4)
		return sizeof(uint64_t);
	return version < 6 ? 2 * sizeof(uint64_t) : 3 * sizeof(uint64_t);
}

static enum err allow_beneath(int rules, const char *dir, uint64_t rights)
{
	struct path_beneath beneath = {
		.allowed_rights = rights,
		.parent_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC),
	};
	int failed = beneath.parent_fd < 0
			     ? -1
			     : (int)syscall(CALL_ADD_RULE, rules, RULE_PATH_BENEATH, &beneath, 0);
	if (failed)
		log_error(NULL, EVENT("sandbox-failed"), WORD("layer", "landlock"),
			  CSTR("dir", dir), ERRNO(errno));
	if (beneath.parent_fd >= 0)
		close(beneath.parent_fd);
	return failed ? ERR_DENIED : ERR_OK;
}

enum err landlock_shut(const char *files_dir, enum landlock_ports ports)
{
	struct ruleset ruleset = { .file_rights = FILE_ALL_OF_1 };
	uint64_t store_rights = STORE_RIGHTS;
	int version = (int)syscall(CALL_CREATE_RULESET, NULL, 0, CREATE_RULESET_VERSION);
	int rules = -1;
	enum err err = ERR_OK;

	if (version < 1) {
		log_warning(NULL, EVENT("sandbox-layer-missing"), WORD("layer", "landlock"),
			    ERRNO(errno));
		return ERR_OK;
	}
	if (version >= 2)
		ruleset.file_rights |= FILE_REFER;
	if (version >= 3) {
		ruleset.file_rights |= FILE_TRUNCATE;
		store_rights |= FILE_TRUNCATE;
	}
	if (version >= 4)
		ruleset.port_rights = ports == LANDLOCK_PORTS_NONE
					      ? PORT_BIND_TCP | PORT_CONNECT_TCP
					      : PORT_BIND_TCP;
	if (version >= 5)
		ruleset.file_rights |= FILE_IOCTL_DEV;
	if (version >= 6)
		ruleset.scopes = SCOPE_ABSTRACT_UNIX | SCOPE_SIGNAL;

	rules = (int)syscall(CALL_CREATE_RULESET, &ruleset, ruleset_size(version), 0);
	if (rules < 0) {
		err = ERR_DENIED;
		log_error(NULL, EVENT("sandbox-failed"), WORD("layer", "landlock"), ERRNO(errno));
		goto out;
	}
	if (files_dir && (err = allow_beneath(rules, files_dir, store_rights)) != ERR_OK)
		goto out;
	if (syscall(CALL_RESTRICT_SELF, rules, 0) != 0) {
		err = ERR_DENIED;
		log_error(NULL, EVENT("sandbox-failed"), WORD("layer", "landlock"), ERRNO(errno));
	}
out:
	if (rules >= 0)
		close(rules);
	return err;
}
