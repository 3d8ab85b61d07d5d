"""`python -m retinanet` is the command."""

import json
import subprocess
import sys

from conftest import PHOTO, PUBLISHED_DIGEST, WEIGHTS


def command(*arguments):
    return subprocess.run([sys.executable, "-m", "retinanet", *map(str, arguments)], capture_output=True, text=True)


def test_it_detects_with_the_published_digest():
    done = command("detect", "--weights", WEIGHTS, "--json", "-", PHOTO)
    assert done.returncode == 0, done.stderr
    assert PUBLISHED_DIGEST in done.stdout
    json.loads(done.stdout)


def test_its_exit_statuses_are_the_commands():
    assert command("--version").returncode == 0
    wrong = command("detect", "--no-such-option")
    assert wrong.returncode == 2 and "--no-such-option" in wrong.stderr
    missing = command("detect", "--weights", WEIGHTS, "no/such.png")
    assert missing.returncode not in (0, 2) and "no/such.png" in missing.stderr
