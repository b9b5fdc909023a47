/* admin/serve.c - bode serve: turns into the supervisor, or, started by it, into a child. */
#include "serve/serve.h"

#include <string.h>

#include "admin/admin_priv.h"

int admin_serve(struct admin *admin, int argc, char **argv)
{
	/* Said by the supervisor only, to the program it starts; no one else needs it. */
	if (argc == 3 && strcmp(argv[1], "--role") == 0)
		return serve_child_main(argv[2]);
	if (argc != 1)
		return admin_usage(admin, "serve takes no arguments");
	return serve_main(admin->config_path);
}
