/* admin/import.c - bode import: which source it is, and what goes for all of them. Runs in the
 * admin's process, beside a running server. */
#include <string.h>

#include "admin/admin_priv.h"
#include "admin/file_tree.h"
#include "admin/imap_server.h"
#include "admin/imap_source.h"
#include "admin/importer.h"

/* False: said. */
static bool quoting_of(const struct admin *admin, const char *format,
		       enum mbox_quoting *quoting_out)
{
	static const struct {
		const char *format;
		enum mbox_quoting quoting;
	} formats[] = {
		{ "mboxo", MBOX_QUOTING_O },
		{ "mboxrd", MBOX_QUOTING_RD },
		{ "mboxcl", MBOX_QUOTING_RD },
		{ "mboxcl2", MBOX_QUOTING_NONE },
	};
	*quoting_out = MBOX_QUOTING_AUTO;
	if (!format)
		return true;
	for (size_t i = 0; i < ARRAY_LEN(formats); i++) {
		if (strcmp(formats[i].format, format) == 0) {
			*quoting_out = formats[i].quoting;
			return true;
		}
	}
	admin_usage(admin, "\"%s\" is no dialect of mbox: mboxo, mboxrd, mboxcl or mboxcl2",
		    format);
	return false;
}

int admin_import(struct admin *admin, int argc, char **argv)
{
	struct admin_options options;
	enum mbox_quoting quoting;
	if (!admin_parse_options(admin, argc, argv,
				 OPTION_USER | OPTION_INTO | OPTION_FORMAT | OPTION_CA |
					 OPTION_PASSWORD_STDIN | OPTION_JSON,
				 1, 1, &options) ||
	    !quoting_of(admin, options.format, &quoting))
		return ADMIN_WRONG_USAGE;
	if (!options.user)
		return admin_usage(admin, "whose mail it will be is missing: --user");
	const char *source = argv[optind];
	struct imap_source *imap = NULL;
	if (imap_server_is_url(source)) {
		struct imap_source_options server = {
			.url = source,
			.ca_path = options.ca,
			.password_stdin = options.password_stdin,
		};
		imap = imap_source_new(admin, &server);
		if (!imap)
			return EXIT_FAILURE;
	}
	struct importer_options how = {
		.user = options.user,
		.into = options.into,
		.json = options.json,
	};
	struct importer *importer = importer_new(admin, &how);
	if (importer && imap)
		imap_source_import(imap, importer);
	else if (importer)
		file_tree_import(importer, source, quoting);
	imap_source_free(&imap);
	return importer ? importer_finish(&importer) : EXIT_FAILURE;
}
