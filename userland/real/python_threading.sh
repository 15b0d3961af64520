#!/bin/sh
# CPython's tests of its module threading.
# cpus: 1
# timeout: 300
mkdir -p /tmp/python_threading && cd /tmp/python_threading || exit 1
exec python3.11 -B /real/suite.py test_threading
