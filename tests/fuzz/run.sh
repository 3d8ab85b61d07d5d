#!/bin/sh
# Fuzzes what reads files of strangers, with libFuzzer and a stable compiler.
#
#   tests/fuzz/run.sh SECONDS [TARGET...]     each target for SECONDS; default: all of them
#
# Needs a C++ compiler (libFuzzer is built from the libfuzzer-sys package). An input that panics, takes
# more than 10 s, or more memory than its limit stays in target/fuzz/found and the exit status is 1.
# Inputs of interest are kept in target/fuzz/corpus from run to run.
set -eu

seconds=${1:?"usage: $0 SECONDS [TARGET...]"}
shift
[ $# -gt 0 ] || set -- checkpoint pickle manifest receipt json image

root=$(cd "$(dirname "$0")/../.." && pwd)
out=${CARGO_TARGET_DIR:-$root/target}/fuzz
host=$(rustc -vV | sed -n 's/^host: //p')
program=$out/$host/release/fuzz

# With --target, the flags reach what is fuzzed and not the build scripts.
RUSTFLAGS="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=16 --cfg fuzzing" \
    cargo build --release --manifest-path "$root/tests/fuzz/Cargo.toml" \
    --target "$host" --target-dir "$out"

status=0
for target in "$@"; do
    # Seeds: the tests' own files.
    length=65536
    case $target in
        checkpoint) length=16384
            seeds="$root/tests/golden/checkpoints $root/tests/fuzz/seeds/checkpoint" ;;
        pickle) length=4096 seeds=$root/tests/fuzz/seeds/pickle ;;
        manifest) length=32768 seeds=$root/tests/fuzz/seeds/manifest ;;
        receipt) length=32768 seeds=$root/tests/fuzz/seeds/receipt ;;
        json) length=16384 seeds=$root/tests/fuzz/seeds/json ;;
        image) seeds="$root/crates/retinanet/src/image/testdata $root/tests/fuzz/seeds/image" ;;
        *) echo "$0: no target $target" >&2; exit 2 ;;
    esac
    corpus=$out/corpus/$target
    found=$out/found/$target
    mkdir -p "$corpus" "$found"
    echo "== $target: $seconds s"
    # What is not touched does not count as resident, so the address space is limited as well (4 GiB).
    # shellcheck disable=SC2086
    (ulimit -v 4194304 && FUZZ_TARGET=$target exec "$program" -max_total_time="$seconds" \
        -max_len="$length" -timeout=10 -rss_limit_mb=1024 -print_final_stats=1 -verbosity=1 \
        -artifact_prefix="$found/" "$corpus" $seeds) >"$out/$target.log" 2>&1 || status=1
    grep -E '^(stat::number_of_executed|stat::peak_rss|stat::slowest)|SUMMARY|panicked|DONE' \
        "$out/$target.log" || tail -n 20 "$out/$target.log"
done
exit $status
