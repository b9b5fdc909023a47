/* mail/html.h - the text of HTML, for a preview: no markup, a space where one ended. Never fails,
 * linear in its input. Any thread. */
#pragma once

#include "base/buffer.h"

/* Appends UTF-8; `html` is UTF-8. What is in head, style, script and title is left out. */
void text_from_html(struct slice html, struct buffer *utf8);
