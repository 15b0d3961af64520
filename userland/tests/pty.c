/* Pseudo-terminals: line discipline, control characters, job control, controlling terminal. */
#include "test.h"
#include "linux.h"
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>

static int master, slave;
static char text[5000];

static void open_pair(void) {
	if (master) close(master), close(slave);
	int number = -1, unlock = 0;
	char name[32];
	master = open("/dev/ptmx", O_RDWR | O_NOCTTY);
	CHECK(master >= 0);
	CHECK_EQ(ioctl(master, TIOCGPTN, &number), 0);
	CHECK_EQ(ioctl(master, TIOCSPTLCK, &unlock), 0);
	snprintf(name, sizeof name, "/dev/pts/%d", number);
	slave = open(name, O_RDWR | O_NOCTTY);
	CHECK(slave >= 0);
}

/* What can be read within a moment, as a string. */
static const char *got(int fd) {
	struct pollfd state = {.fd = fd, .events = POLLIN};
	long length = 0;
	while (length < 4000 && poll(&state, 1, length ? 20 : 1000) == 1 && state.revents & POLLIN) {
		long more = read(fd, text + length, 4000 - length);
		if (more <= 0) break;
		length += more;
	}
	text[length] = 0;
	return text;
}

static int readable(int fd) {
	struct pollfd state = {.fd = fd, .events = POLLIN};
	return poll(&state, 1, 0) == 1;
}

static void type(const char *keys) {
	CHECK_EQ(write(master, keys, strlen(keys)), (long)strlen(keys));
}

static void set_local(int off, int on) {
	struct termios modes;
	CHECK_EQ(tcgetattr(slave, &modes), 0);
	modes.c_lflag = (modes.c_lflag & ~off) | on;
	CHECK_EQ(tcsetattr(slave, TCSANOW, &modes), 0);
}

