"""`python -m retinanet` is the command `retinanet`."""

import signal
import sys

from ._native import run_command

# Ctrl-C and the end of a pipe are the command's own business.
signal.signal(signal.SIGINT, signal.SIG_DFL)
sys.exit(run_command(["retinanet", *sys.argv[1:]]))
