/* serve/user_names.c - who a user of the machine is: looked up in a thread of its own, one at a time,
 * and remembered for a minute. Runs in the supervisor.
 *
 * Names may come from a directory in the network, which may be slow or away, and the supervisor has
 * signals and deaths to attend to. A thread that hangs there is left behind when the process ends. */
#include "serve/user_names_priv.h"

#include <errno.h>
#include <pthread.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/attributes.h"
#include "base/clock.h"
#include "base/heap.h"
#include "base/log.h"

enum {
	KNOWN = 64,
	KNOWN_MS = 60 * 1000,
	FAILED_MS = 1000, /* after which one that could not be looked up is again */
	RECORD_OCTETS = 64 * 1024,
};

struct known {
	uint32_t uid;
	uint64_t until_ms;
	char *name; /* NULL: this is no entry */
	bool is_nobodys;
};

/* Belongs to its thread, then to the loop that it is posted to. */
struct lookup {
	struct task task;
	pthread_mutex_t mutex;
	struct user_names *names; /* NULL: nobody waits for it any more */
	uint32_t uid;
	char *name;
	bool is_nobodys;
};

struct user_names {
	struct loop *loop;
	void (*found)(void *user);
	void *user;
	struct known known[KNOWN]; /* by the last digits of the uid */
	struct lookup *lookup;	   /* under way */
};

static void lookup_free(struct lookup *lookup)
{
	pthread_mutex_destroy(&lookup->mutex);
	free(lookup->name);
	free(lookup);
}

static void on_found(struct task *task)
{
	struct lookup *lookup = CONTAINER_OF(task, struct lookup, task);

	pthread_mutex_lock(&lookup->mutex); /* the thread may hold it still */
	struct user_names *names = lookup->names;
	pthread_mutex_unlock(&lookup->mutex);
	if (names) {
		struct known *known = &names->known[lookup->uid % KNOWN];
		free(known->name);
		uint64_t keep_ms = lookup->name[0] == '\0' ? FAILED_MS : KNOWN_MS;
		*known = (struct known){ lookup->uid, clock_monotonic_ms() + keep_ms, lookup->name,
					 lookup->is_nobodys };
		lookup->name = NULL;
		names->lookup = NULL;
	}
	lookup_free(lookup);
	if (names)
		names->found(names->user);
}

/* To the loop, if it is still there. */
static void hand_back(struct lookup *lookup)
{
	pthread_mutex_lock(&lookup->mutex);
	bool is_wanted = lookup->names != NULL;
	if (is_wanted) {
		lookup->task.run = on_found;
		loop_post(lookup->names->loop, &lookup->task);
	}
	pthread_mutex_unlock(&lookup->mutex);
	if (!is_wanted)
		lookup_free(lookup);
}

static void *look_up(void *user)
{
	struct lookup *lookup = user;
	struct passwd record, *found = NULL;
	char name[32], *room = heap_alloc(RECORD_OCTETS);

	snprintf(name, sizeof(name), "uid%lu", (unsigned long)lookup->uid);
	int failed = getpwuid_r(lookup->uid, &record, room, RECORD_OCTETS, &found);
	/* A directory that fails for a moment does not make another of him; these say "nobody". */
	if (failed == ENOENT || failed == ESRCH || failed == EBADF || failed == EPERM)
		failed = 0;
	if (failed)
		log_warning(NULL, EVENT("user-unknown"), NUM("uid", lookup->uid), ERRNO(failed));
	lookup->name = heap_string(failed ? SLICE("") : slice_cstr(found ? found->pw_name : name));
	lookup->is_nobodys = !failed && !found;
	free(room);
	hand_back(lookup);
	return NULL;
}

static void begin(struct user_names *names, uint32_t uid)
{
	struct lookup *lookup = names->lookup = heap_alloc(sizeof(*lookup));
	pthread_t thread;

	lookup->names = names;
	lookup->uid = uid;
	pthread_mutex_init(&lookup->mutex, NULL);
	int failed = pthread_create(&thread, NULL, look_up, lookup);
	if (!failed) {
		pthread_detach(thread);
		return;
	}
	log_error(NULL, EVENT("thread-failed"), ERRNO(failed));
	lookup->name = heap_string(SLICE("")); /* whom nobody lets in */
	hand_back(lookup);
}

const char *user_names_get(struct user_names *names, uint32_t uid, bool *is_nobodys_out)
{
	const struct known *known = &names->known[uid % KNOWN];

	*is_nobodys_out = false;
	if (uid == 0)
		return "root";
	*is_nobodys_out = known->is_nobodys;
	if (known->name && known->uid == uid && clock_monotonic_ms() < known->until_ms)
		return known->name;
	if (!names->lookup)
		begin(names, uid);
	return NULL;
}

struct user_names *user_names_new(struct loop *loop, void (*found)(void *user), void *user)
{
	struct user_names *names = heap_alloc(sizeof(*names));

	names->loop = loop;
	names->found = found;
	names->user = user;
	return names;
}

void user_names_free(struct user_names **names)
{
	struct user_names *n = *names;

	*names = NULL;
	if (!n)
		return;
	if (n->lookup) {
		pthread_mutex_t *mutex = &n->lookup->mutex;
		pthread_mutex_lock(mutex);
		n->lookup->names = NULL;
		pthread_mutex_unlock(mutex);
	}
	for (size_t i = 0; i < KNOWN; i++)
		free(n->known[i].name);
	free(n);
}
