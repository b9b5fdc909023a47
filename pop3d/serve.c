/* pop3d/serve.c - binds the session of a signed-in client to its socket pair. Runs in the
 * back. */
#include "pop3d/pop3d.h"
#include "pop3d/session_priv.h"

/* session_start() gives the stream its own events before the loop turns. */
static const struct stream_events no_events;

void pop3d_session_start(struct back *back, int fd, const struct session_message *message,
			 uint32_t account_id)
{
	struct stream *stream = stream_new(back->loop, fd, &no_events, NULL);
	struct session *session = pop3_session_new(back, message, account_id);
	stream_set_idle_ms(stream, (uint64_t)back->config->idle_pop3_seconds * 1000);
	session_start(session, stream, NULL);
}
