// SPDX-License-Identifier: GPL-2.0-only
/* The parent's side: it starts the child, opens files for it, and waits no longer than it may. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "symbols/apart.h"
#include "symbols/apart_child.h"
#include "symbols/image.h"
#include "symbols/opener.h"
#include "symbols/result.h"
#include "symbols/why.h"

struct apart {
	const struct image *image;
	const struct symbols_options *options;
	int socket;
	pid_t child;
	struct timespec end;
	char *bytes; /* of the result so far */
	size_t length;
};

/* FOLDER may have "..", what comes after it not. */
static bool is_below(const char *path, const char *folder)
{
	size_t length = folder ? strlen(folder) : 0;

	return length && !strncmp(path, folder, length) && path[length] == '/' &&
	       !strstr(path + length, "/../");
}

/* Where maps, profiles and debug files lie; the program's own folder is one where those may. */
static bool may_open(const struct apart *apart, const char *path)
{
	const char *real = image_real_path(apart->image), *slash = strrchr(real, '/');
	char folder[PATH_MAX];
	bool may;

	if (apart->options->debug_file && !strcmp(path, apart->options->debug_file))
		return true;
	snprintf(folder, sizeof(folder), "%.*s", slash ? (int)(slash - real) : 0, real);
	may = is_below(path, APART_DEBUG) || (*folder && is_below(path, folder));
	if (apart->options->root && is_below(path, apart->options->root)) {
		const char *inside = path + strlen(apart->options->root);

		may = is_below(inside, APART_DEBUG) || (*folder && is_below(inside, folder));
	}
	for (int i = 0; i < SYMBOLS_DIRECTORIES; i++)
		may = may || is_below(path, apart->options->map_dir[i]) ||
		      is_below(path, apart->options->profile_dir[i]);
	return may;
}

static bool may_list(const struct apart *apart, const char *path)
{
	for (int i = 0; i < SYMBOLS_DIRECTORIES; i++)
		if (apart->options->profile_dir[i] && !strcmp(path, apart->options->profile_dir[i]))
			return true;
	return false;
}

static int send_answer(int socket, const struct apart_answer *answer, int fd)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {};
	struct iovec data = {(void *)answer, sizeof(*answer)};
	struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1};

	if (fd >= 0) {
		message.msg_control = &control;
		message.msg_controllen = sizeof(control);
		control.header = (struct cmsghdr){CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
		memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	}
	return sendmsg(socket, &message, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static int answer(struct apart *apart, struct apart_request *request)
{
	struct apart_answer answer = {.err = -EACCES};
	int fd = -1, err;

	request->path[sizeof(request->path) - 1] = '\0';
	if (request->kind == APART_LIST && may_list(apart, request->path))
		answer.err =
			opener_own.list(NULL, request->path, answer.names, sizeof(answer.names));
	if (request->kind == APART_OPEN && may_open(apart, request->path)) {
		fd = opener_own.open(NULL, request->path);
		answer.err = fd < 0 ? fd : 0;
	}
	err = send_answer(apart->socket, &answer, fd);
	if (fd >= 0)
		close(fd);
	return err;
}

static int milliseconds_left(const struct apart *apart)
{
	struct timespec now;
	int64_t left;

	clock_gettime(CLOCK_MONOTONIC, &now);
	left = (apart->end.tv_sec - now.tv_sec) * 1000 +
	       (apart->end.tv_nsec - now.tv_nsec) / 1000000;
	return left > 0 ? (int)left : 0;
}

static int keep(struct apart *apart, const char *bytes, size_t length)
{
	char *longer;

	if (apart->length + length > RESULT_LARGEST)
		return -EBADMSG;
	longer = realloc(apart->bytes, apart->length + length);
	if (!longer)
		return -ENOMEM;
	memcpy(longer + apart->length, bytes, length);
	apart->bytes = longer;
	apart->length += length;
	return 0;
}

/* Answers requests and takes the result, until the child is done (0). -ETIME: it takes too long. */
static int serve(struct apart *apart)
{
	union {
		struct apart_request request;
		char bytes[sizeof(struct apart_request)];
	} packet;
	struct pollfd ready = {.fd = apart->socket, .events = POLLIN};
	int err = 0, count;
	ssize_t got;

	while (!err) {
		count = poll(&ready, 1, milliseconds_left(apart));
		if (count < 0 && errno == EINTR)
			continue;
		if (count <= 0)
			return count ? -errno : -ETIME;
		got = recv(apart->socket, &packet, sizeof(packet), 0);
		if (got <= 0)
			return 0;
		if (got == sizeof(packet.request) && packet.request.kind != APART_RESULT)
			err = answer(apart, &packet.request);
		else if ((size_t)got >= sizeof(packet.request.kind))
			err = keep(apart, packet.bytes + sizeof(packet.request.kind),
				   (size_t)got - sizeof(packet.request.kind));
	}
	return err;
}

/* What became of the child, in words; 0 if it ended as it should. */
static int outcome(const struct apart *apart, int served, int status, const struct why *why)
{
	const char *path = image_real_path(apart->image);

	if (served == -ETIME || (WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU))
		return why_say(
			why, -EBADMSG,
			"reading %.100s took more than %d seconds: it is damaged, or hostile", path,
			APART_SECONDS);
	if (WIFSIGNALED(status))
		return why_say(why, -EBADMSG,
			       "reading %.100s crashed (signal %d): it is damaged, or hostile",
			       path, WTERMSIG(status));
	if (served || !WIFEXITED(status) || WEXITSTATUS(status))
		return why_say(why, -EBADMSG, "%.100s can't be read in a process of its own", path);
	return 0;
}

static int take_result(struct apart *apart, struct image *image, struct symbols **ret,
		       const struct why *why)
{
	FILE *in = apart->length ? fmemopen(apart->bytes, apart->length, "r") : NULL;
	struct result result = {};
	int err = in ? result_read(in, &result) : -EBADMSG;

	if (in)
		fclose(in);
	if (err)
		return why_say(why, err, "what reading %.100s came to makes no sense",
			       image_real_path(image));
	image_set_build_id(image, result.build_id);
	if (result.err)
		return why_say(why, result.err, "%s", result.why);
	*ret = result.symbols;
	return 0;
}

static int start(struct apart *apart, struct image *image, struct image *rebase)
{
	int sockets[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets))
		return -errno;
	apart->child = fork();
	if (!apart->child) {
		close(sockets[0]);
		apart_child(sockets[1], image, rebase, apart->options);
	}
	close(sockets[1]);
	apart->socket = sockets[0];
	if (apart->child > 0)
		return 0;
	close(sockets[0]);
	return -errno;
}

int apart_resolve(struct image *image, struct image *rebase, const struct symbols_options *options,
		  struct symbols **ret, char *text)
{
	struct apart apart = {.image = image, .options = options};
	const struct why why = {text, SYMBOLS_WHY};
	int err = start(&apart, image, rebase), served, status;

	if (err)
		return why_say(&why, err, "can't start a process: %s", strerror(-err));
	clock_gettime(CLOCK_MONOTONIC, &apart.end);
	apart.end.tv_sec += APART_SECONDS;
	served = serve(&apart);
	if (served)
		kill(apart.child, SIGKILL);
	close(apart.socket);
	while (waitpid(apart.child, &status, 0) < 0 && errno == EINTR)
		;
	err = outcome(&apart, served, status, &why);
	if (!err)
		err = take_result(&apart, image, ret, &why);
	free(apart.bytes);
	return err;
}
