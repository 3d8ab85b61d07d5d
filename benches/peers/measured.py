"""Runs a command and prints, as JSON, the seconds to its first line and the most memory it took, in MB.

    python -I -S measured.py COMMAND [ARGUMENT ..]

What the system says of a process's memory (`ru_maxrss`) begins at what the process that started it held. This
one is small (about 11 MB, the least that it tells of any); who has loaded more calls it in place of starting
the command.
"""

import json
import os
import subprocess
import sys
import time


def run(command):
    """(seconds to the first line, peak MB)."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    first = process.stdout.readline()
    seconds = time.perf_counter() - start
    process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0 or not first:
        raise SystemExit(f"{command}: status {status}, first line {first}")
    return seconds, usage.ru_maxrss * 1024 / 1e6  # KiB on Linux


if __name__ == "__main__":
    print(json.dumps(run(sys.argv[1:])))
