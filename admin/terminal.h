/* admin/terminal.h - asking the person at the terminal. */
#pragma once

#include "base/buffer.h"

/* One line from standard input, or, where that is a terminal, asked twice without echo.
 * False: said what is wrong. The buffer should be wiped after use. */
bool terminal_read_password(bool from_stdin, struct buffer *password_out);
/* The same for a password that is set elsewhere: asked for once. */
bool terminal_ask_password(const char *question, bool from_stdin, struct buffer *password_out);
/* A line with `question` before it; `fallback` (may be NULL) where the answer is empty.
 * False: standard input is no terminal, or it ended. */
bool terminal_ask(const char *question, const char *fallback, struct buffer *answer_out);
/* True for "yes". */
bool terminal_confirm(const char *question);
