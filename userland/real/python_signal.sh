#!/bin/sh
# CPython's tests of its module signal.
# Left out: half a minute of waiting; a folder of /proc as a pidfd, which there is not yet; TCP sockets, not
# tried again since there are some.
# cpus: 2
# timeout: 300
mkdir -p /tmp/python_signal && cd /tmp/python_signal || exit 1
exec python3.11 -B /real/suite.py test_signal test_siginterrupt_off test_pidfd_send_signal \
	test_invalid_socket test_set_wakeup_fd_socket_result
