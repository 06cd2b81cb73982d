"""Runs a program, and says as the last line of the output what it and its processes spent. Small, so that the memory of
whoever measures is not counted as theirs: a process begins with the memory of the one that made it."""

import json
import resource
import subprocess
import sys
import time

began = time.perf_counter()
code = subprocess.call(sys.argv[1:], stdin=subprocess.DEVNULL, stderr=subprocess.STDOUT)
wall = time.perf_counter() - began
usage = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([code, wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024]), flush=True)
