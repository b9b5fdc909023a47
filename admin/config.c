/* admin/config.c - bode config check, bode config --explain, bode version. */
#include "admin/admin_priv.h"

#include <string.h>

int admin_config_check(struct admin *admin, int argc, char **argv)
{
	struct admin_options options;
	if (!admin_parse_options(admin, argc, argv, 0, 0, 0, &options))
		return ADMIN_WRONG_USAGE;
	if (!admin_read_config(admin))
		return EXIT_FAILURE;
	printf("%s: good\n", admin->config_path);
	return EXIT_SUCCESS;
}

int admin_config_explain(struct admin *admin, int argc, char **argv)
{
	if (argc != 2 || strcmp(argv[1], "--explain") != 0)
		return admin_usage(admin, "--explain or \"check\" is missing");
	config_explain(stdout);
	return EXIT_SUCCESS;
}

int admin_version(struct admin *admin, int argc, char **argv)
{
	(void)admin, (void)argc, (void)argv;
	puts("bode " BODE_VERSION);
	return EXIT_SUCCESS;
}
