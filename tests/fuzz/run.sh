#!/bin/sh
# Lets libFuzzer try every target, or those named as arguments, FUZZ_SECONDS each (600 unless given).
# What breaks a target is left in target/fuzz/found and ends this with a failure; new inputs that lead to
# new corners are left in target/fuzz/corpus, and the repository's corpus is only read.
set -eu
cd "$(dirname "$0")"
seconds=${FUZZ_SECONDS:-600}
place=$(cd ../.. && pwd)/target/fuzz
case "$(rustc -vV)" in *"host: x86_64-"*|*"host: aarch64-"*) ;; *) echo "the fuzzer knows x86-64 and ARM64 only" >&2; exit 1;; esac
host=$(rustc -vV | sed -n 's/^host: //p')
c++ --version >/dev/null 2>&1 || { echo "install a C++ compiler first: libFuzzer is built from its sources" >&2; exit 1; }

# The flags are those of cargo-fuzz without a sanitizer, which the stable toolchain has. With --target they
# do not reach build scripts.
RUSTFLAGS="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
 -Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing" \
 ${CARGO:-cargo} build --locked --release --target "$host" --target-dir "$place/build" --manifest-path driver/Cargo.toml ${FUZZ_JOBS:+-j $FUZZ_JOBS}

[ $# -gt 0 ] || set -- $(ls corpus)
failed=
for target in "$@"; do
    mkdir -p "$place/corpus/$target" "$place/found/$target"
    echo "== $target, $seconds s"
    # In memory where that is possible: on a disk most of the time would be spent waiting for it.
    scratch=$(mktemp -d -p /dev/shm 2>/dev/null || mktemp -d)
    # One input may take 25 s and 2 GiB; honest ones take milliseconds.
    KNIT_FUZZ_TARGET=$target TMPDIR=$scratch "$place/build/$host/release/knit-fuzz-driver" \
        -max_total_time="$seconds" -timeout=25 -rss_limit_mb=2048 -print_final_stats=1 -use_value_profile=1 \
        -artifact_prefix="$place/found/$target/" "$place/corpus/$target" "corpus/$target" || failed="$failed $target"
    rm -rf "$scratch"
done
[ -z "$failed" ] || { echo "found something in:$failed (see $place/found)" >&2; exit 1; }
