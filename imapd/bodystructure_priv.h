/* imapd/bodystructure_priv.h - the structure of a message as a client reads it. */
#pragma once

#include "base/buffer.h"
#include "mail/mime.h"

enum bodystructure_form {
	FORM_BODY,	    /* without extension data */
	FORM_BODYSTRUCTURE, /* with it */
};

/* Appends the rule body of RFC 9051 section 9, from the text of mail/structure_text.h; `utf8` as in
 * respond_priv.h. False, and nothing appended: the text is damaged. */
bool bodystructure_tell(struct buffer *out, struct slice text, enum bodystructure_form form,
			bool utf8) MUST_USE;
/* The same where an older Bode took the message in, and there is no text. */
bool bodystructure_render(struct buffer *out, const struct mime_part *root,
			  enum bodystructure_form form, bool utf8) MUST_USE;
