#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Doxygen's input filter: writes a header with its plain comments turned into Doxygen's.

    python3 filter.py HEADER|mainpage.md

- The first comment becomes the header's page, in the group of its layer; indented blocks (tables of
  bytes, ordering edges) are kept as they stand.
- The comment above a public function, struct, enum or macro becomes its text, those beside members,
  enumerators and constants theirs. Members of shared structs take theirs from the table of bytes.
- Parameters are described by "name: text." in the comment, or by the table of names in mainpage.md.
- Internals (crossvm_i_, CROSSVM_I_), function bodies and assertions are left out.

Every declaration keeps its line.
"""
import pathlib
import re
import sys

sys.dont_write_bytecode = True  # the sources stay as they are
HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parent.parent
sys.path.insert(0, str(TOP / "tests/build"))
import common

# Words of the comments that are names although they have no underscore.
SHORT_NAMES = {"len", "off", "dst", "src", "elem", "elems", "fd", "fds", "n", "i", "lo", "hi"}
PROGRESS = ("Wait-free", "Blocks", "Never blocks", "Bounded", "Pure")


# ---- reading a header ------------------------------------------------------------------------


class Item:
    """A public declaration: where its comment and its text begin and end, and what they are."""

    def __init__(self, kind, name, comment_at, at, end):
        self.kind = kind  # function, macro, constant, struct, enum
        self.name = name
        self.comment_at = comment_at  # at when there is none
        self.at = at
        self.end = end
        self.comment = ""
        self.parameters = []  # pairs of name and type
        self.members = []  # of structs and enums


class Member:
    """A member of a struct or an enumerator, with the comment beside or above it."""

    def __init__(self, name, comment, span, is_above):
        self.name = name
        self.comment = comment
        self.span = span  # of the comment in the header's text
        self.is_above = is_above


def joined(comment):
    """A comment's words on one line."""
    words = re.sub(r"^\s*/\*+|\*+/\s*$", "", comment.strip())
    return re.sub(r"\s+", " ", re.sub(r"\n[ \t]*\*", "\n", words)).strip()


def comment_before(text, at):
    """Where the comment begins that ends on the line above, else at."""
    above = text[:at].rstrip(" \t")
    if not above.endswith("*/\n"):
        return at
    begin = above.rfind("/*")
    if above[above.rfind("\n", 0, begin) + 1 : begin].strip():
        return at  # beside something else
    return at if re.match(r"/\* ----|/\* SPDX", above[begin:]) else begin


def parameters_of(head):
    """Names and types of a function's parameters."""
    inside = re.search(r"\w+\s*\(((?:[^()]|\([^()]*\))*)\)\s*$", head).group(1)
    found = []
    for declared in inside.split(","):
        match = re.fullmatch(r"(.*?)(\w+)", " ".join(declared.split()))
        if match and match.group(1):
            found.append((match.group(2), match.group(1).strip()))
    return found


def members_of(text, code, item):
    """Members or enumerators, each with its comment: beside it, or above when none is beside it."""
    begin = code.index("{", item.at) + 1
    above = None
    for match in re.finditer(r"[^\n]*\n", text[begin : item.end]):
        line_at = begin + match.start()
        line = code[line_at : begin + match.end()]
        comment = re.search(r"/\*.*?\*/", text[line_at : item.end], re.S)
        starts_here = comment and comment.start() < len(line)
        span = (line_at + comment.start(), line_at + comment.end()) if starts_here else None
        if not line.strip():
            if starts_here:
                above = span
            continue
        name = member_name(line, item.kind)
        if name is None:
            continue
        beside = span or above
        words = joined(text[beside[0] : beside[1]]) if beside else ""
        item.members.append(Member(name, words, beside, span is None))
        above = None


def member_name(line, kind):
    if kind == "enum":
        match = re.match(r"\s*(\w+)\s*(?:=[^,]*)?,?\s*$", line)
    else:
        match = re.search(r"\(\*(\w+)\)\(", line) or re.search(r"(\w+)(?:\[\w+\])*;", line)
    return match.group(1) if match else None


