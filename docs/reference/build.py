#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Builds the API reference from the headers' comments: HTML and man pages. Needs Doxygen.

    python3 docs/reference/build.py [OUT] [--xml]

OUT (default: build/reference) gets html/index.html and man/man3, with a page for each header
(crossvm-spsc), struct, function and macro (man -l OUT/man/man3/crossvm_spsc_tx_push.3); with --xml
also xml/, Doxygen's description for programs. Status 0, 1 with Doxygen's warnings, or 2.
"""
import pathlib
import re
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parent.parent


def version():
    text = (TOP / "include/crossvm/version.h").read_text(encoding="utf-8")
    return re.search(r'CROSSVM_VERSION_STRING "([^"]+)"', text).group(1)


def run_doxygen(out, with_xml):
    """Whether Doxygen was content."""
    settings = (HERE / "Doxyfile").read_text(encoding="utf-8")
    settings += f'\nOUTPUT_DIRECTORY = "{out}"\nPROJECT_NUMBER = {version()}\n'
    settings += f"GENERATE_XML = {'YES' if with_xml else 'NO'}\n"
    done = subprocess.run(["doxygen", "-"], input=settings, text=True, cwd=TOP, check=False)
    return done.returncode == 0


# ---- man pages: Doxygen writes one a header; each call and struct gets its own ------------------


def sections(page):
    """A page's parts: pairs of heading and text."""
    parts = re.split(r"^\.SH (.*)\n", page, flags=re.M)
    return list(zip((name.strip('"') for name in parts[1::2]), parts[2::2]))


def entries(page):
    """What a header's page describes: pairs of declaration and text."""
    found = []
    for heading, text in sections(page):
        if heading.startswith("struct "):
            found.append((heading, text))
        elif heading == "Field Documentation":  # of the struct in front of it
            found[-1] = (found[-1][0], found[-1][1] + text)
        elif heading.endswith("Documentation") and not heading.startswith("Data Structure"):
            parts = re.split(r'^\.SS "(.*)"\n', text, flags=re.M)
            found += zip(parts[1::2], parts[2::2])
    return found


def plain(words):
    return re.sub(r"\\f[A-Z]|\\&", "", words).strip()


def first_sentence(text):
    lines = plain(text).splitlines()
    words = next((line for line in lines if line.strip() and not line.startswith(".")), "")
    return re.split(r"\.(?: |$)", words)[0].strip()


def wrapped(declaration):
    """A declaration as it is read best: one parameter a line when it is long."""
    declaration = re.sub(r"\* (?=\w)", "*", declaration.replace(" (", "("))
    if len(declaration) <= 72 or "(" not in declaration:
        return declaration
    head, inside = declaration.split("(", 1)
    return f"{head}(\n    " + ",\n    ".join(part.strip() for part in inside.split(","))


def man_page(name, declaration, text, header):
    page = f"crossvm-{header[:-2].replace('/', '-')}"
    end = "" if declaration.startswith("#") or declaration.endswith(";") else ";"
    return "\n".join([
        f'.TH "{name}" 3 "" "crossvm {version()}" "crossvm"', ".ad l", ".nh",
        ".SH NAME", f"{name} \\- {first_sentence(text)}",
        ".SH SYNOPSIS", ".nf", f"\\fB#include <crossvm/{header}>\\fP", "",
        "\n".join(f"\\fB{line}\\fP" for line in (wrapped(declaration) + end).split("\n")),
        ".fi", ".SH DESCRIPTION", text.strip(), ".SH SEE ALSO", f"\\fB{page}\\fP(3)", ""])


def split_man(folder):
    """Writes the single pages; answers their number."""
    count = 0
    for path in sorted(folder.glob("crossvm-*.3")):
        page = path.read_text(encoding="utf-8")
        title = re.search(r"^(crossvm-\S+) \\- crossvm/(\S+\.h)\n\.PP\n ", page, re.M)
        header = plain(title.group(2))
        page = page.replace(title.group(0), title.group(1) + " ")
        path.write_text(page, encoding="utf-8")
        for declaration, text in entries(page):
            declaration = plain(declaration)
            name = re.search(r"(\w+) ?\(", declaration) or re.search(
                r"^(?:struct|enum|#define) (\w+)", declaration)
            if name is None:
                raise SystemExit(f"build.py: {path.name}: not understood: {declaration}")
            one = man_page(name.group(1), declaration, text, header)
            (folder / f"{name.group(1)}.3").write_text(one, encoding="utf-8")
            count += 1
    return count


def main():
    arguments = [a for a in sys.argv[1:] if a != "--xml"]
    if len(arguments) > 1 or any(a.startswith("-") for a in arguments):
        print("usage: build.py [OUT] [--xml]: expected at most one directory", file=sys.stderr)
        return 2
    if shutil.which("doxygen") is None:
        print("build.py: doxygen: expected it to be installed", file=sys.stderr)
        return 2
    out = pathlib.Path(arguments[0] if arguments else TOP / "build/reference").resolve()
    out.mkdir(parents=True, exist_ok=True)
    if not run_doxygen(out, "--xml" in sys.argv):
        return 1
    count = split_man(out / "man/man3")
    print(f"{out}/html/index.html and {count} pages in {out}/man/man3")
    return 0


if __name__ == "__main__":
    sys.exit(main())
