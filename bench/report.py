#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""report.py RESULTS.json [--docs FOLDER PART] - what crossvm-bench measured, against the goals.
--docs: writes a part of FOLDER/PERFORMANCE.md, too: figures, with its plots, or native.

Figures are compared within one regime of the machine: trials whose ping-pong before and after
belong to one cluster. Trials with involuntary context switches, and those during which the regime
changed, are counted and left out. Ratios are of medians, with a 95 % bootstrap interval. A goal is
reached if the whole interval meets it, missed if none of it does, else undecided; and always
undecided with fewer than 30 trials of ours or of a rival that may be the best, or where sides had
no CPU of their own. The trials of such cases are in a table of their own, with all switches.
"""
import collections
import json
import math
import random
import statistics
import sys

import document

OURS = "crossvm"
LIBURCU = ("liburcu-wfcqueue", "liburcu-rculfqueue")
PEERS = ("ck_ring", "rte_ring", "boost-spsc_queue", "moodycamel-rwq", "moodycamel-cq")
RAW = ("two-lines",)
MEMCPY = ("memcpy",)
SEQLOCK = ("ck_sequence",)
SEVERAL = ("ck_ring", "rte_ring", "moodycamel-cq")
SNAPSHOT_LENS = (64, 256, 4096, 65536, 1048576)

MIN_TRIALS = 30
RESAMPLES = 1000
SAME_REGIME = 1.25  # the two ping-pongs of a trial differ by less
# What the program says of trials that it did not begin.
TIME_IS_UP = "time is up"
TOO_FEW_CPUS = "too few CPUs"
# Rows that the document shows beside the goals; those whose figures are rates, and not; and those
# in which elements may be lost.
ROWS_SHOWN = ("producers/", "broadcast/", "exchange/", "pool/")
RATES = ("spsc/", "producers/", "broadcast/", "exchange/")
TIMES = ("round-trip", "hop")
LOSSY = "flat-out"

# Whose median ours is compared with: the best of `rivals` in `row` and `place`. factor: how many
# times better than it, at least. Peers that are in no Debian package are faster than those here:
# what was set against all of them is multiplied accordingly (debian).
Goal = collections.namedtuple(
    "Goal", "title row rivals factor debian rival_row place rival_place ours",
    defaults=(1.0, None, "threads", "threads", OURS))

# Goals that are times, of a whole operation.
Limit = collections.namedtuple("Limit", "title row most_ns")
LIMITS = [Limit("attach and find, 10,000 chunks", "region/10000/attach-and-find", 1e6)]

# Against the peers liburcu counts, too; a peer has to be there.
GOALS = [
    Goal("8 B, one at a time", "spsc/8B/one", PEERS + LIBURCU, 1.7, 1.2),
    Goal("8 B, 32 at a time", "spsc/8B/batch32", PEERS + LIBURCU, 1.7, 1.2),
    Goal("64 B, zero-copy", "spsc/64B/zero-copy", PEERS + LIBURCU, 1.2, 1.4),
    Goal("64 B, one at a time", "spsc/64B/one", ("rte_ring",), 1.0),
    Goal("64 B, 32 at a time", "spsc/64B/batch32", PEERS + LIBURCU, 1.05),
    Goal("256 B, 32 at a time", "spsc/256B/batch32", PEERS + LIBURCU, 1.0),
    Goal("1 KiB, 32 at a time", "spsc/1024B/batch32", PEERS + LIBURCU, 1.0),
    Goal("round trip, raw", "spsc/8B/round-trip", RAW, 1 / 1.2, rival_row="limit/ping-pong"),
    Goal("round trip", "spsc/8B/round-trip", PEERS + LIBURCU, 1 / 0.75, 1.2),
    Goal("liburcu: 8 B, one at a time", "spsc/8B/one", LIBURCU, 5.0),
    Goal("liburcu: 8 B, 32 at a time", "spsc/8B/batch32", LIBURCU, 5.0),
    Goal("liburcu: 64 B, one at a time", "spsc/64B/one", LIBURCU, 2.0),
    Goal("liburcu: 64 B, 32 at a time", "spsc/64B/batch32", LIBURCU, 5.0),
    Goal("liburcu: round trip", "spsc/8B/round-trip", LIBURCU, 2.0),
] + [
    Goal(f"{title}{who[1]}, 8 B", f"producers/8B/{n}p1c/one", peers, factor, debian, ours=who[0])
    for title, n, who, peers, factor, debian in (
        ("3 producers: ", 3, ("crossvm-mpsc", "one ring"), SEVERAL + LIBURCU, 2.0, 1.45),
        ("3 producers: ", 3, ("crossvm-fanin", "lanes"), SEVERAL + LIBURCU, 3.0, 1.45),
        ("1 of several: ", 1, ("crossvm-mpsc", "one ring"), SEVERAL + LIBURCU, 4.0, 1.2),
        ("1 of several: ", 1, ("crossvm-fanin", "lanes"), SEVERAL + LIBURCU, 4.0, 1.2),
        ("liburcu: 3 producers: ", 3, ("crossvm-mpsc", "one ring"), LIBURCU, 2.5, 1.0),
        ("liburcu: 3 producers: ", 3, ("crossvm-fanin", "lanes"), LIBURCU, 4.0, 1.0))
] + [
    Goal(f"snapshot {size} B, idle", f"snapshot/{size}B/read-idle", MEMCPY,
         0.80 if size == 64 else 0.98)
    for size in SNAPSHOT_LENS
] + [
    Goal(f"snapshot {size} B, idle, strict", f"snapshot/{size}B/read-idle", MEMCPY,
         {65536: 0.65, 1048576: 0.73}.get(size, 0.45), ours="crossvm-strict")
    for size in SNAPSHOT_LENS
] + [
    Goal(f"snapshot {size} B, busy", f"snapshot/{size}B/read-busy", MEMCPY, 0.75)
    for size in SNAPSHOT_LENS
] + [
    Goal(f"snapshot {size} B, busy, seqlock", f"snapshot/{size}B/read-busy", SEQLOCK, 3.0)
    for size in SNAPSHOT_LENS
] + [
    Goal(f"processes: {row}", f"spsc/{row}", (OURS,), 0.95, place="processes")
    for row in ("8B/one", "8B/batch32", "64B/one", "64B/batch32", "64B/zero-copy", "256B/batch32",
                "1024B/batch32", "8B/round-trip")
]

Trial = collections.namedtuple("Trial", "case ns ping clean lost")
Case = collections.namedtuple("Case", "row place who")
Regime = collections.namedtuple("Regime", "low high median n")


# ---- reading ---------------------------------------------------------------------------------

def case_of(name):
    """row/place/who, and what Google Benchmark adds."""
    parts = [part for part in name.split("/") if part not in ("iterations:1", "manual_time")]
    return Case("/".join(parts[:-2]), parts[-2], parts[-1])


def trial_of(entry):
    before, after = entry["ping_before_ns"], entry["ping_after_ns"]
    steady = max(before, after) < SAME_REGIME * min(before, after)
    return Trial(case_of(entry["name"]), entry["real_time"] / entry["ops"],
                 math.sqrt(before * after), steady and entry["switches"] == 0,
                 entry.get("lost", 0) / entry["ops"])


def read(path):
    """The context, the trials, and the names of those that went wrong."""
    with open(path, encoding="utf-8") as file:
        results = json.load(file)
    entries = [entry for entry in results["benchmarks"] if entry["run_type"] == "iteration"
               and entry.get("error_message") != TIME_IS_UP]
    results["context"]["left_out"] = sorted({
        entry["name"].split("/iterations:")[0] for entry in entries
        if entry.get("error_message") == TOO_FEW_CPUS})
    entries = [entry for entry in entries if entry.get("error_message") != TOO_FEW_CPUS]
    wrong = {f"{entry['name']}: {entry['error_message']}" for entry in entries
             if entry.get("error_occurred")}
    good = [entry for entry in entries if not entry.get("error_occurred")]
    results["context"]["unpinned"] = {case_of(entry["name"]) for entry in good
                                      if not entry["pinned"]}
    return results["context"], [trial_of(entry) for entry in good], sorted(wrong)


# ---- regimes ---------------------------------------------------------------------------------

def valley(counts):
    """The index of a bin between two heaps of trials that tower over it, or None."""
    best = None
    for i in range(1, len(counts) - 1):
        heaps = min(max(counts[:i]), max(counts[i + 1:]))
        if counts[i] * 4 <= heaps and (best is None or counts[i] < counts[best]):
            best = i
    return best


def split(pings):
    """Sorted ping-pongs, cut where hardly any lies: bins are quarters of an octave."""
    first = math.floor(4 * math.log2(pings[0]))
    bins = [math.floor(4 * math.log2(ping)) - first for ping in pings]
    counts = [0] * (bins[-1] + 1)
    for number in bins:
        counts[number] += 1
    cut = valley(counts)
    if cut is None:
        return [pings]
    low = [ping for ping, number in zip(pings, bins) if number < cut]
    high = [ping for ping, number in zip(pings, bins) if number > cut]
    return split(low) + split(high)


def regimes_of(trials):
    """Those with at least a twentieth of the trials."""
    pings = sorted(trial.ping for trial in trials)
    parts = split(pings) if pings else []
    return [Regime(part[0], part[-1], statistics.median(part), len(part)) for part in parts
            if len(part) * 20 >= len(pings)]


# ---- judging ---------------------------------------------------------------------------------

def resampled_median(rng, values):
    return statistics.median(rng.choices(values, k=len(values)))


def interval(ours, rivals):
    """95 % of the ratio of the best rival's median to ours."""
    rng = random.Random(1)
    ratios = sorted(
        min(resampled_median(rng, values) for values in rivals) / resampled_median(rng, ours)
        for _ in range(RESAMPLES))
    return ratios[RESAMPLES * 25 // 1000], ratios[RESAMPLES * 975 // 1000 - 1]


def verdict(low, high, factor, n):
    if n < MIN_TRIALS:
        return f"undecided: too few trials ({n})"
    if low >= factor:
        return "reached"
    return "missed" if high < factor else "undecided"


def show_ns(ns):
    return f"{ns / 1e6:.2f} ms" if ns >= 1e6 / 10 else f"{ns:.0f} ns" if ns >= 10 else f"{ns:.2f} ns"


def figure(row, ns):
    rate = row.startswith(RATES) and not row.endswith(TIMES)
    return f"{1e3 / ns:.1f} M/s" if rate else show_ns(ns)


def rival_cases(goal, measured):
    cases = [Case(goal.rival_row or goal.row, goal.rival_place, who) for who in goal.rivals]
    return [case for case in cases if case in measured]


def judge(goal, times, measured, unpinned):
    """The goal's line of the table. times: of each case, in ns, in one regime."""
    factor = goal.factor * goal.debian
    if Case(goal.row, goal.place, goal.ours) in unpinned:
        return [goal.title, "-", "-", "-", "-", f"{factor:.2f}", "undecided: too few CPUs"]
    ours = times.get(Case(goal.row, goal.place, goal.ours), [])
    rivals = {case.who: times.get(case, []) for case in rival_cases(goal, measured)}
    missing = [who for who, values in [(goal.ours, ours), *rivals.items()] if not values]
    if missing:
        return [goal.title, "-", "-", "-", "-", f"{factor:.2f}",
                f"undecided: no trial of {missing[0]}"]
    best = min(rivals, key=lambda who: statistics.median(rivals[who]))
    our_ns, best_ns = statistics.median(ours), statistics.median(rivals[best])
    low, high = interval(ours, list(rivals.values()))
    # A rival none of whose trials came near the best one's median needs no more of them.
    close = [values for values in rivals.values() if min(values) <= best_ns]
    n = min(map(len, [ours, *close]))
    return [goal.title, figure(goal.row, our_ns), f"{best} {figure(goal.row, best_ns)}",
            f"{best_ns / our_ns:.2f}", f"{low:.2f} to {high:.2f}", f"{factor:.2f}",
            verdict(low, high, factor, n)]


def applies(goal, measured):
    """Whether ours was measured, and someone to compare with: liburcu is no other peer."""
    rivals = [case for case in rival_cases(goal, measured)
              if case.who not in LIBURCU or goal.rivals == LIBURCU]
    return bool(rivals) and Case(goal.row, goal.place, goal.ours) in measured


def judge_limit(limit, times):
    """The same for a time: 95 % of the median's bootstrap lie below it."""
    ours = times.get(Case(limit.row, "threads", OURS), [])
    most = show_ns(limit.most_ns)
    if not ours:
        return [limit.title, "-", "-", "-", "-", f"at most {most}", f"undecided: no trial of {OURS}"]
    rng = random.Random(1)
    medians = sorted(resampled_median(rng, ours) for _ in range(RESAMPLES))
    low, high = medians[RESAMPLES * 25 // 1000], medians[RESAMPLES * 975 // 1000 - 1]
    if len(ours) < MIN_TRIALS:
        said = f"undecided: too few trials ({len(ours)})"
    else:
        said = ("reached" if high <= limit.most_ns else
                "missed" if low > limit.most_ns else "undecided")
    return [limit.title, show_ns(statistics.median(ours)), "-", "-",
            f"{show_ns(low)} to {show_ns(high)}", f"at most {most}", said]


# ---- showing ---------------------------------------------------------------------------------

def table(head, lines):
    widths = [max(len(line[i]) for line in [head, *lines]) for i in range(len(head))]
    return "".join("| " + " | ".join(text.ljust(width) for text, width in zip(line, widths)) + " |\n"
                   for line in [head, ["-" * width for width in widths], *lines])


def pinning(unpinned, n_cases):
    if not unpinned:
        return "each pinned to a CPU of its own"
    if len(unpinned) == n_cases:
        return "NOT pinned to CPUs of their own: not permitted, or too few CPUs"
    return f"each pinned to a CPU of its own, but for {len(unpinned)} cases of {n_cases}"


def machine_lines(context, trials, n_cases):
    caches = ", ".join(f"L{cache['level']} {cache['size'] // 1024} KiB"
                       for cache in context["caches"] if cache["type"] != "Instruction")
    clean = sum(trial.clean for trial in trials)
    return [f"machine   {context.get('machine', 'unknown')}, {context['num_cpus']} CPUs, {caches}",
            f"compiler  {context['compiler']}, {context['flags']}",
            f"date      {context['date']}, load {context['load_avg'][0]:.1f} at the start",
            "sides     " + pinning(context["unpinned"], n_cases),
            f"trials    {len(trials)}, {clean} undisturbed (no involuntary switch, one regime)"]


def goals_table(goals, times, n_all, unpinned):
    head = ["goal", "crossvm", "best rival", "ratio", "95 %", "at least", "verdict"]
    limits = [limit for limit in LIMITS if Case(limit.row, "threads", OURS) in n_all]
    return table(head, [judge(goal, times, n_all, unpinned) for goal in goals]
                 + [judge_limit(limit, times) for limit in limits])


def spread(values):
    quarters = statistics.quantiles(values, n=4) if len(values) > 1 else None
    return f"{quarters[0]:.2f} to {quarters[2]:.2f}" if quarters else "-"


def cases_table(times, n_all):
    lines = []
    for case in sorted(times):
        ns = statistics.median(times[case])
        lines.append([case.row, case.place, case.who, f"{ns:.2f}", spread(times[case]),
                      f"{1e3 / ns:.2f}", f"{len(times[case])} of {n_all[case]}"])
    return table(["row", "place", "who", "ns", "half of the trials", "M/s", "undisturbed"], lines)


def lost_table(trials, n_all):
    """lost: elements for one that was read."""
    of = collections.defaultdict(list)
    for trial in trials:
        of[trial.case].append(trial)
    lines = []
    for case in sorted(of):
        values = [trial.ns for trial in of[case]]
        lost = statistics.median(trial.lost for trial in of[case])
        lines.append([case.row, case.who, figure(case.row, statistics.median(values)),
                      spread(values), f"{lost:.2f}" if LOSSY in case.row else "-",
                      f"{len(values)} of {n_all[case]}"])
    return table(["row", "who", "median", "half of the trials, ns", "lost", "trials"], lines)


def more_tables(regimes, trials, n_all, context, rows):
    """What the tables of goals and cases do not show: undisturbed trials of the first regime whose
    row is one of these; all trials of cases whose sides had no CPU of their own, whatever disturbed
    them; and what was left out."""
    shown = [trial for trial in trials if any(part in trial.case.row for part in rows)]
    undisturbed = [trial for trial in shown
                   if trial.case not in context["unpinned"] and trial.clean
                   and regimes[0].low <= trial.ping <= regimes[0].high]
    crowded = [trial for trial in trials if trial.case in context["unpinned"]
               and trial.case.row.startswith(ROWS_SHOWN)]
    text = ""
    if undisturbed:
        text += f"**Other rows, in the first regime**\n\n{lost_table(undisturbed, n_all)}\n"
    if crowded:
        text += ("**Sides without a CPU of their own**: all trials, also disturbed ones. Not "
                 "pinned, they say\nnothing of a machine with more CPUs.\n\n"
                 f"{lost_table(crowded, n_all)}\n")
    if context["left_out"]:
        text += "Left out, because there are too few CPUs:\n\n"
        text += "".join(f"- {name}\n" for name in context["left_out"]) + "\n"
    return text


def times_in(regime, trials):
    times = collections.defaultdict(list)
    for trial in trials:
        if trial.clean and regime.low <= trial.ping <= regime.high:
            times[trial.case].append(trial.ns)
    return times


def regime_line(regime, times):
    return (f"regime: two-line ping-pong {regime.median:.0f} ns ({regime.low:.0f} to "
            f"{regime.high:.0f}), {regime.n} trials, {sum(map(len, times.values()))} undisturbed")


def show(context, trials, wrong, docs):
    n_all = collections.Counter(trial.case for trial in trials)
    goals = [goal for goal in GOALS if applies(goal, n_all)]
    unpinned = context["unpinned"]
    machine = machine_lines(context, trials, len(n_all))
    print("\n".join(machine) + "\n")
    regimes = sorted(regimes_of(trials), key=lambda regime: -regime.n)
    for regime in regimes:
        times = times_in(regime, trials)
        print(f"== {regime_line(regime, times)}\n\n{goals_table(goals, times, n_all, unpinned)}\n"
              f"{cases_table(times, n_all)}")
    print(more_tables(regimes, trials, n_all, context, (LOSSY,)), end="")
    for goal in GOALS:
        if goal not in goals:
            print(f"not measured: {goal.title}")
    for name in wrong:
        print(f"FAILED: {name}")
    if docs:
        tables = "\n".join(f"**R{line[1:]}**\n\n{goals_table(goals, times, n_all, unpinned)}"
                           for line, times in ((regime_line(regime, times_in(regime, trials)),
                                                times_in(regime, trials)) for regime in regimes))
        more = more_tables(regimes, trials, n_all, context, ROWS_SHOWN)
        tables = f"{tables}\n{more}".rstrip("\n") + "\n"
        document.write(*docs, times_in(regimes[0], trials), machine, tables)


def main():
    path, *options = sys.argv[1:] or [None]
    if path is None or (options and (options[0] != "--docs" or len(options) != 3
                                     or options[2] not in ("figures", "native"))):
        print("usage: report.py RESULTS.json [--docs FOLDER figures|native]", file=sys.stderr)
        return 2
    try:
        context, trials, wrong = read(path)
    except (OSError, ValueError, KeyError) as error:
        print(f"report.py: {path}: expected results of crossvm-bench: {error!r}", file=sys.stderr)
        return 2
    show(context, trials, wrong, options[1:])
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
