# SPDX-License-Identifier: Apache-2.0
"""Holds every loop of layers 0 to 5 to its row in loops.txt, which names what bounds it.

    python3 check_loops.py SOURCE_DIR

No byte that a peer writes decides how often a loop turns. A row is the loop's head as it stands in
the code, below its header and function (or macro), and below it the bound, one of

    CROSSVM_NAME                        a macro of the headers
    sizeof NAME                         as many as an object has
    argument NAME                       the caller's own
    private FIELD <= CROSSVM_LIMIT      a handle's, judged against the limit
    deadline NAME                       of a service: each turn ends when it has passed

A macro or a sizeof stands in the loop, the others in its function; or ", in FUNCTION" says where:
one that calls this one or is called by it, or for an argument the one that took it. A loop without
a row, a row without a loop, a goto, and a function that calls itself are all wrong.
"""
import re
import sys

sys.dont_write_bytecode = True  # the sources stay as they are
import check_layers
import common

TABLE = "tests/build/loops.txt"
WORDS = re.compile(r"\b(?:for|while|do|goto)\b")


class Code:
    """A function or a macro: its name, its text, and the same without strings."""

    def __init__(self, header, name, text):
        self.header = header
        self.name = name
        self.text = common.without_only_comments(text)
        self.code = common.without_comments(text)

    def parameters(self):
        found = re.search(rf"\b{self.name}\s*\(", self.code)
        if not found:
            return set()
        inside = self.code[found.end() : common._closing(self.code, found.end() - 1)]
        return {name for part in inside.split(",")
                for name in re.findall(r"(\w+)\s*(?:\[[^]]*\]\s*)?$", part.strip())}

    def has(self, word):
        return re.search(rf"\b{word}\b", self.code) is not None

    def calls(self, name):
        body = self.code[self.code.find(")") :]
        return re.search(rf"\b{name}\s*\(", body) is not None


class Loop:
    def __init__(self, owner, head, body):
        self.owner = owner
        self.head = head
        self.body = body


def loops_of(owner):
    """The loops of a function or a macro, in their order. `do { } while (0)` is none."""
    found = []
    ends_of_do = set()
    for match in WORDS.finditer(owner.code):
        at = match.start()
        if at in ends_of_do:
            continue
        if match.group(0) == "goto":
            end = owner.code.find(";", at)
            found.append(Loop(owner, owner.text[at:end], ""))
            continue
        begin = at
        if match.group(0) == "do":
            at = owner.code.find("while", common._closing(owner.code, owner.code.find("{", at)))
            ends_of_do.add(at)
        end = common._closing(owner.code, owner.code.find("(", at)) + 1
        head = " ".join(owner.text[at:end].replace("\\\n", " ").split())
        if at != begin:
            if head == "while (0)":
                continue
            found.append(Loop(owner, f"do {head}", owner.code[begin:end]))
            continue
        brace = owner.code.find("{", end)
        last = common._closing(owner.code, brace) if brace >= 0 else end
        found.append(Loop(owner, head, owner.code[begin:last]))
    return found


def owners_in(header, text):
    """The functions of a header, and its macros."""
    blanked = common.without_comments(text)
    for function in common.functions(text):
        yield Code(header, function.name, common.without_directives(function.text))
    for match in re.finditer(r"^[ \t]*#(?:[^\n\\]|\\.|\\\n)*", blanked, re.M):
        define = re.match(r"[ \t]*#[ \t]*define[ \t]+(\w+)", match.group(0))
        if define:
            yield Code(header, define.group(1), text[match.start() : match.end()])


def n_words(code):
    return len(WORDS.findall(code))


def table_of(text):
    """Rows: (header, function), head, bound; by their depth in the file."""
    rows = []
    owner = head = None
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        depth = len(line) - len(line.lstrip())
        if depth == 0:
            owner = tuple(line.split())
        elif depth == 2:
            head = line.strip()
        else:
            rows.append((f"{TABLE}:{number}", owner, head, line.strip()))
    return rows


