/* admin/message_file.h - a file that holds one message: looked at, named, imported. */
#pragma once

#include "admin/importer.h"

/* What the file's message is called is made of its content (the first 64 KiB and the size) and
 * `unique`; `order` (0: none) stands in front, so that names ascend as files do. `message` brings
 * flags, keywords, uid and where; the date is the file's. `times` makes equal messages differ (see
 * admin/seen.h), and lets the date be that of the header; NULL for a Maildir. What cannot be imported is skipped and said. */
struct seen;
void message_file_import(struct importer *importer, struct import_target *target, int folder_fd,
			 const char *file_name, struct slice unique, uint32_t order,
			 struct seen *times, struct import_message *message);
/* Of the field Date. */
bool message_date(struct slice header, int64_t *unix_out);
