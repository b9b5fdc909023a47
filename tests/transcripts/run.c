/* tests/transcripts/run.c - plays the transcripts of one folder and reports in TAP.
 *
 *   transcripts SERVICE FOLDER|FILE...
 *
 * SERVICE is what a connection is unless a transcript says otherwise; of a folder, every .txt.
 *
 * Each transcript is played three times, each time in a process of its own with a fresh store:
 * as written, an octet at a time, and cut at random. TRANSCRIPT_SEED repeats a random run,
 * TRANSCRIPT_VERBOSE=1 shows the server's log, TRANSCRIPT_NO_FORK=1 is for a debugger. */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "auth/password.h"
#include "base/heap.h"
#include "base/random.h"
#include "tests/folder.h"
#include "tests/transcripts/dialog.h"

enum { PLAY_SECONDS = 120 };

static const char *const cutting_words[CUTTING_COUNT] = { "whole", "octet by octet",
							  "cut at random" };

/* What the server logged is shown only where the test failed. */
static void quiet_log(const char *dir)
{
	char path[300];
	if (getenv("TRANSCRIPT_VERBOSE"))
		return;
	snprintf(path, sizeof(path), "%s/log", dir);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	if (fd >= 0) {
		dup2(fd, STDERR_FILENO);
		close(fd);
	}
}

static void show_log(const char *dir)
{
	char path[300], line[1000];
	snprintf(path, sizeof(path), "%s/log", dir);
	FILE *log = fopen(path, "r");
	if (!log)
		return;
	printf("#   log:\n");
	while (fgets(line, sizeof(line), log)) {
		line[strcspn(line, "\n")] = '\0';
		printf("#     %s\n", line);
	}
	fclose(log);
}

static bool play_here(const char *file_name, enum cutting cutting, unsigned seed,
		      const struct world_identity *identity, const char *dir,
		      enum config_service service)
{
	struct arena arena = { 0 };
	struct transcript transcript;
	bool good = transcript_read(file_name, &arena, &transcript) &&
		    dialog_play(&transcript, cutting, seed, identity, dir, service);
	arena_fini(&arena);
	return good;
}

/* True: the child played it to its end and left with nothing leaked. */
static bool play(const char *file_name, enum cutting cutting, unsigned seed,
		 const struct world_identity *identity, enum config_service service)
{
	char dir[FOLDER_PATH_OCTETS];
	int status;
	folder_make(dir, "transcript");
	fflush(stdout);
	pid_t child = getenv("TRANSCRIPT_NO_FORK") ? 0 : fork();
	if (child == 0) {
		alarm(PLAY_SECONDS);
		quiet_log(dir);
		bool good = play_here(file_name, cutting, seed, identity, dir, service);
		fflush(stdout);
		/* A dialog that went wrong leaves its world as it is: no leak report on top. */
		if (!good)
			_exit(1);
		if (!getenv("TRANSCRIPT_NO_FORK"))
			exit(0);
		status = 0;
	} else if (waitpid(child, &status, 0) != child) {
		status = -1;
	}
	if (status != 0) {
		if (WIFSIGNALED(status))
			printf("# %s: ended by signal %d\n", file_name, WTERMSIG(status));
		show_log(dir);
	}
	folder_remove(dir);
	return status == 0;
}

/* "given one piece": a dialog whose point is what arrives together. */
static bool wants_one_piece(const char *file_name)
{
	struct arena arena = { 0 };
	struct transcript transcript;
	bool found = false;
	if (transcript_read(file_name, &arena, &transcript))
		for (size_t i = 0; i < transcript.count; i++)
			found |= transcript.lines[i].kind == LINE_GIVEN &&
				 slice_eq(transcript.lines[i].text, SLICE("one piece"));
	arena_fini(&arena);
	return found;
}

static bool parse_service(const char *word, enum config_service *service_out)
{
	for (unsigned i = 0; i < SERVICE_COUNT; i++)
		if (strcmp(word, config_service_name((enum config_service)i)) == 0) {
			*service_out = (enum config_service)i;
			return true;
		}
	return false;
}

struct files {
	char **names;
	size_t count;
};

static void add_file(struct files *files, char *name)
{
	files->names = heap_resize(files->names, (files->count + 1) * sizeof(char *));
	files->names[files->count++] = name;
}

static int is_transcript(const struct dirent *entry)
{
	const char *end = strrchr(entry->d_name, '.');
	return end && strcmp(end, ".txt") == 0;
}

/* A folder's transcripts in the order of their names; a file is itself. */
static void add_files(struct files *files, const char *name)
{
	struct dirent **entries;
	int count = scandir(name, &entries, is_transcript, alphasort);
	if (count < 0) {
		add_file(files, heap_string(slice_cstr(name)));
		return;
	}
	for (int i = 0; i < count; i++) {
		struct buffer path = { 0 };
		buffer_add_format(&path, "%s/%s", name, entries[i]->d_name);
		buffer_add_byte(&path, '\0');
		add_file(files, (char *)path.data);
		free(entries[i]);
	}
	free(entries);
}

int main(int argc, char **argv)
{
	struct world_identity identity;
	enum config_service service;
	struct files files = { 0 };
	const char *given_seed = getenv("TRANSCRIPT_SEED");
	unsigned seed = given_seed ? (unsigned)strtoul(given_seed, NULL, 10) : random_u32();
	unsigned number = 0, failures = 0;

	if (argc < 3 || !parse_service(argv[1], &service)) {
		fprintf(stderr, "usage: transcripts SERVICE FOLDER|FILE...\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	password_start();
	world_identity_make(&identity);
	for (int i = 2; i < argc; i++)
		add_files(&files, argv[i]);
	printf("# TRANSCRIPT_SEED=%u\n", seed);
	for (size_t i = 0; i < files.count; i++) {
		const char *name = strrchr(files.names[i], '/');
		bool one_piece = wants_one_piece(files.names[i]);
		name = name ? name + 1 : files.names[i];
		for (unsigned cutting = 0; cutting < CUTTING_COUNT; cutting++) {
			if (one_piece && cutting != CUT_NOT)
				continue;
			bool good = play(files.names[i], (enum cutting)cutting, seed, &identity,
					 service);
			failures += !good;
			printf("%s %u - %s, %s\n", good ? "ok" : "not ok", ++number, name,
			       cutting_words[cutting]);
			fflush(stdout);
		}
		free(files.names[i]);
	}
	printf("1..%u\n", number);
	free(files.names);
	buffer_free(&identity.certificate_pem);
	buffer_free(&identity.key_pem);
	return failures ? 1 : 0;
}
