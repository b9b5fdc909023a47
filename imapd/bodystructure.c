/* imapd/bodystructure.c - the BODY and BODYSTRUCTURE data items, from the text that is made ready at
 * arrival (mail/structure_text.h). Runs in the back. */
#include "imapd/bodystructure_priv.h"

#include "imapd/envelope_priv.h"
#include "imapd/respond_priv.h"
#include "mail/digest.h"
#include "mail/structure_text.h"

struct telling {
	struct structure_telling telling;
	bool utf8;
};

static void put_string(struct structure_telling *telling, struct slice string, struct buffer *out)
{
	respond_string(out, string, CONTAINER_OF(telling, struct telling, telling)->utf8);
}

static bool put_envelope(struct structure_telling *telling, struct slice octets, struct buffer *out)
{
	struct arena arena = { 0 };
	struct mime_envelope *envelope = arena_alloc(&arena, sizeof(*envelope));
	bool is_good = digest_decode_inner_envelope(octets, &arena, envelope);
	if (is_good)
		envelope_render(out, envelope,
				CONTAINER_OF(telling, struct telling, telling)->utf8);
	arena_fini(&arena);
	return is_good;
}

bool bodystructure_tell(struct buffer *out, struct slice text, enum bodystructure_form form,
			bool utf8)
{
	struct telling telling = {
		.telling = { form == FORM_BODYSTRUCTURE, put_string, put_envelope },
		.utf8 = utf8,
	};
	return structure_text_tell(text, &telling.telling, out);
}

bool bodystructure_render(struct buffer *out, const struct mime_part *root,
			  enum bodystructure_form form, bool utf8)
{
	struct buffer text = { 0 };
	structure_text_encode(root, &text);
	bool is_good = bodystructure_tell(out, buffer_slice(&text), form, utf8);
	buffer_free(&text);
	return is_good;
}
