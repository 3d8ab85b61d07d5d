#!/bin/sh
# Checks the frozen vectors with the second implementation, whose two packages pip fetches into target/vectors.
#
#   tests/vectors/run.sh [ARGUMENTS OF check.py...]
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)
venv=${CARGO_TARGET_DIR:-$root/target}/vectors

if ! [ -x "$venv/bin/pip" ]; then
    python3 -m venv "$venv" || {
        echo "$0: python3 with its venv module is needed" >&2
        exit 2
    }
fi
"$venv/bin/pip" install --quiet --disable-pip-version-check -r "$root/tests/vectors/requirements.txt"
exec "$venv/bin/python" "$root/tests/vectors/check.py" "$@"
