/* admin/imap_source.h - a user's mail on any IMAP server as the source of an import. One thread, on a
 * loop. */
#pragma once

#include "admin/importer.h"

struct imap_source_options {
	const char *url;     /* imap_server.h */
	const char *ca_path; /* PEM; NULL: the system's */
	bool password_stdin;
};

struct imap_source;
/* Reads the URL, the certificates and the password, before anything else. NULL: said. */
struct imap_source *imap_source_new(struct admin *admin, const struct imap_source_options *options);
/* Connects, signs in and imports all mailboxes. What ends it is said by importer_fail(). */
void imap_source_import(struct imap_source *source, struct importer *importer);
/* After the importer's loop has no more use for it. Accepts NULL, leaves NULL. */
void imap_source_free(struct imap_source **source);
