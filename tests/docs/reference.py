#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The API reference is complete, and the headers' comments speak of what is there.

In the headers:
- Every public function, macro, struct and enum has a comment, and so has every member and constant.
- Every parameter is described: in the comment ("name: text."), or by the table of names in
  docs/reference/mainpage.md, of which no row is superfluous.
- Every name in a comment is known where it stands: what stands in backticks, has an underscore or
  is one of the short names (len, off, dst, ...) is a parameter, a member of a parameter's struct,
  or a public name. "name: text." begins with parameters only.

In the built reference (skipped without Doxygen): it builds without a warning, and every one of
those things has a text in it; functions, macros, structs and enums have a man page, too.

usage: reference.py SOURCE_DIR      Status 0, 1, or 77.
"""
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as xml

sys.dont_write_bytecode = True  # the sources stay as they are
SOURCE = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()
sys.path[:0] = [str(SOURCE / "docs/reference"), str(SOURCE / "tests/build")]
import common
import filter as reference

# Words with an underscore that belong to C or to the system.
FOREIGN = {"size_t", "warn_unused_result", "__atomic", "F_SEAL"}
WORD = re.compile(r"`[^`]+`|[A-Za-z_]\w*(?:->\w+)*")


class Header:
    def __init__(self, name, path):
        self.name = name
        self.text = path.read_text(encoding="utf-8")
        self.items = [i for i in reference.items_of(self.text) if reference.is_public(i.name)]
        first = next(m for m in re.finditer(r"/\*.*?\*/", self.text, re.S)
                     if "SPDX" not in m.group(0))
        self.rows = reference.table_rows(first.group(0))

    def where(self, item):
        return f"{self.name}:{self.text.count(chr(10), 0, item.at) + 1}: {item.name}"


# ---- texts and parameters --------------------------------------------------------------------


def check_texts(headers, report):
    with_text = {item.name for header in headers for item in header.items if item.comment}
    for header in headers:
        for item in header.items:
            if item.name not in with_text:
                report.wrong(header.where(item), f"a {item.kind} without a comment")
            for member in item.members:
                said = member.comment or reference.shared_member(item.name, member.name,
                                                                 header.rows)
                if not said:
                    report.wrong(header.where(item), f"{member.name} has no comment")


def check_parameters(headers, report):
    table = reference.conventional()
    used = set()
    count = 0
    for header in headers:
        for item in header.items:
            described = reference.Docstring(item).parameters
            for name, kind in item.parameters:
                count += 1
                key = reference.convention(name, kind, table)
                if name in described:
                    continue
                if key:
                    used.add(key)
                elif item.kind != "macro" or item.comment:
                    report.wrong(header.where(item), f"the parameter {name} is not described")
    for name, kind in sorted(set(table) - used):
        report.wrong("docs/reference/mainpage.md", f"no parameter needs the row {name}, {kind}")
    return count


# ---- names -----------------------------------------------------------------------------------


class Structs:
    """The members of all structs, and which structs are reached from which."""

    def __init__(self, headers):
        self.members = {}
        self.inner = {}
        for header in headers:
            code = common.without_comments(header.text)
            for item in header.items:
                if item.kind == "struct":
                    self.members[item.name] = {member.name for member in item.members}
                    inside = code[item.at : item.end].split("{", 1)[1]
                    self.inner[item.name] = set(re.findall(r"struct (\w+)", inside))

    def every_member(self):
        return set().union(*self.members.values())

    def reached(self, tags):
        """The members of these structs, and of those in them."""
        found = set()
        done = set()
        left = set(tags)
        while left:
            tag = left.pop()
            done.add(tag)
            found |= self.members.get(tag, set())
            left |= self.inner.get(tag, set()) - done
        return found


def near_names(item, code, structs):
    """Names that a comment may use: parameters, members of their structs; in a struct or macro
    everything in it; and constants of the system that the body mentions."""
    found = {name for name, _ in item.parameters}
    found |= structs.reached(tag for _, kind in item.parameters
                             for tag in re.findall(r"struct (\w+)", kind))
    words = re.findall(r"\b[A-Za-z_]\w*", code[item.at : item.end])
    return found | {word for word in words if word.isupper() or item.kind != "function"}


def is_known(word, near, public, item):
    if word in near or word in public or word in FOREIGN or f"CROSSVM_{word}" in public:
        return True
    if f"CROSSVM_KIND_{word}" in public or word.startswith("_"):
        return True
    if word.endswith("_") and any(name.startswith(word) for name in public):
        return True  # crossvm_spsc_tx_*
    return any(word.startswith(f"{name}_") for name, kind in item.parameters if kind == "macro")


def check_names(comment, item, where, near, every, public, report):
    for sentence in reference.sentences(comment):
        begins = re.match(r"([a-z]\w*(?:(?:, | and )[a-z]\w*)*): ", sentence)
        names = re.findall(r"\w+", begins.group(1).replace(" and ", ", ")) if begins else []
        for name in names:
            if item.kind in ("function", "macro") and name not in dict(item.parameters):
                report.wrong(where, f'"{name}: ..." describes no parameter')
    for match in WORD.finditer(comment):
        word = match.group(0)
        quoted = word.startswith("`")
        parts = word.strip("`").split("->")
        if quoted and not re.fullmatch(r"[A-Za-z_]\w*(->\w+)*", word.strip("`")):
            continue  # a piece of code or a pattern
        if len(parts) > 1:
            unknown = parts[0] not in near or any(part not in every for part in parts[1:])
        else:
            looks = quoted or "_" in word or word in reference.SHORT_NAMES
            unknown = looks and not is_known(parts[0], near, public, item)
        if unknown:
            report.wrong(where, f"speaks of {word.strip('`')}, which is not there")


def check_all_names(headers, report):
    structs = Structs(headers)
    every = structs.every_member()
    public = set()
    for header in headers:
        code = common.without_comments(header.text)
        public |= set(re.findall(r"\b(?:crossvm|CROSSVM)_\w+", code))
    for header in headers:
        code = common.without_comments(header.text)
        for item in header.items:
            near = near_names(item, code, structs)
            where = header.where(item)
            check_names(item.comment, item, where, near, every, public, report)
            for member in item.members:
                check_names(member.comment, item, where, near | every, every, public, report)


# ---- the built reference ---------------------------------------------------------------------


def words_of(element):
    return "".join(element.itertext()).strip() if element is not None else ""


def texts_of(folder):
    """What Doxygen wrote: a name to whether it has a text; members as struct.member."""
    found = {}

    def note(name, element):
        said = words_of(element.find("briefdescription")) or words_of(
            element.find("detaileddescription"))
        found[name] = found.get(name, False) or bool(said)

    for path in folder.glob("*.xml"):
        for compound in xml.parse(path).getroot().iter("compounddef"):
            if compound.get("kind") not in ("group", "struct"):
                continue
            owner = words_of(compound.find("compoundname"))
            if compound.get("kind") == "struct":
                note(owner, compound)
            for member in compound.iter("memberdef"):
                name = words_of(member.find("name"))
                note(f"{owner}.{name}" if compound.get("kind") == "struct" else name, member)
                for value in member.iter("enumvalue"):
                    note(words_of(value.find("name")), value)
    return found


def check_reference(headers, report):
    with tempfile.TemporaryDirectory(prefix="crossvm-reference-") as work:
        done = subprocess.run([sys.executable, str(SOURCE / "docs/reference/build.py"), work,
                               "--xml"], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            report.wrong("docs/reference/build.py", f"status {done.returncode}\n{done.stdout}"
                         f"{done.stderr}")
            return 0
        texts = texts_of(pathlib.Path(work) / "xml")
        pages = {path.stem for path in (pathlib.Path(work) / "man/man3").iterdir()}
    count = 0
    for header in headers:
        label = "crossvm-" + re.sub(r"\W", "-", header.name[:-2])
        for needed in (label, *(item.name for item in header.items if item.kind != "constant")):
            if needed not in pages:
                report.wrong(header.name, f"{needed} has no man page")
        for item in header.items:
            names = [item.name]
            if item.kind == "enum":
                names += [member.name for member in item.members]
            elif item.kind == "struct":
                names += [f"{item.name}.{member.name}" for member in item.members]
            for name in names:
                count += 1
                if not texts.get(name):
                    how = "without a text" if name in texts else "missing"
                    report.wrong(header.where(item), f"{name} is {how} in the reference")
    return count


def main():
    if len(sys.argv) < 2:
        print("usage: reference.py SOURCE_DIR")
        return 2
    report = common.Report()
    headers = [Header(name, path) for name, path in common.headers(SOURCE)]
    check_texts(headers, report)
    parameters = check_parameters(headers, report)
    check_all_names(headers, report)
    items = sum(len(header.items) for header in headers)
    if items < 100 or parameters < 100:
        report.wrong("include/crossvm", "declarations were not found")
    summary = f"{items} public things and {parameters} parameters are described"
    if shutil.which("doxygen") is None:
        status = report.finish(summary)
        print("skipped: no Doxygen, the reference itself was not built")
        return status or 77
    count = check_reference(headers, report)
    return report.finish(f"{summary}, and {count} texts stand in the reference")


if __name__ == "__main__":
    sys.exit(main())
