#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Each tool in C has a manual page (tools/NAME.1), which says what the tool's --help says: the same
usage, the same options with the same arguments and defaults, and no other. With groff, the page is
formatted without a warning.

usage: man.py SOURCE_DIR [CC]      Status 0, 1, or 77: no compiler.
"""
import pathlib
import re
import shlex
import shutil
import subprocess
import sys

sys.dont_write_bytecode = True  # the sources stay as they are
SOURCE = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()
sys.path.insert(0, str(SOURCE / "tests/build"))
import common

OPTION = re.compile(r"(-\w), (--[\w-]+)(?: ([A-Z]+))?$")


# ---- what --help says ------------------------------------------------------------------------


def help_of(program, compiler, work):
    """The tool is compiled and asked."""
    binary = pathlib.Path(work) / program.stem
    subprocess.run([compiler, "-std=c11", '-DCROSSVM_SERVER_VERSION="test"', str(program), "-o",
                    str(binary)], check=True)
    return subprocess.run([str(binary), "--help"], check=True, capture_output=True,
                          text=True).stdout


def options_of_help(text):
    """(short, long, argument) to the default, or None."""
    options = {}
    for line in text.splitlines():
        match = re.match(r"  (-\S.*?)  +(\S.*)$", line)
        if match:
            default = re.search(r"\((\w+)\)$", match.group(2))
            options[OPTION.match(match.group(1)).groups()] = default and default.group(1)
    return options


# ---- what the page says ----------------------------------------------------------------------


def plain(line):
    """A line of roff without its macro and escapes. What a macro alternates is one word."""
    macro = re.match(r"\.(?:B|I|BR|BI|RI|IR|RB|IB) (.*)", line)
    if macro:
        pieces = shlex.split(macro.group(1).replace("\\", "\\\\"))
        line = ("" if len(macro.group(0).split(" ", 1)[0]) == 3 else " ").join(pieces)
    return re.sub(r"\\f[BIRP]", "", line).replace("\\-", "-")


def section(page, title):
    match = re.search(rf"^\.SH {title}\n(.*?)(?=^\.SH |\Z)", page, re.M | re.S)
    return match.group(1) if match else ""


def options_of_page(page):
    """(short, long, argument) to the text below."""
    options = {}
    for entry in section(page, "OPTIONS").split(".TP\n")[1:]:
        tag, *text = entry.splitlines()
        match = OPTION.match(plain(tag))
        options[match.groups() if match else plain(tag)] = " ".join(map(plain, text))
    return options


def check_page(path, text, report):
    """The page and the text of --help. The number of options."""
    page = path.read_text(encoding="utf-8")
    usage = re.match(r"usage: (.*)", text).group(1)
    synopsis = " ".join(map(plain, section(page, "SYNOPSIS").splitlines()))
    if synopsis != usage:
        report.wrong(path.name, f"SYNOPSIS: {synopsis!r}, but --help: {usage!r}")
    said = options_of_help(text)
    described = options_of_page(page)
    for option in said.keys() ^ described.keys():
        report.wrong(path.name, f"{option} stands in one of OPTIONS and --help")
    for option in said.keys() & described.keys():
        default = re.search(r"\bdefault (\w+)", described[option])
        if (default and default.group(1)) != said[option]:
            report.wrong(path.name, f"{option}: another default than --help's {said[option]}")
    if shutil.which("groff") is not None:
        done = subprocess.run(["groff", "-man", "-ww", "-Tascii", "-z", str(path)], check=False,
                              capture_output=True, text=True)
        if done.returncode != 0 or done.stderr:
            report.wrong(path.name, done.stderr)
    return len(said)


def main():
    if len(sys.argv) < 2:
        print("usage: man.py SOURCE_DIR [CC]")
        return 2
    compilers = common.compilers()
    if not compilers:
        print("skipped: no compiler")
        return 77
    report = common.Report()
    programs = sorted((SOURCE / "tools").glob("*.c"))
    pages = {path.stem for path in (SOURCE / "tools").glob("*.1")}
    for name in pages ^ {program.stem for program in programs}:
        report.wrong(f"tools/{name}", "a program without a page, or a page without a program")
    n_options = 0
    for program in programs:
        page = program.with_suffix(".1")
        if page.is_file():
            with common.work_dir() as work:
                text = help_of(program, compilers[0], work)
            n_options += check_page(page, text, report)
    if n_options == 0:
        report.wrong("tools", "no options were found")
    return report.finish(f"{len(programs)} tools and {n_options} options have their pages")


if __name__ == "__main__":
    sys.exit(main())
