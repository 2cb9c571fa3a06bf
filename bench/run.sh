#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Installs what is missing (as root), builds the benchmarks with -O3 -DNDEBUG, runs them, and prints
# each goal with what was measured. The results stay in the build directory: results.json. A run of
# all cases against the peers, with 30 trials or more, also writes the figures of
# docs/PERFORMANCE.md and its plots; with --native, its part on that.
#
#   sh bench/run.sh            against liburcu
#   sh bench/run.sh --peers    also against ck, DPDK, Boost and moodycamel, from Debian's packages
#   sh bench/run.sh --native   compiled with -march=native
#   sh bench/run.sh --quick    within two minutes: too few trials for a verdict, and as many fewer
#                              as the machine is slower
#   sh bench/run.sh --trials N        so many of each case (default: 100, quick: 16)
#   sh bench/run.sh --filter REGEX    only the cases row/place/who that match
#   sh bench/run.sh --vm       instead: between two virtual machines (QEMU), against TCP over
#                              virtio-net and virtio-serial (bench/vm.py); also with --quick (half a
#                              minute) or --trials N
#
# Environment: CROSSVM_BENCH_DIR says where to build (default: build/bench); CC and CXX name the
# compilers (default: gcc and g++); CROSSVM_GUEST_KERNEL names an unpacked package of a kernel for
# --vm (default: Debian's is downloaded). Sides run on the first CPUs that the program may use
# (taskset).
set -eu

refuse() {
    echo "run.sh: $1: expected $2" >&2
    echo "usage: sh bench/run.sh [--quick] [--peers] [--native] [--trials N] [--filter REGEX]" >&2
    echo "       sh bench/run.sh --vm [--quick] [--trials N]" >&2
    exit 2
}

peers=OFF
native=OFF
quick=no
vm=no
trials=
filter=.
while [ $# -gt 0 ]; do
    case $1 in
    --quick) quick=yes ;;
    --vm) vm=yes ;;
    --peers) peers=ON ;;
    --native) native=ON ;;
    --trials)
        case ${2:-} in
        '' | *[!0-9]* | 0*) refuse "--trials ${2:-}" "a whole number from 1 behind it" ;;
        esac
        trials=$2
        shift
        ;;
    --filter)
        [ -n "${2:-}" ] || refuse --filter "a regular expression behind it"
        filter=$2
        shift
        ;;
    *) refuse "$1" "--quick, --peers, --native, --vm, --trials or --filter" ;;
    esac
    shift
done
if [ $vm = yes ] && [ "$peers $native $filter" != "OFF OFF ." ]; then
    refuse --vm "no other argument than --quick and --trials beside it"
fi
# The longest run, in seconds; trials are shuffled, so each case loses as many as the others.
seconds=3600
if [ $quick = yes ]; then
    seconds=45
    trials=${trials:-16}
fi
trials=${trials:-100}

top=$(cd "$(dirname "$0")/.." && pwd)
# Few trials, few cases, or few rivals do not go into the document.
docs=
[ $vm = no ] || [ "$trials" -lt 30 ] || docs=$top/docs
[ $vm = yes ] || [ "$trials" -lt 30 ] || [ "$filter" != . ] || [ $peers = OFF ] || docs=$top/docs
part=figures
[ $native = OFF ] || part=native
build=${CROSSVM_BENCH_DIR:-$top/build/bench}
mkdir -p "$build"
build=$(cd "$build" && pwd)

. "$top/tests/packages.sh"

packages() {
    cat <<LIST
gcc command -v ${CC:-gcc}
g++ command -v ${CXX:-g++}
libc6-dev test -e /usr/include/stdio.h
cmake command -v cmake
make command -v make
python3 command -v python3
gnuplot-nox command -v gnuplot
libbenchmark-dev test -e /usr/include/benchmark/benchmark.h
liburcu-dev ls /usr/include/*/urcu/wfcqueue.h /usr/include/urcu/wfcqueue.h | grep .
LIST
    [ $peers = OFF ] || cat <<'LIST'
pkg-config command -v pkg-config
libck-dev test -e /usr/include/ck_ring.h
libdpdk-dev test -e /usr/include/dpdk/rte_ring.h
libboost-dev test -e /usr/include/boost/lockfree/spsc_queue.hpp
libreaderwriterqueue-dev test -e /usr/include/readerwriterqueue/readerwriterqueue.h
libconcurrentqueue-dev test -e /usr/include/concurrentqueue/concurrentqueue.h
LIST
}

vm_packages() {
    cat <<LIST
gcc command -v ${CC:-gcc}
libc6-dev test -e /usr/include/stdio.h
python3 command -v python3
qemu-system-x86 command -v qemu-system-x86_64
LIST
}

if [ $vm = yes ]; then
    install vm_packages || exit 2
    echo "== running $trials trials of each case"
    exec python3 -B "$top/bench/vm.py" --trials "$trials" --json "$build/vm.json" \
        ${docs:+--docs "$docs"}
fi

install packages || exit 2

echo "== building"
cmake -S "$top" -B "$build" -DCMAKE_BUILD_TYPE=Release -DCMAKE_C_COMPILER="${CC:-gcc}" \
    -DCMAKE_CXX_COMPILER="${CXX:-g++}" -DCROSSVM_BUILD_BENCH=ON -DCROSSVM_BUILD_TESTS=OFF \
    -DCROSSVM_BUILD_EXAMPLES=OFF -DCROSSVM_BUILD_TOOLS=OFF -DCROSSVM_INSTALL=OFF \
    -DCROSSVM_BENCH_PEERS=$peers -DCROSSVM_BENCH_NATIVE=$native >"$build/build.log" 2>&1 &&
    cmake --build "$build" -j "$(nproc)" >>"$build/build.log" 2>&1 || {
    cat "$build/build.log"
    echo "run.sh: the build failed" >&2
    exit 1
}

echo "== running $trials trials of each case"
machine=$(sed -n 's/^model name[^:]*: *//p' /proc/cpuinfo | head -n 1 | tr ',=' '  ')
results=$build/results.json
rm -f "$results"
status=0
CROSSVM_BENCH_SECONDS=$seconds "$build/bench/crossvm-bench" --benchmark_filter="$filter" \
    --benchmark_repetitions="$trials" --benchmark_enable_random_interleaving=true \
    --benchmark_context=machine="${machine:-$(uname -m)}" --benchmark_out="$results" \
    --benchmark_out_format=json >"$build/run.log" 2>"$build/errors.log" || status=$?
[ $status != 2 ] || refuse "--filter $filter" "a regular expression that matches a case"
if [ $status != 0 ]; then
    tail -n 5 "$build/errors.log" >&2
    echo "run.sh: crossvm-bench failed" >&2
fi
[ $status = 0 ] || docs=
python3 -B "$top/bench/report.py" "$results" ${docs:+--docs "$docs" $part} || status=1
exit $status
