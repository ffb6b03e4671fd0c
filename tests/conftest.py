"""Tests run two files at a time: with one thread each they share two cores, with two they would wait for each other."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