def items_of(text):
    """The declarations of a header, in their order; internal ones, too."""
    code = common.without_comments(text)
    found = []
    for function in common.functions(text):
        comment_at = text.index(function.text)
        at = comment_at
        if function.comment:
            at = text.index("*/\n", comment_at) + 3
        item = Item("function", function.name, comment_at, at, comment_at + len(function.text))
        item.parameters = parameters_of(code[at : code.index("{", at)])
        found.append(item)
    inside = [(item.at, item.end) for item in found]
    bare = common.without_directives(code)
    for match in re.finditer(r"^void (\w+)\([^;{]*\);", bare, re.M):
        item = Item("function", match.group(1), comment_before(text, match.start()), match.start(),
                    match.end())
        item.parameters = parameters_of(match.group(0)[:-1])
        found.append(item)
    for match in re.finditer(r"^(struct|enum) (?:__attribute__\(\(\w+\)\) )?(\w+) \{.*?^\};", bare,
                             re.M | re.S):
        item = Item(match.group(1), match.group(2), comment_before(text, match.start()),
                    match.start(), match.end())
        members_of(text, bare, item)
        found.append(item)
    for match in re.finditer(r"^#define (\w+)(\([^)]*\))?(?:[^\n\\]|\\.|\\\n)*", code, re.M):
        if any(a <= match.start() < b for a, b in inside) or match.group(1).endswith("_H"):
            continue
        kind = "macro" if match.group(2) else "constant"
        item = Item(kind, match.group(1), comment_before(text, match.start()), match.start(),
                    match.end())
        names = re.findall(r"\w+", match.group(2) or "")
        item.parameters = [(name, "macro") for name in names]
        found.append(item)
    for item in found:
        item.comment = joined(text[item.comment_at : item.at]) if item.comment_at < item.at else ""
        beside = re.search(r"/\*.*?\*/", text[item.at : item.end].split("\n")[0])
        if item.kind == "constant" and beside:
            item.comment = joined(beside.group(0))
    return sorted(found, key=lambda item: item.at)


def is_public(name):
    return re.match(r"crossvm_(?!i_)|CROSSVM_(?!I_)", name) is not None


# ---- a comment's words -----------------------------------------------------------------------


def statuses():
    text = (TOP / "include/crossvm/status.h").read_text(encoding="utf-8")
    body = next(body for _, tag, body in common.tags(text) if tag == "crossvm_status")
    return [name[len("CROSSVM_"):] for name in common.enumerators(body)]


STATUSES = statuses()
STATUS = r"\b(?:" + "|".join(STATUSES) + r")\b"


def sentences(words):
    """Sentences, with the brackets in them whole."""
    found = []
    begin = 0
    for match in re.finditer(r"\.\)?(?: |$)", words):
        part = words[begin : match.end()]
        if part.count("(") > part.count(")"):
            continue
        found.append(part.strip())
        begin = match.end()
    if words[begin:].strip():
        found.append(words[begin:].strip())
    return found


def described(sentence, names):
    """The parameters that a sentence "a, b: text" describes, and the text; else none."""
    match = re.match(r"([a-z_`]\w*`?(?:(?:, | and )`?[a-z_]\w*`?)*): (.*)", sentence)
    if not match:
        return [], ""
    said = re.findall(r"\w+", match.group(1).replace(" and ", ", "))
    return (said, match.group(2)) if set(said) <= set(names) else ([], "")


