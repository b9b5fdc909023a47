/* serve/serve.h - running the server: the supervisor and, started by it, its children. */
#pragma once

/* `bode serve`: the supervisor, until SIGTERM. Returns the exit status. */
int serve_main(const char *config_path);
/* `bode serve --role front|back`: a child, with its control socket on descriptor 3. */
int serve_child_main(const char *role);