class Judge:
    def __init__(self, owners, texts):
        self.owners = owners
        self.fields = {field for text in texts for kind, tag, body in common.tags(text)
                       if kind == "struct" and not tag.endswith("_shm")
                       for field in re.findall(r"(\w+)\s*(?:\[[^]]*\])?;", body)}
        self.macros = {owner.name for owner in owners if not common.functions(owner.text)}

    def place(self, loop, kind, name):
        """Where the bound has to stand, and the parameters there."""
        is_argument = kind in ("argument", "deadline")
        if name is None:
            text = loop.owner.code if is_argument or kind == "private" else loop.body
            return text, loop.owner.parameters()
        others = [other for other in self.owners if other.name == name]
        if not others:
            return None, set()
        other = others[0]
        if not is_argument and not loop.owner.calls(name) and not other.calls(loop.owner.name):
            return None, set()
        return other.code, other.parameters()

    def is_limit(self, name):
        """A macro that the code uses somewhere, not only defines."""
        return name in self.macros and any(owner.has(name) and owner.name != name
                                           for owner in self.owners)

    def wrong_with(self, loop, row):
        """What is wrong with a loop's bound, or None."""
        match = re.fullmatch(r"(.*?)(?:, in (\w+))?", row)
        bound, name = match.groups()
        words = bound.split()
        text, parameters = self.place(loop, words[0], name)
        if text is None:
            return f"{name} neither calls it nor is called by it"
        stands = words[1] if len(words) > 1 else words[0]
        if not re.search(rf"\b{stands}\b", text):
            return f"{stands} does not stand there"
        if len(words) == 1:
            return None if self.is_limit(stands) else f"{stands} is no macro of the headers"
        if words[0] == "sizeof" and len(words) == 2:
            return None if re.search(rf"sizeof\(\s*{stands}\b", text) else "no sizeof"
        if words[0] in ("argument", "deadline") and len(words) == 2:
            if words[0] == "deadline" and not loop.owner.header.startswith("service/"):
                return "only services wait"
            return None if stands in parameters else f"{stands} is no parameter there"
        if words[0] == "private" and len(words) == 4 and words[2] in ("<", "<="):
            if stands not in self.fields:
                return f"{stands} is no member of a private struct"
            return None if self.is_limit(words[3]) else f"{words[3]} is no limit of the headers"
        return "no such kind of bound"


def main():
    source = common.source_dir()
    report = common.Report()
    owners = []
    texts = []
    for name, path in common.headers(source):
        if check_layers.LAYERS.get(name, (0,))[0] == check_layers.BACKENDS:
            continue
        text = path.read_text(encoding="utf-8")
        mine = list(owners_in(name, text))
        if sum(n_words(owner.code) for owner in mine) != n_words(common.without_comments(text)):
            report.wrong(name, "a loop outside every function and macro")
        owners += mine
        texts.append(text)
    for name, path in common.cxx_headers(source):
        if not name.startswith("backend/") and n_words(
                common.without_comments(path.read_text(encoding="utf-8"))):
            report.wrong(name, "a loop: write it in C, where it has its row")
    loops = [loop for owner in owners for loop in loops_of(owner)]
    rows = table_of((source / TABLE).read_text(encoding="utf-8"))
    judge = Judge(owners, texts)
    left = list(rows)
    for loop in loops:
        where = f"{loop.owner.header}, {loop.owner.name}"
        if loop.head.startswith("goto"):
            report.wrong(where, f"{loop.head}: a loop that has no head")
            continue
        key = (loop.owner.header, loop.owner.name)
        row = next((row for row in left if row[1:3] == (key, loop.head)), None)
        if row is None:
            report.wrong(where, f"no row of {TABLE} says what bounds: {loop.head}")
            continue
        left.remove(row)
        wrong = judge.wrong_with(loop, row[3])
        if wrong:
            report.wrong(row[0], f"{where}: {row[3]}: {wrong}")
    for where, owner, head, _ in left:
        report.wrong(where, f"no such loop in {' '.join(owner)}: {head}")
    for owner in owners:
        if owner.name not in judge.macros and owner.calls(owner.name):
            report.wrong(f"{owner.header}, {owner.name}", "calls itself")
    return report.finish(f"{len(loops)} loops, each with its bound")


if __name__ == "__main__":
    sys.exit(main())
