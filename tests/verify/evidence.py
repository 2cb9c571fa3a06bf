#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Holds tests/verify/evidence to the headers, the jobs and the edges.

    evidence.py SOURCE_DIR [--write]

Where GenMC is on PATH every job and every mutant is run again. Otherwise what was recorded counts,
for exactly the code that it was recorded for: another hash of a header or of a program fails.
Either way: each job passes (those of the group "limit" fail), and each end of each edge of
docs/ORDERING.md has a mutant that is rejected. --write: brings the figures of docs/VERIFICATION.md
up to date.
"""
import pathlib
import sys
import tempfile

import checker
import run
from checker import common

BEGIN = "<!-- evidence: begin -->"
END = "<!-- evidence: end -->"
DOCUMENT = "docs/VERIFICATION.md"


def check_code(report, source, evidence, jobs):
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


def check_mutants(report, source, evidence):
    """One for each ordered access in the headers, and thereby for each end in the document."""
    ends = {str(end) for end in checker.all_ends(source)}
    document = (source / "docs/ORDERING.md").read_text(encoding="utf-8")
    for edge, sides in checker.check_ordering.table_of(document).items():
        for what, label, function in sides[0] | sides[1]:
            if f"{what}({label}) in {function}" not in ends:
                report.wrong(f"docs/ORDERING.md, {edge}", f"no mutant of {what}({label})")
    for end in sorted(ends ^ set(evidence.mutants)):
        report.wrong(end, "not both in the headers and in the evidence")
    for end, (job, _) in sorted(evidence.mutants.items()):
        if not job:
            report.wrong(end, "weakened, and no job notices")


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
    return "\n".join([f"Made with {evidence.tool}: {len(evidence.jobs)} runs, "
                      f"{len(evidence.mutants)} weakened ends.", "", *rows])


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
        for end, rejected in runner.run_mutants(checker.all_ends(source), recorded):
            found.mutants[str(end)] = rejected
        return found


def main():
    write = "--write" in sys.argv[2:]
    source = common.source_dir()
    report = common.Report()
    jobs = checker.read_jobs(source)
    evidence = checker.Evidence.read(source / checker.EVIDENCE)
    check_document(report, source, figures(evidence, jobs), write)
    if checker.tool() and not write:
        print(f"{checker.tool()} is here: jobs and mutants are run again")
        evidence = run_again(source, evidence, jobs)
    else:
        check_code(report, source, evidence, jobs)
    check_jobs(report, evidence, jobs)
    check_mutants(report, source, evidence)
    explored = sum(result.executions for result in evidence.jobs.values())
    return report.finish(f"{evidence.tool}: {len(evidence.jobs)} runs, {explored} executions, "
                         f"{len(evidence.mutants)} weakened ends rejected")


if __name__ == "__main__":
    sys.exit(main())