class Docstring:
    """A comment in its parts: the text, role and so on, answers, and parameters."""

    def __init__(self, item):
        self.text = []
        self.sections = []  # pairs of label and text
        self.answers = []
        self.parameters = {}
        names = [name for name, _ in item.parameters]
        for sentence in sentences(item.comment):
            self._take(sentence, names)

    def _section(self, label, words):
        for section in self.sections:
            if section[0] == label:
                section[1].append(words)
                return
        self.sections.append((label, [words]))

    def _take(self, sentence, names):
        said, words = described(sentence, names)
        label = re.match(r"(Role|Progress|Trust): (.*)", sentence)
        if said:
            self.parameters.update((name, words) for name in said)
        elif label:
            self._section(label.group(1), label.group(2))
        elif sentence.startswith(PROGRESS):
            self._section("Progress", sentence)
        elif self._is_answer(sentence):
            self.answers += [part.strip() for part in sentence.rstrip(".").split(";")]
        elif self.answers:
            self.answers.append(sentence.rstrip("."))
        elif self.sections and self.text:
            self.sections[-1][1].append(sentence)
        else:
            self.text.append(sentence)

    @staticmethod
    def _is_answer(sentence):
        return re.match(rf"{STATUS}|[01] |Statuses", sentence) or (
            re.search(rf"; {STATUS}", sentence) and not sentence.startswith("Role, "))


# ---- writing Doxygen -------------------------------------------------------------------------