static int status_of(pid_t child) {
	int status;
	if (waitpid(child, &status, 0) != child) return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

TEST(a_pair_is_a_terminal_with_default_modes) {
	struct termios modes;
	TRY(open_pair());
	CHECK(isatty(slave) && isatty(master) && !isatty(-1));
	CHECK_EQ(tcgetattr(slave, &modes), 0);
	CHECK_EQ(modes.c_iflag, ICRNL | IXON);
	CHECK_EQ(modes.c_oflag, OPOST | ONLCR);
	CHECK_EQ(modes.c_lflag, ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN);
	CHECK(modes.c_cc[VINTR] == 3 && modes.c_cc[VEOF] == 4 && modes.c_cc[VERASE] == 127 && modes.c_cc[VSUSP] == 26 && modes.c_cc[VMIN] == 1);
}

TEST(a_line_arrives_whole_and_is_echoed) {
	TRY(open_pair());
	TRY(type("hel"));
	CHECK(!readable(slave));
	TRY(type("lo\r"));
	CHECK(!strcmp(got(slave), "hello\n"));
	CHECK(!strcmp(got(master), "hello\r\n"));
}

TEST(output_newlines_are_translated) {
	TRY(open_pair());
	CHECK_EQ(write(slave, "a\nb\n", 4), 4);
	CHECK(!strcmp(got(master), "a\r\nb\r\n"));
}

TEST(a_line_is_edited) {
	TRY(open_pair());
	TRY(type("abX\x7f""c\n"));
	CHECK(!strcmp(got(slave), "abc\n"));
	CHECK(!strcmp(got(master), "abX\b \bc\r\n"));
	TRY(type("gone\x15kept\n"));
	CHECK(!strcmp(got(slave), "kept\n"));
	got(master);
	TRY(type("one two\x17three\n"));
	CHECK(!strcmp(got(slave), "one three\n"));
	got(master);
	TRY(type("a\x16\x03z\n"));
	CHECK(!strcmp(got(slave), "a\x03z\n"));
}

TEST(end_of_file_ends_a_line_or_the_input) {
	char byte[10];
	TRY(open_pair());
	TRY(type("part\x04"));
	CHECK(!strcmp(got(slave), "part"));
	TRY(type("\x04"));
	CHECK_EQ(read(slave, byte, 10), 0);
	TRY(type("x\n"));
	CHECK_EQ(read(slave, byte, 1), 1);
	CHECK_EQ(read(slave, byte, 10), 1);
}

TEST(a_raw_terminal_passes_everything) {
	struct termios modes;
	TRY(open_pair());
	CHECK_EQ(tcgetattr(slave, &modes), 0);
	cfmakeraw(&modes);
	CHECK_EQ(tcsetattr(slave, TCSANOW, &modes), 0);
	TRY(type("\x03\x04\x7f\r\n"));
	CHECK(!strcmp(got(slave), "\x03\x04\x7f\r\n"));
	CHECK(!readable(master));
	CHECK_EQ(write(slave, "\n", 1), 1);
	CHECK(!strcmp(got(master), "\n"));
}

TEST(min_and_time_govern_a_raw_read) {
	struct termios modes;
	struct timespec start, end;
	TRY(open_pair());
	CHECK_EQ(tcgetattr(slave, &modes), 0);
	cfmakeraw(&modes);
	modes.c_cc[VMIN] = 0;
	modes.c_cc[VTIME] = 0;
	CHECK_EQ(tcsetattr(slave, TCSANOW, &modes), 0);
	CHECK_EQ(read(slave, text, 10), 0);
	modes.c_cc[VTIME] = 1;
	CHECK_EQ(tcsetattr(slave, TCSANOW, &modes), 0);
	clock_gettime(CLOCK_MONOTONIC, &start);
	CHECK_EQ(read(slave, text, 10), 0);
	clock_gettime(CLOCK_MONOTONIC, &end);
	CHECK(ns_between(start, end) >= 90000000);
	modes.c_cc[VMIN] = 3;
	CHECK_EQ(tcsetattr(slave, TCSANOW, &modes), 0);
	TRY(type("abcd"));
	CHECK_EQ(read(slave, text, 10), 4);
	TRY(type("ab"));
	CHECK_EQ(read(slave, text, 10), 2);
}

TEST(echo_can_be_turned_off) {
	TRY(open_pair());
	TRY(set_local(ECHO, 0));
	TRY(type("secret\n"));
	CHECK(!strcmp(got(slave), "secret\n"));
	CHECK(!readable(master));
}

TEST(input_can_be_flushed_and_counted) {
	int left = -1;
	TRY(open_pair());
	TRY(type("line\n"));
	sleep_ms(10);
	CHECK_EQ(ioctl(slave, FIONREAD, &left), 0);
	CHECK_EQ(left, 5);
	CHECK_EQ(tcflush(slave, TCIFLUSH), 0);
	CHECK(!readable(slave));
}

TEST(the_window_size_is_kept_and_its_change_signalled) {
	struct winsize size = {24, 80, 0, 0}, now;
	TRY(open_pair());
	CHECK_EQ(ioctl(master, TIOCSWINSZ, &size), 0);
	CHECK_EQ(ioctl(slave, TIOCGWINSZ, &now), 0);
	CHECK(now.ws_row == 24 && now.ws_col == 80);
	pid_t child = fork();
	if (!child) {
		sigset_t winch;
		int number;
		sigemptyset(&winch);
		sigaddset(&winch, SIGWINCH);
		sigprocmask(SIG_BLOCK, &winch, NULL);
		CHILD_CHECK(setsid() > 0 && ioctl(slave, TIOCSCTTY, 0) == 0);
		size.ws_col = 100;
		CHILD_CHECK(ioctl(master, TIOCSWINSZ, &size) == 0);
		CHILD_CHECK(sigwait(&winch, &number) == 0 && number == SIGWINCH);
		_exit(0);
	}
	CHECK_EQ(status_of(child), 0);
}

TEST(closing_the_other_end_is_seen) {
	char byte;
	TRY(open_pair());
	close(slave);
	CHECK_ERRNO(read(master, &byte, 1), EIO);
	struct pollfd state = {.fd = master, .events = POLLIN};
	CHECK_EQ(poll(&state, 1, 0), 1);
	CHECK(state.revents & POLLHUP);
	slave = dup(master);
	TRY(open_pair());
	close(master);
	CHECK_EQ(read(slave, &byte, 1), 0);
	CHECK_ERRNO(write(slave, "x", 1), EIO);
	master = dup(slave);
}

/* A child that leads a session on the slave, runs the body, and exits 0. */
#define SESSION(...)                                                                       \
	({                                                                                     \
		pid_t child_ = fork();                                                             \
		if (!child_) {                                                                     \
			CHILD_CHECK(setsid() > 0 && ioctl(slave, TIOCSCTTY, 0) == 0);                  \
			__VA_ARGS__;                                                                   \
			_exit(0);                                                                      \
		}                                                                                  \
		child_;                                                                            \
	})

TEST(a_session_leader_takes_the_terminal) {
	TRY(open_pair());
	pid_t child = SESSION({
		CHILD_CHECK(tcgetpgrp(slave) == getpid());
		CHILD_CHECK(tcgetsid(slave) == getpid());
		int fd = open("/dev/tty", O_RDWR);
		CHILD_CHECK(fd >= 0 && tcgetpgrp(fd) == getpid());
		pid_t group = fork();
		if (!group) for (;;) pause();
		setpgid(group, group);
		CHILD_CHECK(tcsetpgrp(slave, group) == 0);
		CHILD_CHECK(tcgetpgrp(slave) == group);
		/* In the background now: SIGTTOU would come, but the group is orphaned. */
		CHILD_CHECK(tcsetpgrp(slave, getpid()) == -1 && errno == ENOTTY);
		signal(SIGTTOU, SIG_IGN);
		CHILD_CHECK(tcsetpgrp(slave, 0x3fffffff) == -1 && errno == ESRCH);
		CHILD_CHECK(tcsetpgrp(slave, -1) == -1 && errno == EINVAL);
		kill(group, SIGKILL);
	});
	CHECK_EQ(status_of(child), 0);
	pid_t stranger = fork();
	if (!stranger) {
		CHILD_CHECK(setsid() > 0);
		CHILD_CHECK(open("/dev/tty", O_RDWR) == -1 && errno == ENXIO);
		CHILD_CHECK(tcgetpgrp(slave) == -1 && errno == ENOTTY);
		_exit(0);
	}
	CHECK_EQ(status_of(stranger), 0);
}

TEST(a_leader_takes_the_terminal_through_its_master) {
	TRY(open_pair());
	pid_t child = fork();
	if (!child) {
		CHILD_CHECK(setsid() > 0);
		CHILD_CHECK(ioctl(master, TIOCSCTTY, 0) == 0);
		CHILD_CHECK(tcgetpgrp(master) == getpid() && tcgetsid(master) == getpid());
		CHILD_CHECK(tcgetpgrp(slave) == getpid() && tcgetsid(slave) == getpid());
		CHILD_CHECK(ioctl(master, TIOCNOTTY, 0) == -1 && errno == ENOTTY);
		CHILD_CHECK(open("/dev/tty", O_RDWR) >= 0);
		_exit(0);
	}
	CHECK_EQ(status_of(child), 0);
}

TEST(opening_a_terminal_makes_it_the_leaders) {
	int number;
	char name[32];
	TRY(open_pair());
	CHECK_EQ(ioctl(master, TIOCGPTN, &number), 0);
	snprintf(name, sizeof name, "/dev/pts/%d", number);
	pid_t child = fork();
	if (!child) {
		CHILD_CHECK(setsid() > 0);
		int fd = open(name, O_RDWR);
		CHILD_CHECK(fd >= 0 && tcgetsid(fd) == getpid());
		_exit(0);
	}
	CHECK_EQ(status_of(child), 0);
}

static int p[2];

static void await_byte(void) {
	char byte;
	CHECK_EQ(read(p[0], &byte, 1), 1);
}

TEST(control_c_and_backslash_signal_the_foreground) {
	CHECK_EQ(pipe(p), 0);
	TRY(open_pair());
	pid_t child = SESSION({ if (write(p[1], "x", 1) != 1) _exit(1); for (;;) pause(); });
	await_byte();
	TRY(type("\x03"));
	CHECK_EQ(status_of(child), 1000 + SIGINT);
	CHECK(!strcmp(got(master), "^C"));
	TRY(open_pair());
	child = SESSION({ if (write(p[1], "x", 1) != 1) _exit(1); for (;;) pause(); });
	await_byte();
	TRY(type("\x1c"));
	CHECK_EQ(status_of(child), 1000 + SIGQUIT);
}

TEST(control_z_stops_a_job_of_the_session) {
	TRY(open_pair());
	pid_t child = SESSION({
		pid_t job = fork();
		int status;
		if (!job) {
			setpgid(0, 0);
			signal(SIGTTOU, SIG_IGN);
			CHILD_CHECK(tcsetpgrp(slave, getpid()) == 0);
			CHILD_CHECK(write(p[1], "x", 1) == 1);
			for (;;) pause();
		}
		CHILD_CHECK(waitpid(job, &status, WUNTRACED) == job && WIFSTOPPED(status) && WSTOPSIG(status) == SIGTSTP);
		kill(job, SIGKILL);
	});
	await_byte();
	TRY(type("\x1a"));
	CHECK_EQ(status_of(child), 0);
}

TEST(a_background_job_stops_when_it_reads) {
	TRY(open_pair());
	pid_t child = SESSION({
		pid_t job = fork();
		int status;
		if (!job) {
			char byte;
			setpgid(0, 0);
			_exit(read(slave, &byte, 1) == 1 && byte == 'k' ? 7 : 1);
		}
		setpgid(job, job);
		CHILD_CHECK(waitpid(job, &status, WUNTRACED) == job && WIFSTOPPED(status) && WSTOPSIG(status) == SIGTTIN);
		CHILD_CHECK(tcsetpgrp(slave, job) == 0 && kill(-job, SIGCONT) == 0);
		CHILD_CHECK(waitpid(job, &status, WUNTRACED) == job && WIFEXITED(status) && WEXITSTATUS(status) == 7);
	});
	sleep_ms(50);
	TRY(type("key\n"));
	CHECK_EQ(status_of(child), 0);
}

TEST(a_background_job_may_write_unless_tostop) {
	TRY(open_pair());
	pid_t child = SESSION({
		int status;
		for (int stop = 0; stop < 2; stop++) {
			if (stop) set_local(0, TOSTOP);
			pid_t job = fork();
			if (!job) {
				setpgid(0, 0);
				_exit(write(slave, "x", 1) == 1 ? 0 : 1);
			}
			CHILD_CHECK(waitpid(job, &status, WUNTRACED) == job);
			CHILD_CHECK(stop ? WIFSTOPPED(status) && WSTOPSIG(status) == SIGTTOU : WIFEXITED(status) && !WEXITSTATUS(status));
			if (stop) kill(job, SIGKILL);
		}
	});
	CHECK_EQ(status_of(child), 0);
}

TEST(an_orphaned_reader_gets_an_error) {
	TRY(open_pair());
	pid_t child = SESSION({
		pid_t job = fork();
		if (!job) {
			char byte;
			setpgid(0, 0);
			signal(SIGTTIN, SIG_IGN);
			CHILD_CHECK(read(slave, &byte, 1) == -1 && errno == EIO);
			_exit(7);
		}
		int status;
		CHILD_CHECK(waitpid(job, &status, 0) == job && WEXITSTATUS(status) == 7);
	});
	CHECK_EQ(status_of(child), 0);
}

TEST(the_death_of_the_leader_signals_the_foreground) {
	char byte;
	int q[2];
	TRY(open_pair());
	CHECK_EQ(pipe(q), 0);
	pid_t child = SESSION({
		pid_t job = fork();
		if (!job) {
			CHILD_CHECK(write(p[1], "x", 1) == 1);
			for (;;) pause();
		}
		close(q[1]);
		await_byte();
	});
	close(q[1]);
	CHECK_EQ(status_of(child), 0);
	/* The job of the foreground group dies by SIGHUP, so the pipe ends. */
	CHECK_EQ(read(q[0], &byte, 1), 0);
	/* A pseudo-terminal itself is not hung up by that, as a serial line would be: the other descriptors go on. */
	TRY(type("still\n"));
	CHECK(!strcmp(got(slave), "still\n"));
	close(q[0]);
}

TEST(flow_control_holds_output_back) {
	TRY(open_pair());
	TRY(type("\x13"));
	sleep_ms(10);
	CHECK_EQ(fcntl(slave, F_SETFL, O_RDWR | O_NONBLOCK), 0);
	errno = 0;
	CHECK(write(slave, "held", 4) == -1 && errno == EAGAIN);
	TRY(type("\x11"));
	sleep_ms(10);
	CHECK_EQ(write(slave, "free", 4), 4);
	CHECK(!strcmp(got(master), "free"));
}

TEST(packet_mode_tells_of_flushes_and_stops) {
	int on = 1;
	char packet[100];
	TRY(open_pair());
	CHECK_EQ(ioctl(master, TIOCPKT, &on), 0);
	CHECK_EQ(write(slave, "x", 1), 1);
	CHECK_EQ(read(master, packet, sizeof packet), 2);
	CHECK(packet[0] == TIOCPKT_DATA && packet[1] == 'x');
	CHECK_EQ(tcflush(slave, TCIFLUSH), 0);
	CHECK_EQ(read(master, packet, sizeof packet), 1);
	CHECK(packet[0] & TIOCPKT_FLUSHREAD);
}
