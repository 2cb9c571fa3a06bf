#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the model-checking programs; GenMC is on PATH.

  run.py jobs [WORD...]      jobs whose group or text contains one of the words, or all; a table
  run.py mutants [WORD...]   likewise mutants: what rejects each
  run.py record              whatever is not in tests/verify/evidence for this code, and writes it
  run.py record --all        everything anew
"""
import concurrent.futures
import os
import pathlib
import sys
import tempfile
import time

import checker

SOURCE = checker.HERE.parents[1]

# Which groups of jobs are about an edge: by the longest beginning of its name.
GROUPS = {
    "slot": ("slots", "epoch", "directory"),
    "chunk": ("epoch", "directory", "region", "link"),
    "region": ("region",),
    "wake": ("wake",),
    "mpsc": ("mpsc",),
    "spsc": ("link", "spsc"),
    "spsc_tail": ("spsc", "link"),
    "spsc_head": ("spsc", "link"),
    "spsc_incarnation": ("peer",),
    "doorbell": ("doorbell",),
    "pool": ("pool",),
    "peer": ("peer", "link"),
}


def groups_of(edge):
    return GROUPS[max((key for key in GROUPS if edge.startswith(key)), key=len)]


class Runner:
    """Runs jobs two at a time, on a copy of the headers that the checker takes."""

    def __init__(self, source, include):
        self.source = source
        self.include = include
        self.jobs = checker.read_jobs(source)
        self.pool = concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1)

    def run_jobs(self, wanted):
        """(model, job) pairs; yields each with its result and seconds."""
        def one(pair):
            model, job = pair
            begin = time.monotonic()
            result = checker.genmc(self.source, self.include, job, model)
            return pair, result, time.monotonic() - begin

        yield from self.pool.map(one, wanted)

    def candidates(self, pair, evidence):
        """Jobs that may notice: the one that did last time first, then the cheap ones."""
        groups = groups_of(pair.edge)
        last = evidence.mutants.get(str(pair), ("", ""))[0]

        def cost(job):
            known = evidence.jobs.get((checker.MODELS[0], str(job)))
            return (str(job) != last, groups.index(job.group), known.executions if known else 0)

        return sorted((job for job in self.jobs if job.group in groups), key=cost)

    def reject(self, pair, evidence):
        """The first job that rejects a mutant, and why; the job is None if none does."""
        for job in self.candidates(pair, evidence):
            result = checker.genmc(self.source, self.include, job, checker.MODELS[0], pair.end)
            if result.verdict == "FAIL":
                return str(job), result.why
        return None, ""

    def run_mutants(self, pairs, evidence):
        yield from zip(pairs, self.pool.map(lambda pair: self.reject(pair, evidence), pairs))


def mutant_line(pair, job, why):
    return f"{'rejected' if job else 'SURVIVES'}  {pair}" + (f" <- {job}: {why}" if job else "")


def chosen(texts, words):
    return [text for text in texts if not words or any(word in str(text) for word in words)]


def show_jobs(runner, words):
    jobs = [job for job in runner.jobs
            if not words or job.group in words or any(word in str(job) for word in words)]
    for (model, job), result, seconds in runner.run_jobs(
            [(model, job) for job in jobs for model in job.models()]):
        print(f"{model:<5}{seconds:6.1f} s  {job} -> {result}", flush=True)


def show_mutants(runner, words):
    evidence = checker.Evidence.read(SOURCE / checker.EVIDENCE)
    for pair, (job, why) in runner.run_mutants(chosen(checker.all_pairs(SOURCE), words), evidence):
        print(mutant_line(pair, job, why), flush=True)


def record(runner, everything):
    path = SOURCE / checker.EVIDENCE
    old = checker.Evidence() if everything else checker.Evidence.read(path)
    new = checker.Evidence()
    new.tool = checker.tool()
    new.code = checker.hashes(SOURCE, runner.jobs)
    fresh = {job for job in runner.jobs if old.tool == new.tool and all(
        old.code.get(name) == new.code[name]
        for name in map(checker.name_of, checker.code_of(SOURCE, job.program)))}
    known = {str(job) for job in fresh}

    wanted = []
    for job in runner.jobs:
        for model in job.models():
            if job in fresh and (model, str(job)) in old.jobs:
                new.jobs[model, str(job)] = old.jobs[model, str(job)]
            else:
                wanted.append((model, job))
    for (model, job), result, seconds in runner.run_jobs(wanted):
        print(f"{model:<5}{seconds:6.1f} s  {job} -> {result}", flush=True)
        new.jobs[model, str(job)] = result
        new.write(path)

    pairs = []
    for pair in checker.all_pairs(SOURCE):
        if old.mutants.get(str(pair), ("", ""))[0] in known:
            new.mutants[str(pair)] = old.mutants[str(pair)]
        else:
            pairs.append(pair)
    old.jobs.update(new.jobs)
    for pair, (job, why) in runner.run_mutants(pairs, old):
        print(mutant_line(pair, job, why), flush=True)
        new.mutants[str(pair)] = (job, why)
        new.write(path)
    new.write(path)


def main():
    what, *words = sys.argv[1:] or ["help"]
    if what not in ("jobs", "mutants", "record") or (
            what == "record" and words not in ([], ["--all"])):
        print(__doc__, file=sys.stderr)
        return 2
    if not checker.tool():
        print("run.py: genmc: not found on PATH", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="crossvm-verify-") as name:
        include = pathlib.Path(name) / "include"
        checker.make_copy(SOURCE, include)
        runner = Runner(SOURCE, include)
        if what == "jobs":
            show_jobs(runner, words)
        elif what == "mutants":
            show_mutants(runner, words)
        else:
            record(runner, bool(words))
    return 0


if __name__ == "__main__":
    sys.exit(main())
