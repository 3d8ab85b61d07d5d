"""One engine in a process of its own: a line in, the seconds of one run out.

    python worker.py ENGINE THREADS CACHE OUTPUT.npy
"""

import os
import sys
import time

# Before any engine is imported: waiting threads of one process must not burn another's time.
os.environ["OMP_WAIT_POLICY"] = "PASSIVE"

import numpy as np

from engines import ENGINES


def main():
    name, threads, cache, output = sys.argv[1:]
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # an engine's chatter is no answer
    os.environ["OMP_NUM_THREADS"] = threads
    run = ENGINES[name](int(threads), cache)
    np.save(output, np.concatenate([y.ravel()[::997] for y in run()]))
    answers.write("ready\n")
    for _ in sys.stdin:
        start = time.perf_counter()
        run()
        answers.write(f"{time.perf_counter() - start}\n")


if __name__ == "__main__":
    main()
