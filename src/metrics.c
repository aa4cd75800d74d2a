// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <netdb.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <microhttpd.h>
#include "src/ask.h"
#include "src/metrics.h"
#include "src/privileges.h"

#define METRICS_CONNECTIONS 8
#define METRICS_TIMEOUT	    5 /* seconds */

static void metric_head(FILE *out, const char *name, const char *type, const char *help)
{
	fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* One group of "counters", a line for each of its members. */
static void metric_group(FILE *out, const cJSON *servers, const char *group, const char *name,
			 const char *label, const char *help)
{
	const cJSON *server, *item;

	metric_head(out, name, "counter", help);
	cJSON_ArrayForEach(server, servers)
	{
		const cJSON *counters = cJSON_GetObjectItem(server, "counters");

		cJSON_ArrayForEach(item, cJSON_GetObjectItem(counters, group))
			fprintf(out, "%s{pid=\"%.0f\",%s=\"%s\"} %.0f\n", name,
				ask_number(server, "pid"), label, item->string, item->valuedouble);
	}
}

static void metric_observers(FILE *out, const cJSON *servers)
{
	const cJSON *server, *item;

	metric_head(out, "turnpike_observed_events_total", "counter",
		    "Calls seen at each place that is watched.");
	cJSON_ArrayForEach(server, servers)
	{
		cJSON_ArrayForEach(item, cJSON_GetObjectItem(server, "observers"))
			fprintf(out,
				"turnpike_observed_events_total{pid=\"%.0f\",event=\"%s\","
				"source=\"%s\",function=\"%s\",offset=\"%.0f\"} %.0f\n",
				ask_number(server, "pid"), ask_string(item, "event"),
				ask_string(item, "source"), ask_string(item, "function"),
				ask_number(item, "offset"), ask_number(item, "hits"));
	}
}

static void metric_gauges(FILE *out, const cJSON *servers)
{
	const cJSON *server;

	metric_head(out, "turnpike_servers", "gauge", "TURN servers that are attached to.");
	fprintf(out, "turnpike_servers %d\n", cJSON_GetArraySize(servers));
	metric_head(out, "turnpike_bindings", "gauge", "Channel bindings relayed in the kernel.");
	cJSON_ArrayForEach(server, servers)
		fprintf(out, "turnpike_bindings{pid=\"%.0f\"} %d\n", ask_number(server, "pid"),
			cJSON_GetArraySize(cJSON_GetObjectItem(server, "bindings")));
	metric_head(out, "turnpike_memory_bytes", "gauge", "Memory of the kernel's tables.");
	cJSON_ArrayForEach(server, servers)
		fprintf(out, "turnpike_memory_bytes{pid=\"%.0f\"} %.0f\n",
			ask_number(server, "pid"), ask_number(server, "memory_bytes"));
}

/* To be freed; NULL: no memory. */
static char *metrics_text(size_t *length)
{
	cJSON *servers = cJSON_CreateArray();
	char *text = NULL;
	FILE *out = open_memstream(&text, length);

	if (out) {
		ask_all(servers);
		metric_gauges(out, servers);
		metric_group(out, servers, "forwarded", "turnpike_forwarded_packets_total",
			     "direction",
			     "Datagrams relayed in the kernel. The server's own figures (packets, "
			     "bytes, per session or in all) do not include them.");
		metric_group(out, servers, "passed", "turnpike_passed_packets_total", "reason",
			     "Datagrams left to the server, which counts them itself.");
		metric_group(out, servers, "dropped", "turnpike_dropped_packets_total", "reason",
			     "Datagrams dropped as the server would have.");
		metric_group(out, servers, "not_offloaded", "turnpike_not_offloaded_total",
			     "reason", "Channels that stay with the server.");
		metric_group(out, servers, "errors", "turnpike_errors_total", "kind",
			     "What went wrong and was survived.");
		metric_observers(out, servers);
		fclose(out);
	}
	cJSON_Delete(servers);
	return text;
}

static enum MHD_Result metrics_answer(void *data, struct MHD_Connection *connection,
				      const char *url, const char *method, const char *version,
				      const char *upload, size_t *upload_size, void **state)
{
	bool found = !strcmp(url, "/metrics"), allowed = !strcmp(method, "GET");
	struct MHD_Response *response;
	enum MHD_Result result;
	size_t length = 0;
	char *text;

	(void)data, (void)version, (void)upload, (void)upload_size, (void)state;
	text = found && allowed ? metrics_text(&length) : strdup("see /metrics\n");
	if (!text)
		return MHD_NO;
	if (!length)
		length = strlen(text);
	response = MHD_create_response_from_buffer(length, text, MHD_RESPMEM_MUST_FREE);
	MHD_add_response_header(response, "Content-Type", "text/plain; version=0.0.4");
	result = MHD_queue_response(connection,
				    !allowed ? MHD_HTTP_METHOD_NOT_ALLOWED
				    : found  ? MHD_HTTP_OK
					     : MHD_HTTP_NOT_FOUND,
				    response);
	MHD_destroy_response(response);
	return result;
}

/* "ADDRESS:PORT", "[ADDRESS]:PORT", or "PORT" for this machine alone. A listening socket, or
 * -errno. */
static int metrics_listen(const char *where, char *why, size_t size)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
				       .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
	struct addrinfo *found = NULL;
	char host[64], *port;
	long number;
	int fd, one = 1, err;

	snprintf(host, sizeof(host), "%s%s",
		 strchr(where, ':') ? "" : "127.0.0.1:", *where == '[' ? where + 1 : where);
	port = strrchr(host, ':');
	if (!port)
		goto bad;
	*port++ = 0;
	if (*where == '[') {
		if (port - host < 2 || port[-2] != ']')
			goto bad;
		port[-2] = 0;
	}
	number = strtol(port, NULL, 10);
	if (!*host || number < 1 || number > 65535 || getaddrinfo(host, port, &hints, &found))
		goto bad;
	fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	err = fd < 0 || bind(fd, found->ai_addr, found->ai_addrlen) || listen(fd, 8) ? -errno : 0;
	freeaddrinfo(found);
	if (!err)
		return fd;
	if (fd >= 0)
		close(fd);
	snprintf(why, size, "--metrics: can't listen on %s: %s; give another", where,
		 strerror(-err));
	return err;
bad:
	snprintf(why, size, "--metrics: `%s` is not ADDRESS:PORT or PORT, as in 127.0.0.1:9475",
		 where);
	return -EINVAL;
}

static int metrics_serve(int fd)
{
	struct MHD_Daemon *daemon;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (privileges_drop_all())
		return EXIT_FAILURE;
	daemon = MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD, 0, NULL, NULL, metrics_answer,
				  NULL, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
				  METRICS_CONNECTIONS, MHD_OPTION_CONNECTION_TIMEOUT,
				  METRICS_TIMEOUT, MHD_OPTION_END);
	if (!daemon)
		return EXIT_FAILURE;
	for (;;)
		pause();
}

int metrics_start(const char *where, char *why, size_t size)
{
	int fd = metrics_listen(where, why, size);
	pid_t child;

	if (fd < 0)
		return fd;
	child = fork();
	if (!child)
		_exit(metrics_serve(fd));
	close(fd);
	if (child > 0)
		return 0;
	snprintf(why, size, "--metrics: can't start a process: %s", strerror(errno));
	return -EAGAIN;
}
