#!/bin/sh
# CPython's tests of its module os.
# Left out: TestSendfile, not tried again since there is TCP.
# cpus: 1
# timeout: 300
mkdir -p /tmp/python_os && cd /tmp/python_os || exit 1
exec python3.11 -B /real/suite.py test_os TestSendfile
