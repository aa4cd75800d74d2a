// SPDX-License-Identifier: GPL-2.0-only
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <libmnl/libmnl.h>
#include "src/server.h"

/* The thread group that PID is a member of, and as whom it runs; 0 if there is no such thread. */
static pid_t server_tgid(pid_t pid, uid_t *ret_uid)
{
	char path[32], line[128];
	pid_t tgid = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	file = fopen(path, "re");
	if (!file)
		return 0;
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "Tgid: %d", &tgid) != 1 &&
		    sscanf(line, "Uid: %*u %u", ret_uid) == 1)
			break;
	fclose(file);
	return tgid;
}

static int server_netns(pid_t pid, uint64_t *ret)
{
	char path[32];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d/ns/net", pid);
	if (stat(path, &st))
		return -errno;
	*ret = st.st_ino;
	return 0;
}

int server_open(pid_t pid, struct server *ret, char *why, size_t size)
{
	struct server server = {.pid = pid, .pidfd = -1};
	pid_t tgid = server_tgid(pid, &server.uid);
	ssize_t length;

	if (tgid != pid) {
		if (tgid)
			snprintf(why, size, "%d is a thread of process %d; give that number", pid,
				 tgid);
		else
			snprintf(why, size,
				 "no process %d; is the server running? try "
				 "`--pid $(pidof turnserver)`",
				 pid);
		return tgid ? -EINVAL : -ESRCH;
	}
	server.pidfd = syscall(SYS_pidfd_open, pid, 0);
	if (server.pidfd < 0)
		goto fail;
	snprintf(server.exe_link, sizeof(server.exe_link), "/proc/%d/exe", pid);
	length = readlink(server.exe_link, server.exe, sizeof(server.exe) - 1);
	if (length < 0 || server_netns(pid, &server.netns))
		goto fail;
	server.exe[length] = 0;
	*ret = server;
	return 0;
fail:
	snprintf(why, size, "can't look at process %d: %s; run as root, and not at a kernel thread",
		 pid, strerror(errno));
	server_close(&server);
	return -EACCES;
}

void server_close(struct server *server)
{
	if (server->pidfd >= 0)
		close(server->pidfd);
	server->pidfd = -1;
}

int server_enter_network(const struct server *server)
{
	char path[32];
	uint64_t here = 0;
	int fd, err;

	/* To enter another one takes CAP_SYS_ADMIN. */
	if (!server_netns(getpid(), &here) && here == server->netns)
		return 0;
	snprintf(path, sizeof(path), "/proc/%d/ns/net", server->pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	err = setns(fd, CLONE_NEWNET) ? -errno : 0;
	close(fd);
	return err;
}

#define SERVER_SOCKETS 65536

/* Inodes of the process's sockets, sorted for bsearch(). */
struct inodes {
	uint32_t *inode;
	size_t count;
};

static int inode_compare(const void *one, const void *other)
{
	uint32_t a = *(const uint32_t *)one, b = *(const uint32_t *)other;

	return a < b ? -1 : a > b;
}

static int server_inodes(const struct server *server, struct inodes *ret)
{
	char path[32], link[64];
	struct dirent *entry;
	ssize_t length;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", server->pid);
	dir = opendir(path);
	if (!dir)
		return -errno;
	ret->count = 0;
	ret->inode = calloc(SERVER_SOCKETS, sizeof(*ret->inode));
	while (ret->inode && ret->count < SERVER_SOCKETS && (entry = readdir(dir))) {
		length = readlinkat(dirfd(dir), entry->d_name, link, sizeof(link) - 1);
		if (length <= 0)
			continue;
		link[length] = 0;
		if (sscanf(link, "socket:[%u]", &ret->inode[ret->count]) == 1)
			ret->count++;
	}
	closedir(dir);
	if (!ret->inode)
		return -ENOMEM;
	qsort(ret->inode, ret->count, sizeof(*ret->inode), inode_compare);
	return 0;
}

struct sockets {
	const struct inodes *inodes;
	server_socket_fn *each;
	void *data;
};

static int socket_found(const struct nlmsghdr *header, void *data)
{
	const struct inet_diag_msg *message = mnl_nlmsg_get_payload(header);
	const struct sockets *sockets = data;
	const uint32_t *cookie = message->id.idiag_cookie;
	struct server_socket socket = {
		.address = address_of(message->idiag_family, message->id.idiag_src),
		.port = message->id.idiag_sport,
		.cookie = (uint64_t)cookie[1] << 32 | cookie[0],
	};

	if (bsearch(&message->idiag_inode, sockets->inodes->inode, sockets->inodes->count,
		    sizeof(uint32_t), inode_compare))
		sockets->each(&socket, sockets->data);
	return MNL_CB_OK;
}

static int server_dump_udp(struct sockets *all, uint8_t family)
{
	char buffer[MNL_SOCKET_BUFFER_SIZE];
	struct nlmsghdr *header = mnl_nlmsg_put_header(buffer);
	struct inet_diag_req_v2 *request;
	struct mnl_socket *socket;
	ssize_t length;
	int err = 0;

	header->nlmsg_type = SOCK_DIAG_BY_FAMILY;
	header->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	request = mnl_nlmsg_put_extra_header(header, sizeof(*request));
	request->sdiag_family = family;
	request->sdiag_protocol = IPPROTO_UDP;
	request->idiag_states = -1;
	socket = mnl_socket_open2(NETLINK_SOCK_DIAG, SOCK_CLOEXEC);
	if (!socket)
		return -errno;
	if (mnl_socket_sendto(socket, header, header->nlmsg_len) < 0)
		err = -errno;
	while (!err) {
		length = mnl_socket_recvfrom(socket, buffer, sizeof(buffer));
		if (length < 0)
			err = -errno;
		else if (mnl_cb_run(buffer, length, 0, 0, socket_found, all) <= MNL_CB_STOP)
			break;
	}
	mnl_socket_close(socket);
	return err;
}

int server_udp_sockets(const struct server *server, server_socket_fn *each, void *data)
{
	struct inodes inodes = {};
	struct sockets all = {.inodes = &inodes, .each = each, .data = data};
	int err;

	err = server_inodes(server, &inodes);
	if (!err)
		err = server_dump_udp(&all, AF_INET);
	if (!err)
		err = server_dump_udp(&all, AF_INET6);
	free(inodes.inode);
	return err;
}

struct addresses {
	struct address *address;
	size_t count, size;
};

static void address_found(const struct server_socket *socket, void *data)
{
	struct addresses *all = data;

	for (size_t i = 0; i < all->count; i++)
		if (address_equal(&all->address[i], &socket->address))
			return;
	if (all->count < all->size)
		all->address[all->count++] = socket->address;
}

int server_udp_addresses(const struct server *server, struct address *ret, size_t size)
{
	struct addresses all = {.address = ret, .size = size};
	int err = server_udp_sockets(server, address_found, &all);

	return err ? err : (int)all.count;
}
