/* storage/blob.h - message bodies: chunked, compressed, checksummed, shared, never changed.
 *
 * A message comes in through an intake, which compresses each chunk on the caller's thread
 * and reads the structure (mail/mime.h) in the same pass. A small message travels whole with
 * the job that files it, one transaction; of a large one, each filled chunk goes to the
 * writer at once, so memory is a few chunks whatever the size. What a crash leaves of
 * unfinished blobs is swept at the next start. */
#pragma once

#include "base/arena.h"
#include "base/buffer.h"
#include "storage/store.h"

enum { BLOB_CHUNK_OCTETS = 64 * 1024 };

struct intake;
/* `loop` is where room() is called. `user` is given back to it. */
struct intake *intake_new(struct store *store, struct loop *loop, void (*room)(void *user),
			  void *user);
/* Takes the octets in any case. False: enough chunks wait for the writer; stop feeding until
 * room() is called. Line ends are CRLF already. */
bool intake_feed(struct intake *intake, struct slice octets);
uint64_t intake_size_octets(const struct intake *intake);
/* After intake_finish(): the Message-ID with its angle brackets, at most so long; ptr NULL: none. */
enum { INTAKE_MESSAGE_ID_MAX_OCTETS = 255 };
struct slice intake_message_id(const struct intake *intake);
/* The end of the message: last chunk, digest. When room() has been called for all that
 * intake_feed() refused, or nothing was refused, the intake may go into a job at once.
 * Returns ERR_OK, or what went wrong with a chunk on the way (ERR_FULL, ERR_DISK). */
enum err intake_finish(struct intake *intake) MUST_USE;
/* In a job, before the first message_append() of this blob; may run again with its job. */
enum err intake_commit(struct write *write, struct intake *intake, uint64_t *blob_id_out) MUST_USE;
/* Many messages for one job (MULTIAPPEND): what a finished intake holds in memory, and giving that
 * to the store in a job of its own, as an unfinished blob; afterwards intake_parked() with the
 * job's outcome. intake_commit() as ever. */
size_t intake_held_octets(const struct intake *intake);
enum err intake_park(struct write *write, struct intake *intake) MUST_USE;
void intake_parked(struct intake *intake, enum err outcome);
/* After the job, or instead of it (then its chunks are removed). Accepts NULL, leaves NULL. */
void intake_free(struct intake **intake);

/* Size of the message in octets. ERR_GONE, ERR_DAMAGED. */
enum err blob_size(struct read *read, uint64_t blob_id, uint64_t *size_octets_out) MUST_USE;
/* Appends up to `len` octets from `offset` on to `out`. Past the end: nothing. What is needed of each
 * chunk that is touched is checked. ERR_DAMAGED: nothing appended from the damaged chunk on; logged. */
enum err blob_read(struct read *read, uint64_t blob_id, uint64_t offset, uint64_t len,
		   struct buffer *out) MUST_USE;
/* Appends what a chunk begins with: at least `need_octets` of it, or all; and what comes behind as far
 * as it takes no more work. Past the end: nothing. ERR_DAMAGED: nothing appended; logged. */
enum err blob_read_beginning(struct read *read, uint64_t blob_id, uint32_t chunk,
			     uint64_t need_octets, struct buffer *out) MUST_USE;
/* The digest's record (mail/digest.h), in `arena`. */
enum err blob_digest(struct read *read, uint64_t blob_id, struct arena *arena,
		     struct slice *record_out) MUST_USE;
/* The same where it stands, as long as the read lives, and nobody has compared it with its checksum: to see
 * that a message can be passed over, never what is in it. False: only blob_digest() can tell. */
bool blob_digest_glance(struct read *read, uint64_t blob_id, struct slice *record_out);
/* The structure as IMAP tells it (mail/structure_text.h), which lives as long as the read. ptr NULL:
 * an older Bode took the message in, and only the digest's record tells it. */
enum err blob_structure_text(struct read *read, uint64_t blob_id, struct slice *text_out) MUST_USE;
