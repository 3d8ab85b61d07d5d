#!/bin/sh
# Builds the wheel, installs it in a clean environment, and runs its tests and type checks there.
#
#   crates/python/test.sh [--all] [ARGUMENTS OF pytest...]
#
# --all also installs Ray, Daft and supervision, whose tests are skipped without them (some 500 MB).
set -eu

beside="-r requirements-test.txt"
if [ "${1:-}" = --all ]; then
    shift
    beside="$beside -r requirements-clusters.txt"
fi

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
work=${CARGO_TARGET_DIR:-$root/target}/python

rm -rf "$work/wheels" "$work/clean"
mkdir -p "$work"
[ -x "$work/tools/bin/maturin" ] || {
    python3 -m venv "$work/tools"
    "$work/tools/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements-build.txt"
}
CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$root/target} \
    "$work/tools/bin/maturin" build --release --locked --quiet --manifest-path "$here/Cargo.toml" --out "$work/wheels"
ls -l "$work"/wheels/*.whl
# The wheel itself needs numpy alone; what is installed beside it is for the tests.
python3 -m venv "$work/clean"
"$work/clean/bin/pip" install --quiet --disable-pip-version-check "$work"/wheels/*.whl
"$work/clean/bin/python" -c 'import retinanet; print("imported with numpy alone:", retinanet.__version__)'
cd "$here"
# shellcheck disable=SC2086 # several words
"$work/clean/bin/pip" install --quiet --disable-pip-version-check $beside
cd "$here/tests"
"$work/clean/bin/python" -m pytest -q -p no:cacheprovider "$@"
cd "$here"
"$work/clean/bin/python" -m mypy --cache-dir=/dev/null --config-file pyproject.toml
