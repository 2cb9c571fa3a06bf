// SPDX-License-Identifier: Apache-2.0
// bench/shim.cc - hands the cases to Google Benchmark: a trial is a repetition of one iteration
// that was timed by hand. Everything else is C.
#include "bench.h"

#include <benchmark/benchmark.h>

static void run(benchmark::State &state, const bench_case *self)
{
    static double order;
    bench_result result = {};
    if (!bench_trial(self, &result)) {
        state.SkipWithError("time is up");
    } else if (result.error != nullptr) {
        state.SkipWithError(result.error);
    }
    for (auto unused : state) {
        (void)unused;
        state.SetIterationTime(result.seconds);
    }
    state.counters["ops"] = static_cast<double>(self->n_ops);
    state.counters["ping_before_ns"] = result.ping_before_ns;
    state.counters["ping_after_ns"] = result.ping_after_ns;
    state.counters["switches"] = static_cast<double>(result.n_switches);
    state.counters["lost"] = static_cast<double>(result.n_lost);
    state.counters["pinned"] = result.pinned ? 1 : 0;
    state.counters["order"] = order++;
}

int main(int argc, char **argv)
{
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv)) {
        return 2;
    }
    benchmark::AddCustomContext("compiler", BENCH_COMPILER);
    benchmark::AddCustomContext("flags", BENCH_FLAGS);
    for (unsigned i = 0; bench_case_at(i) != nullptr; i++) {
        const bench_case *self = bench_case_at(i);
        benchmark::RegisterBenchmark(bench_name(self), run, self)->UseManualTime()->Iterations(1);
    }
    bench_start();
    bool none = benchmark::RunSpecifiedBenchmarks() == 0;
    bool failed = bench_stop() != 0;
    return none ? 2 : failed ? 1 : 0;
}
