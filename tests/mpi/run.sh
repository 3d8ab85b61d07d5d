#!/usr/bin/env bash
# Runs of several processes by Open MPI: the weights and the log of one process; a process that is killed, one that fails,
# one that was given something else, one that is asked to stop. bash tests/mpi/run.sh [PROGRAM built with --features mpi]
set -euo pipefail
cd "$(dirname "$0")/../.."

installed() { command -v mpirun >/dev/null && command -v mpicc >/dev/null && ls /usr/lib/llvm-*/lib/libclang.so* >/dev/null 2>&1; }
installed || {
    apt-get update -q
    apt-get install -y -q --no-install-recommends openmpi-bin libopenmpi-dev libclang-dev
}

program=${1:-}
if [ -z "$program" ]; then
    cargo clippy --workspace --lib --bins --features retinanet-cli/mpi -- -D warnings
    cargo build --workspace --bin retinanet --features retinanet-cli/mpi
    program=$PWD/target/debug/retinanet
fi

# Containers run all as root, and have fewer CPUs than ranks are wanted here.
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1
export OMPI_MCA_btl_vader_single_copy_mechanism=none
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 tests/mpi/make_pictures.py "$folder"

fail() { echo "FAILED: $*" >&2; tail -n 20 "$folder"/*.log >&2 || true; exit 1; }

# train RANKS OUT OPTIONS..: what it printed is in OUT.out and OUT.log.
train() {
    local ranks=$1 out=$2
    shift 2
    timeout 300 mpirun -n "$ranks" "$program" train --recipe "$folder/recipe.toml" --out "$folder/$out" "$@" \
        >"$folder/$out.out" 2>"$folder/$out.log"
}

timeout 300 "$program" train --recipe "$folder/recipe.toml" --out "$folder/alone" >"$folder/alone.out" 2>"$folder/alone.log"
weights=$(tail -n 1 "$folder/alone.out")
head=$(sed -n 's/^log \([0-9a-f]*\) .*/\1/p' "$folder/alone.out")
[[ $weights =~ ^weights\ [0-9a-f]{64}$ && $head =~ ^[0-9a-f]{64}$ ]] || fail "no hash: $(cat "$folder/alone.out")"
echo "no mpirun: $weights, log $head"

# same OUT: weights, log, and every saved state.
same() {
    [ "$(tail -n 1 "$folder/$1.out")" = "$weights" ] || fail "$1: $(tail -n 1 "$folder/$1.out"), expected $weights"
    [ "$(sed -n 's/^log \([0-9a-f]*\) .*/\1/p' "$folder/$1.out")" = "$head" ] || fail "$1: another log"
    [ "$(grep -c '^weights' "$folder/$1.out")" = 1 ] || fail "$1: more than one rank prints"
    diff -r "$folder/alone/states" "$folder/$1/states" >/dev/null || fail "$1: other states"
    cmp "$folder/alone/log.jsonl" "$folder/$1/log.jsonl" || fail "$1: another log file"
}

for ranks in 1 2 3 4 5; do
    train "$ranks" "ranks$ranks" || fail "$ranks ranks: exit $?"
    same "ranks$ranks"
    echo "$ranks ranks: the same weights, log and states"
done

# A rank dies in the middle; the run goes on with another number of ranks.
for victim in 0 2; do
    out=killed$victim
    train 4 "$out" &
    job=$!
    # The shell that waits, `timeout`, mpirun: the ranks are its children.
    until [ -e "$folder/$out/states/step-000000002.safetensors" ]; do
        kill -0 $job 2>/dev/null || fail "$out: ended early"
        sleep 0.02
    done
    pids=$(for pid in $(pgrep -f -- "--out $folder/$out"); do
        if grep -qz "^OMPI_COMM_WORLD_RANK=$victim\$" "/proc/$pid/environ" 2>/dev/null; then echo "$pid"; fi
    done)
    [ "$(wc -w <<<"$pids")" = 1 ] || fail "$out: which process is rank $victim? $pids"
    kill -KILL "$pids"
    code=0
    wait $job || code=$?
    [ $code != 0 ] || fail "$out: a killed rank went unnoticed"
    grep -q "signal 9" "$folder/$out.log" || fail "$out: nothing was said"
    [ ! -e "$folder/$out/model.safetensors" ] || fail "$out: it had ended already"
    train 3 "$out" --resume || fail "$out: cannot go on: exit $?"
    same "$out"
    echo "rank $victim of 4 killed (exit $code), resumed with 3: the same"
done

# Whichever rank is asked to stop, all finish the step and save.
out=stopped
train 3 $out &
job=$!
until [ -e "$folder/$out/states/step-000000001.safetensors" ]; do sleep 0.02; done
for pid in $(pgrep -f -- "--out $folder/$out"); do
    if grep -qz '^OMPI_COMM_WORLD_RANK=1$' "/proc/$pid/environ" 2>/dev/null; then kill -INT "$pid"; fi
done
code=0
wait $job || code=$?
[ $code = 130 ] || fail "$out: exit $code"
grep -q "stopped after step" "$folder/$out.log" || fail "$out: not stopped"
train 2 $out --resume || fail "$out: cannot go on"
same $out
echo "rank 1 of 3 asked to stop (exit $code), resumed with 2: the same"

# One rank has another recipe: all end before anything is written.
code=0
timeout 100 mpirun -n 2 "$program" train --recipe "$folder/recipe.toml" --out "$folder/other" : \
    -n 1 "$program" train --recipe "$folder/other.toml" --out "$folder/other" >/dev/null 2>"$folder/other.log" || code=$?
[ $code = 3 ] || fail "another recipe: exit $code"
[ "$(grep -c "rank 2 does not have the same recipe as rank 0" "$folder/other.log")" = 1 ] || fail "another recipe: not named"
[ ! -e "$folder/other" ] || fail "another recipe: something was written"
echo "another recipe on one rank: exit 3, $(grep -o 'rank 2 does not .* as rank 0' "$folder/other.log")"

# A picture that does not decode ends the run of all, with the saved states as they were.
bad=$(sed -n 's/.*"step":3,"images":\[[0-9]*,\([0-9]*\),.*/\1/p' "$folder/alone/log.jsonl")
cp "$folder/$((bad - 1)).ppm" "$folder/good"
head -c 100 "$folder/good" >"$folder/$((bad - 1)).ppm"
code=0
train 4 damaged || code=$?
[ $code = 3 ] || fail "a damaged picture: exit $code"
grep -q "rank [0-3]: .*$((bad - 1)).ppm\|error: .*$((bad - 1)).ppm" "$folder/damaged.log" || fail "a damaged picture: not named"
messages=$(grep -c '^error' "$folder/damaged.log")
cp "$folder/good" "$folder/$((bad - 1)).ppm"
train 5 damaged --resume || fail "damaged: cannot go on"
same damaged
echo "a damaged picture: exit 3, $messages messages; mended and resumed with 5: the same"
