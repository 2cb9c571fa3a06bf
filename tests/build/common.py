# SPDX-License-Identifier: Apache-2.0
"""What the checks of sources and documents share: finding headers, reading C well enough to know
functions, structs and comments apart, reading tables, and saying what was found.

As a program: `python3 common.py functions FILE` prints the crossvm_ functions that FILE defines.
"""
import pathlib
import re
import shutil
import sys
import tempfile


class Report:
    """Collects problems; finish() prints them and answers the program's exit status."""

    def __init__(self):
        self.problems = []

    def wrong(self, where, what):
        self.problems.append(f"{where}: {what}")

    def finish(self, summary):
        for problem in self.problems:
            print(problem)
        if self.problems:
            print(f"{len(self.problems)} problems")
            return 1
        print(summary)
        return 0


def source_dir():
    if len(sys.argv) < 2:
        print(f"usage: {pathlib.Path(sys.argv[0]).name} SOURCE_DIR [CC]")
        sys.exit(2)
    return pathlib.Path(sys.argv[1]).resolve()


def compilers():
    """The compiler that was named, or cc, and clang beside it where there is one."""
    first = sys.argv[2] if len(sys.argv) > 2 else "cc"
    found = [first] if shutil.which(first) else []
    if "clang" not in pathlib.Path(first).name and shutil.which("clang"):
        found.append("clang")
    return found


def work_dir():
    """A directory of our own, which goes with the object."""
    return tempfile.TemporaryDirectory(prefix="crossvm-check-")


def headers(source):
    """Pairs of a header's name below include/crossvm and its path."""
    top = source / "include" / "crossvm"
    return [(path.relative_to(top).as_posix(), path) for path in sorted(top.rglob("*.h"))]


def cxx_headers(source):
    """The same for the headers that are C++ alone."""
    top = source / "include" / "crossvm"
    return [(path.relative_to(top).as_posix(), path) for path in sorted(top.rglob("*.hpp"))]


# ---- C text ----------------------------------------------------------------------------------

_TOKEN = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
_DIRECTIVE = re.compile(r"^[ \t]*#(?:[^\n\\]|\\.|\\\n)*", re.M)


def _blank(match):
    return re.sub(r"[^\n]", " ", match.group(0))


def without_comments(text):
    """The text with comments, strings and characters blanked; every line keeps its number."""
    return _TOKEN.sub(_blank, text)


def without_only_comments(text):
    """The text with comments blanked, strings and characters kept."""
    return _TOKEN.sub(lambda m: _blank(m) if m.group(0).startswith("/") else m.group(0), text)


def only_comments(text):
    """The text of the comments alone; every line keeps its number."""
    out = list(re.sub(r"[^\n]", " ", text))
    for match in _TOKEN.finditer(text):
        if match.group(0).startswith("/"):
            out[match.start() : match.end()] = match.group(0)
    return "".join(out)


def without_directives(text):
    return _DIRECTIVE.sub(_blank, text)


def first_comment(text):
    """The first comment behind the licence line, without its stars."""
    found = [m.group(0) for m in _TOKEN.finditer(text) if m.group(0).startswith("/*")]
    found = [c for c in found if "SPDX" not in c]
    return plain_comment(found[0]) if found else ""


def plain_comment(comment):
    lines = comment.strip()[2:-2].splitlines()
    return "\n".join(re.sub(r"^ ?\* ?", "", line) if line.lstrip().startswith("*") else line
                     for line in lines)


class Function:
    def __init__(self, name, lines, comment, text, body):
        self.name = name
        self.line, self.last_line = lines
        self.comment = comment  # directly above, else ""
        self.text = text  # raw: comment, declaration and body
        self.body = body  # without comments


def _closing(code, at):
    """The index of the bracket that closes the one at `at`."""
    pairs = {"(": ")", "{": "}"}
    depth = 0
    for i in range(at, len(code)):
        if code[i] == code[at]:
            depth += 1
        elif code[i] == pairs[code[at]]:
            depth -= 1
            if depth == 0:
                return i
    return len(code) - 1


def top_level_blocks(code):
    """Where the blocks in braces begin and end, those inside others left out; and what follows the
    last one, if that is more than blanks."""
    found = []
    at = code.find("{")
    while at >= 0:
        end = _closing(code, at)
        found.append((at, end))
        at = code.find("{", end)
    if found and code[found[-1][1] + 1 :].strip():
        found.append((found[-1][1] + 1, len(code)))
    return found


def _without_attributes(code):
    found = re.search(r"__attribute__\s*\(", code)
    while found:
        end = _closing(code, found.end() - 1) + 1
        code = code[: found.start()] + re.sub(r"[^\n]", " ", code[found.start() : end]) + code[end:]
        found = re.search(r"__attribute__\s*\(", code)
    return code


def _comment_above(text, start):
    """The comment that ends on the line above `start`: where it begins, and its text."""
    above = text[:start].rstrip(" \t")
    if not above.endswith("*/\n"):
        return start, ""
    begin = above.rfind("/*")
    return begin, plain_comment(above[begin:].strip())


def functions(text):
    """The functions that a C text defines at its top level, in their order."""
    code = without_directives(without_comments(text))
    code = re.sub(r"\bCROSSVM_EXTERN_C_(?:BEGIN|END)\b", lambda m: " " * len(m.group(0)), code)
    code = _without_attributes(code)
    found = []
    begin = 0
    at = 0
    while at < len(code):
        if code[at] == ";":
            begin = at + 1
        elif code[at] == "(":
            at = _closing(code, at)
        elif code[at] == "{":
            end = _closing(code, at)
            head = code[begin:at]
            name = re.search(r"(\w+)\s*\((?:[^()]|\([^()]*\))*\)\s*$", head)
            if name:
                start = begin + len(head) - len(head.lstrip())
                from_comment, comment = _comment_above(text, start)
                lines = (text.count("\n", 0, start) + 1, text.count("\n", 0, end) + 1)
                found.append(Function(name.group(1), lines, comment,
                                      text[from_comment : end + 1], code[at : end + 1]))
                begin = end + 1
            at = end
        at += 1
    return found


def tags(text):
    """Struct, union and enum definitions: kind, tag and body, in their order."""
    code = _without_attributes(without_directives(without_comments(text)))
    found = []
    for match in re.finditer(r"\b(struct|union|enum)\s+(\w+)\s*\{", code):
        end = _closing(code, match.end() - 1)
        found.append((match.group(1), match.group(2), code[match.end() : end]))
    return found


def enumerators(body):
    return re.findall(r"(?:^|,)\s*(\w+)", body)


# ---- documents -------------------------------------------------------------------------------


def markdown_tables(text):
    """Tables of a document: the text in front of each since the one before, and its rows."""
    found = []
    before = []
    rows = []
    for line in text.splitlines() + [""]:
        if line.startswith("|"):
            cells = re.split(r"(?<!\\)\|", line.strip().strip("|"))
            rows.append([cell.strip().replace("\\|", "|") for cell in cells])
            continue
        if rows:
            found.append(("\n".join(before), rows[0], rows[2:]))
            before = []
            rows = []
        before.append(line)
    return found


def code_blocks(text, language):
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.S | re.M)


def main():
    if len(sys.argv) != 3 or sys.argv[1] != "functions":
        print("usage: common.py functions FILE")
        return 2
    text = pathlib.Path(sys.argv[2]).read_text(encoding="utf-8")
    for function in functions(text):
        if function.name.startswith("crossvm_"):
            print(function.name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