def escaped(words):
    words = words.replace("\\", "\\\\").replace("&", "&amp;")
    words = words.replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([@#*$%\[\]])", r"\\\1", words)


def marked(words, names=(), known=()):
    """Words with their names set in a fixed font, and public ones linked."""

    def one(match):
        word = match.group(0).strip("`")
        if word in known:
            return f'@ref {word} "{word}"'
        if word in STATUSES and match.group(0) == word:
            return f'@ref CROSSVM_{word} "{word}"'
        is_name = word in names and ("_" in word or word in SHORT_NAMES)
        if match.group(0) != word or "->" in word or is_name:
            return f"<tt>{escaped(word)}</tt>"
        return escaped(word)

    out = []
    at = 0
    for match in re.finditer(r"`[^`]+`|\w+(?:->\w+)*", words):
        out.append(escaped(words[at : match.start()]))
        out.append(one(match))
        at = match.end()
    return "".join(out) + escaped(words[at:])


def conventional():
    """The names that mean the same everywhere: (name, type without const) to a meaning."""
    found = {}
    text = (HERE / "mainpage.md").read_text(encoding="utf-8")
    for _, head, rows in common.markdown_tables(text):
        if head == ["parameter", "type", "meaning"]:
            for name, kind, meaning in rows:
                found[(name.strip("`"), kind.strip("`"))] = meaning
    return found


def convention(name, kind, table):
    """The table's key for a parameter, else None. A type without const is for both."""
    for key in ((name, kind), (name, re.sub(r"^const ", "", kind))):
        if key in table:
            return key
    return None


def spelled_out(words, name, known):
    """Words in which "as push" says the whole name of the function that is meant."""

    def one(match):
        parts = name.split("_")
        for count in range(len(parts) - 1, 1, -1):
            whole = "_".join([*parts[:count], match.group(1)])
            if whole in known:
                return f"as {whole}"
        return match.group(0)

    return re.sub(r"\bas (\w+)", one, words)


def written(item, known, table):
    """The Doxygen text of a function, struct, enum or macro, on one line."""
    item.comment = spelled_out(item.comment, item.name, known)
    names = [name for name, _ in item.parameters]
    known = known - {item.name}
    parts = Docstring(item)
    out = [marked(" ".join(parts.text), names, known)]
    for name, kind in item.parameters:
        words = parts.parameters.get(name)
        key = convention(name, kind, table)
        if words is not None:
            out.append(f"@param {name} {marked(words, names, known)}")
        elif key:
            out.append(f"@param {name} {marked(table[key], names, known)}")
    for label, words in parts.sections:
        said = " ".join(words)
        out.append(f"@section_{label.lower()} {marked(said[0].upper() + said[1:], names, known)}")
    if parts.answers:
        out.append("@section_answers " + " ".join("@li " + marked(words, names, known)
                                                  for words in parts.answers))
    return " ".join(out)


def page(comment, name, known):
    """The first comment as the page of its header; it takes the licence's line, too."""
    lines = comment.split("\n")
    words = joined(comment)
    layer = re.search(r"\bLayer (\d)", words)
    label = "crossvm-" + re.sub(r"\W", "-", name[:-2])
    out = [f"/** @defgroup {label} crossvm/{name}"]
    block = False
    for number, line in enumerate(lines):
        inner = re.sub(r"^ ?\*/?|\*/$", "", line).rstrip() if number else ""
        indented = inner.startswith("   ")
        if number == 0:
            out.append(f"@ingroup layer{layer.group(1)}" if layer else "")
        elif number == len(lines) - 1:
            out.append((" @endverbatim " if block else "") + f"@{{ */")
        elif not inner and block != next_indented(lines, number):
            out.append("@endverbatim" if block else "@verbatim")
            block = not block
        elif block or indented:
            if not block:
                raise SystemExit(f"filter.py: {name}: a block without an empty line: {inner}")
            out.append(inner)
        else:
            inner = re.sub(rf"^ crossvm/{re.escape(name)} - ", " @brief ", inner)
            out.append("@brief " + marked(inner[8:], (), known) if inner.startswith(" @brief ")
                       else marked(inner, (), known))
    return "\n".join(out)


def next_indented(lines, number):
    """Whether the next line with words is part of a block."""
    for line in lines[number + 1 : -1]:
        inner = re.sub(r"^ ?\*", "", line).rstrip()
        if inner:
            return inner.startswith("   ")
    return False


# ---- tables of bytes -------------------------------------------------------------------------


def table_rows(comment):
    """What a header's tables say of each field: struct and field to a sentence."""
    found = {}
    struct = None
    row = None
    for line in common.plain_comment(comment).splitlines():
        named = re.findall(r"struct (crossvm_\w+_shm)", line)
        struct = named[-1] if named else struct
        cells = re.match(r"\s{2,}(\d+)\s+(\d+|\.\.\.)\s+(\S+)\s+(\S+)\s+(.*)", line)
        if cells and struct:
            off, size, writer, field, meaning = cells.groups()
            row = (struct, field)
            found[row] = [f"At {off}, {size} bytes, written by the {writer}:", meaning]
        elif row and re.match(r"\s{12,}\S", line):
            found[row].append(line.strip())
        else:
            row = None
    return {key: " ".join(words).replace("written by the -", "unused")
            for key, words in found.items()}


def shared_member(struct, name, rows):
    """The text of a member of a shared struct that has no comment of its own."""
    said = rows.get((struct, name)) or rows.get((struct, name + "[0]"))
    if said:
        return said
    if name.endswith("_hi") and (struct, name[:-3] + "_lo") in rows:
        return f"The high word of {name[:-3]}_lo."
    if re.match(r"reserved|words", name):
        return "Zero."
    return "Internal." if name.startswith("i_") else ""


# ---- the whole -------------------------------------------------------------------------------


def blank(text):
    return re.sub(r"[^\n]", "", text)


def padded(words, old):
    """New words in place of old ones, with as many lines."""
    return words + "\n" * max(0, old.count("\n") - words.count("\n"))


def replacements(text, name, known, table):
    """What of the text is written otherwise: triples of begin, end and new text."""
    out = []
    first = next(m for m in re.finditer(r"/\*.*?\*/", text, re.S) if "SPDX" not in m.group(0))
    rows = table_rows(first.group(0))
    out.append((0, first.end(), page(first.group(0), name, known)))
    for item in items_of(text):
        old = text[item.comment_at : item.end]
        if not is_public(item.name):
            out.append((item.comment_at, item.end, blank(old)))
            continue
        above = text[item.comment_at : item.at]
        words = written(item, known, table)
        doc = padded(f"/** {words} */", above.rstrip("\n")) + "\n" if above else ""
        body = text[item.at : item.end]
        if item.kind == "function" and "{" in body:
            cut = body.index("{")
            body = body[:cut].rstrip() + ";" + blank(body[cut:])
        elif item.kind == "macro":
            cut = re.match(r"#define \w+\([^)]*\)", body).end()
            body = body[:cut] + blank(body[cut:])
        elif item.kind == "constant":
            beside = re.search(r"/\*.*?\*/", body)
            if beside:
                body = body[: beside.start()] + f"/**< {marked(item.comment, (), known)} */"
        else:
            out.append((item.comment_at, item.at, doc))
            out += member_texts(text, item, rows, known)
            continue
        out.append((item.comment_at, item.end, doc + body))
    for match in re.finditer(r"^(?:CROSSVM_I_AT|CROSSVM_STATIC_ASSERT)\(.*?\);|^void __.*?;", text,
                             re.M | re.S):
        out.append((match.start(), match.end(), blank(match.group(0))))
    out += [(a, b, words) for a, b, words in headings(text)]
    return out


def member_texts(text, item, rows, known):
    out = []
    for member in item.members:
        if member.comment:
            a, b = member.span
            sign = "/**" if member.is_above else "/**<"
            words = f"{sign} {marked(member.comment, (), known)} */"
            out.append((a, b, padded(words, text[a:b])))
        else:
            words = shared_member(item.name, member.name, rows)
            at = re.search(rf"\b{member.name}\b[^;,\n]*[;,]?", text[item.at : item.end])
            if words and at:
                end = item.at + at.end()
                out.append((end, end, f" /**< {marked(words, (), known)} */"))
    return out


def headings(text):
    """Lines that part a header become titles of what stands below them."""
    out = []
    opened = False
    for match in re.finditer(r"^/\* -{4} (.*?) -+ \*/$", text, re.M):
        close = "/** @} */ " if opened else ""
        title = match.group(1)[0].upper() + match.group(1)[1:]
        out.append((match.start(), match.end(), f"{close}/** @name {title} */ /** @{{ */"))
        opened = True
    end = re.search(r"^(?:CROSSVM_EXTERN_C_END\n\n)?#endif\s*\Z", text, re.M)
    out.append((end.start(), end.start(), ("/** @} */ " if opened else "") + "/** @} */ "))
    return out


def known_names(headers):
    """All public names of all headers."""
    found = set()
    for _, path in headers:
        for item in items_of(path.read_text(encoding="utf-8")):
            if is_public(item.name):
                found.add(item.name)
                if item.kind == "enum":
                    found.update(member.name for member in item.members)
    return found


def main_page(text):
    """mainpage.md with README's table of headers in it, its links leading to the pages here."""
    known = known_names(common.headers(TOP))
    readme = (TOP / "README.md").read_text(encoding="utf-8")
    rows = next(body for _, head, body in common.markdown_tables(readme)
                if head == ["header", "what it is"])
    table = ["| header | what it is |", "|---|---|"]
    for headers, words in rows:
        links = re.sub(r"\(include/crossvm/backend\)", "(@ref layer6)", headers)
        links = re.sub(r"\(include/crossvm/([\w/]+)\.h\)",
                       lambda m: f"(@ref crossvm-{m.group(1).replace('/', '-')})", links)
        links = re.sub(r"\[([^\]]*)\]\(include/[^)]*\)", r"\1", links)  # no page: C++ alone
        table.append(f"| {links} | {words} |")
    text = re.sub(r"`[^`]*`|\bcrossvm_\w+", lambda m: f'@ref {m.group(0)} "{m.group(0)}"'
                  if m.group(0) in known else m.group(0), text)
    return text.replace("<!-- headers -->", "\n".join(table))


def filtered(path):
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        return main_page(text)
    name = path.resolve().relative_to(TOP / "include/crossvm").as_posix()
    known = known_names(common.headers(TOP))
    done = sorted(replacements(text, name, known, conventional()), key=lambda r: (r[0], r[1]))
    out = []
    at = 0
    for begin, end, words in done:
        if begin < at:
            continue
        out.append(text[at:begin])
        out.append(words)
        at = end
    return "".join(out) + text[at:]


def main():
    if len(sys.argv) != 2 or not pathlib.Path(sys.argv[1]).is_file():
        print("usage: filter.py HEADER|mainpage.md", file=sys.stderr)
        return 2
    path = pathlib.Path(sys.argv[1])
    sys.stdout.write(filtered(path))
    return 0


if __name__ == "__main__":
    sys.exit(main())
