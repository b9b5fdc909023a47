/* pop3d/maildrop.c - the maildrop's snapshot and its lock: RFC 1939 sections 4 and 5.
 * Runs in the back. */
#include "pop3d/maildrop_priv.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/heap.h"

/* All locks that are held, in chains by account. Loops of several threads share them. */
enum { LOCK_CHAINS = 256 };
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct maildrop_lock *chains[LOCK_CHAINS];

bool maildrop_lock(struct maildrop_lock *lock, uint32_t account_id)
{
	struct maildrop_lock **chain = &chains[account_id % LOCK_CHAINS];
	bool taken = false;

	pthread_mutex_lock(&mutex);
	for (const struct maildrop_lock *held = *chain; held; held = held->next)
		if (held->account_id == account_id)
			taken = true;
	if (!taken) {
		*lock = (struct maildrop_lock){ account_id, true, *chain };
		*chain = lock;
	}
	pthread_mutex_unlock(&mutex);
	return !taken;
}

void maildrop_unlock(struct maildrop_lock *lock)
{
	if (!lock->is_held)
		return;
	pthread_mutex_lock(&mutex);
	struct maildrop_lock **link = &chains[lock->account_id % LOCK_CHAINS];
	while (*link != lock)
		link = &(*link)->next;
	*link = lock->next;
	pthread_mutex_unlock(&mutex);
	*lock = (struct maildrop_lock){ 0 };
}

enum err maildrop_open(struct maildrop *drop, struct read *read, uint32_t account_id)
{
	struct arena arena = { NULL };
	struct mailbox mailbox;
	struct message_entry entry;
	uint32_t cap = 0;
	enum err err = mailbox_find(read, account_id, SLICE("INBOX"), &arena, &mailbox);
	arena_fini(&arena);
	if (err != ERR_OK)
		return err;
	*drop = (struct maildrop){ .mailbox_id = mailbox.mailbox_id,
				   .uidvalidity = mailbox.uidvalidity };
	struct message_cursor *cursor = message_cursor_open(read, mailbox.mailbox_id, 1);
	while (message_cursor_next(cursor, &entry)) {
		if (drop->count == cap) {
			cap = cap ? cap * 2 : mailbox.messages ? mailbox.messages : 16;
			drop->messages =
				heap_resize(drop->messages, (size_t)cap * sizeof(*drop->messages));
		}
		drop->messages[drop->count++] = (struct maildrop_message){
			.uid = entry.uid,
			.size_octets = entry.size_octets & 0x7fffffff,
		};
		drop->size_octets += entry.size_octets;
	}
	message_cursor_close(&cursor);
	/* Half a maildrop would make clients forget, and fetch again, the other half. */
	err = read_failure(read);
	if (err != ERR_OK)
		maildrop_close(drop);
	return err;
}

void maildrop_close(struct maildrop *drop)
{
	free(drop->messages);
	*drop = (struct maildrop){ 0 };
}

void maildrop_delete(struct maildrop *drop, uint32_t number)
{
	struct maildrop_message *message = maildrop_message(drop, number);
	message->is_deleted = 1;
	drop->deleted_count++;
	drop->size_octets -= message->size_octets;
}

void maildrop_reset(struct maildrop *drop)
{
	for (uint32_t number = 1; number <= drop->count; number++) {
		struct maildrop_message *message = maildrop_message(drop, number);
		if (message->is_deleted)
			drop->size_octets += message->size_octets;
		message->is_deleted = 0;
	}
	drop->deleted_count = 0;
}

void maildrop_deleted(const struct maildrop *drop, struct ranges *uids_out)
{
	for (uint32_t i = 0; i < drop->count; i++)
		if (drop->messages[i].is_deleted)
			ranges_add(uids_out, drop->messages[i].uid, drop->messages[i].uid);
}
