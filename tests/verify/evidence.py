#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Holds tests/verify/evidence to the headers, the jobs and the edges.

    evidence.py SOURCE_DIR [--write]

What was recorded counts for exactly the code that it was recorded for: another hash of a program, a
script, a function that a program reaches or what stands between functions fails. Each job passes (those of the group "limit" fail), and each end of each
edge of docs/ORDERING.md has a mutant that a job of that edge's programs rejects. Where GenMC is on
PATH every job and every mutant is also run again, and has to find the same. --write: brings the
figures of docs/VERIFICATION.md up to date.
"""
import pathlib
import sys
import tempfile

import checker
import run
from checker import common

TOOL = "GenMC 0.11."
BEGIN = "<!-- evidence: begin -->"
END = "<!-- evidence: end -->"
DOCUMENT = "docs/VERIFICATION.md"


def check_code(report, source, evidence, jobs):
    if not evidence.tool.startswith(TOOL):
        report.wrong(checker.EVIDENCE, f"recorded by {evidence.tool!r}, not by {TOOL}x")
    now = checker.hashes(source, jobs)
    for name in sorted(set(now) | set(evidence.code)):
        if name not in evidence.code:
            report.wrong(name, "was not there when the evidence was recorded")
        elif name not in now:
            report.wrong(name, "is not there any more, but in the evidence")
        elif now[name] != evidence.code[name]:
            report.wrong(name, "its code is not the one that was checked")
    for program in sorted((source / "tests/verify/programs").glob("*.c")):
        if program.name not in {job.program for job in jobs}:
            report.wrong(program.name, "is in no line of tests/verify/jobs")
    if report.problems:
        report.wrong(checker.EVIDENCE, "is stale: with GenMC on PATH, "
                     "python3 tests/verify/run.py record")


def check_jobs(report, evidence, jobs):
    wanted = {(model, str(job)): job for job in jobs for model in job.models()}
    for key in sorted(set(wanted) ^ set(evidence.jobs)):
        report.wrong(" ".join(key), "not both in tests/verify/jobs and in the evidence")
    for key, result in sorted(evidence.jobs.items()):
        limit = key in wanted and wanted[key].group == "limit"
        if result.verdict != ("FAIL" if limit else "ok"):
            report.wrong(" ".join(key), f"{result}" + (", but is to fail" if limit else ""))


def check_mutants(report, source, evidence, jobs):
    """One for each ordered access in the headers, in each row of the document that has it."""
    pairs = checker.all_pairs(source)
    for end in sorted(set(checker.all_ends(source)) - {pair.end for pair in pairs}):
        report.wrong(str(end), "is in no row of docs/ORDERING.md")
    for pair in sorted({str(pair) for pair in pairs} ^ set(evidence.mutants)):
        report.wrong(pair, "not both in docs/ORDERING.md and in the evidence")
    group_of = {str(job): job.group for job in jobs}
    for pair, (job, _) in sorted(evidence.mutants.items()):
        if not job:
            report.wrong(pair, "weakened, and no job notices")
        elif group_of.get(job) not in run.groups_of(pair.split(": ")[0]):
            report.wrong(pair, f"rejected by {job}, which is no job of this edge's programs")


def figures(evidence, jobs):
    """The table of docs/VERIFICATION.md: what each program stands for in the evidence."""
    rows = ["| program | jobs | executions, RC11 | executions, IMM | weakened ends that it rejects |",
            "|---|---|---|---|---|"]
    limits = {str(job) for job in jobs if job.group == "limit"}
    for program in dict.fromkeys(job.program for job in jobs):
        mine = {str(job) for job in jobs if job.program == program} - limits
        explored = [sum(result.executions for (model, job), result in evidence.jobs.items()
                        if model == wanted and job in mine) for wanted in checker.MODELS]
        rejected = sum(job.split()[0] == program for job, _ in evidence.mutants.values() if job)
        rows.append(f"| {program} | {len(mine)} | {explored[0]:,} | {explored[1]:,} | {rejected} |")
    ends = {pair.split(": ")[1] for pair in evidence.mutants}
    return "\n".join([f"Made with {evidence.tool}: {len(evidence.jobs)} runs; {len(ends)} ends, weakened "
                      f"and rejected {len(evidence.mutants)} times.", "", *rows])


def check_document(report, source, table, write):
    path = source / DOCUMENT
    text = path.read_text(encoding="utf-8")
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        report.wrong(DOCUMENT, f"no table between {BEGIN} and {END}")
        return
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    wanted = f"{before}{BEGIN}\n{table}\n{END}{after}"
    if write:
        path.write_text(wanted, encoding="utf-8")
    elif text != wanted:
        report.wrong(DOCUMENT, "its figures are not the evidence's: evidence.py . --write")


def run_again(source, recorded, jobs):
    """The same as was recorded, from the headers as they are now."""
    with tempfile.TemporaryDirectory(prefix="crossvm-verify-") as name:
        include = pathlib.Path(name) / "include"
        checker.make_copy(source, include)
        runner = run.Runner(source, include)
        found = checker.Evidence()
        found.tool = checker.tool()
        found.code = checker.hashes(source, jobs)
        for (model, job), result, _ in runner.run_jobs(
                [(model, job) for job in jobs for model in job.models()]):
            found.jobs[model, str(job)] = result
        for pair, rejected in runner.run_mutants(checker.all_pairs(source), recorded):
            found.mutants[str(pair)] = rejected
        return found


def compare(report, recorded, found):
    """The same tool explores the same executions."""
    for key, result in sorted(found.jobs.items()):
        was = recorded.jobs.get(key)
        if was is not None and found.tool == recorded.tool and was.executions != result.executions:
            report.wrong(" ".join(key), f"{result}, but recorded were {was}")


def main():
    write = "--write" in sys.argv[2:]
    source = common.source_dir()
    report = common.Report()
    jobs = checker.read_jobs(source)
    evidence = checker.Evidence.read(source / checker.EVIDENCE)
    check_document(report, source, figures(evidence, jobs), write)
    check_code(report, source, evidence, jobs)
    check_jobs(report, evidence, jobs)
    check_mutants(report, source, evidence, jobs)
    if checker.tool() and not write:
        print(f"{checker.tool()} is here: jobs and mutants are run again", flush=True)
        found = run_again(source, evidence, jobs)
        compare(report, evidence, found)
        check_jobs(report, found, jobs)
        check_mutants(report, source, found, jobs)
    explored = sum(result.executions for result in evidence.jobs.values())
    return report.finish(f"{evidence.tool}: {len(evidence.jobs)} runs, {explored} executions, "
                         f"{len(evidence.mutants)} times an end was weakened and rejected")


if __name__ == "__main__":
    sys.exit(main())
