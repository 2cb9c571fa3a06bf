# SPDX-License-Identifier: Apache-2.0
"""Holds the byte tables of docs/FORMAT.md and of the headers' comments to the compiled structs.

    python3 check_format.py SOURCE_DIR [CC]

- Each row of a table names a field of a struct: offset and size are asserted by the compiler.
- Each field of each struct crossvm_..._shm stands in a table of docs/FORMAT.md, without gap or
  overlap, and in one of a header's comment (there reserved fields may be left out).
- The values of constants and enumerators in docs/FORMAT.md are asserted, and none is missing.
- The formulas are computed here and by the library, and compared.
- The worked hashes and the dumped region are computed by the recipes in the document, and the
  program in the document is compiled, run, and its output compared with the dump byte for byte.
"""
import pathlib
import re
import struct as packing
import subprocess
import sys

sys.dont_write_bytecode = True  # the sources stay as they are
import common

# Tables in comments whose struct the text in front of them does not name.
STRUCT_OF_HEADER = {
    "atomic.h": "crossvm_le32",
    "bytes.h": "crossvm_chunk_shm",
    "snapshot.h": "crossvm_slots_shm",
    "broadcast.h": "crossvm_slots_shm",
    "backend/futex.h": "crossvm_chunk_shm",
}
# A doorbell's lines stand behind the control line, one for each vector.
REPEATED = {"vector": ("crossvm_doorbell_shm", 128)}

# Enums whose numbers stand in shared bytes, or are part of what the document promises.
ENUMS = {"crossvm_kind", "crossvm_status", "crossvm_rule", "crossvm_wake_mode",
         "crossvm_clock_kind"}
NOT_A_VALUE = {"CROSSVM_RULE_COUNT"}

FLAGS = ["-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]


class Broken(Exception):
    """A program could not be built or run, so nothing can be compared with it."""


class Field:
    def __init__(self, name, off, size, unit):
        self.name = name
        self.off = off
        self.size = size
        self.unit = unit  # of one element

    @property
    def end(self):
        return self.off + self.size

    @property
    def is_filler(self):
        return re.search(r"(?:^|\.)(?:reserved(?:_\d+)?|words)$", self.name) is not None


class Row:
    def __init__(self, where, struct, off, size, name):
        self.where = where
        self.struct = struct
        self.off = off
        self.size = size  # None where it depends on the geometry
        self.name = name


# ---- structs ---------------------------------------------------------------------------------


def constants(text):
    return {name: int(value, 0) for name, value in
            re.findall(r"^#define (CROSSVM_\w+) +(0x[0-9a-fA-F]+|\d+)u?\b", text, re.M)}


def layouts(texts):
    """Every shared struct: its fields in their order, nested ones as line.index."""
    numbers = {}
    bodies = {}
    for text in texts:
        numbers.update(constants(text))
        for kind, tag, body in common.tags(text):
            if kind == "struct" and (tag.endswith("_shm") or tag == "crossvm_le32"):
                bodies[tag] = body
    found = {}

    def lay_out(tag):
        fields = []
        at = 0
        for declaration in bodies[tag].split(";"):
            match = re.fullmatch(r"\s*(struct\s+)?(\w+)\s+(\w+)(?:\[(\w+)\])?\s*", declaration)
            if not declaration.strip():
                continue
            if not match:
                raise ValueError(f"struct {tag}: not understood: {declaration.strip()}")
            _, base, name, count = match.groups()
            count = 1 if count is None else numbers.get(count) or int(count.rstrip("u"), 0)
            if base in ("uint8_t", "uint32_t", "crossvm_le32"):
                unit = 1 if base == "uint8_t" else 4
                fields.append(Field(name, at, unit * count, unit))
                at += unit * count
                continue
            for inner in lay_out(base):
                fields.append(Field(f"{name}.{inner.name}", at + inner.off, inner.size, inner.unit))
            at = fields[-1].end
        return fields

    for tag in bodies:
        found[tag] = lay_out(tag)
    return found


# ---- tables ----------------------------------------------------------------------------------


def number(text):
    return int(text, 0) if re.fullmatch(r"0x[0-9a-fA-F]+|\d+", text) else None


def rows_of_document(text):
    rows = []
    struct = None
    for before, header, body in common.markdown_tables(text):
        named = re.findall(r"`struct (crossvm_\w+)`", before)
        struct = named[-1] if named else struct
        if header != ["offset", "size", "writer", "name", "meaning"]:
            continue
        for off, size, _, name, _ in body:
            rows.append(Row("docs/FORMAT.md", struct, number(off), number(size), name))
    return rows


def cells(line, starts):
    ends = starts[1:] + [len(line)]
    return [line[a:b].strip() for a, b in zip(starts, ends)]


def rows_of_header(name, comment):
    rows = []
    struct = STRUCT_OF_HEADER.get(name)
    base = 0
    starts = None
    for line in comment.splitlines():
        words = line.split()
        if words == ["offset", "size", "writer", "name", "meaning"]:
            starts = [line.index(word) for word in words]
            continue
        named = re.search(r"struct (crossvm_\w+)(?: at offset (\d+))?", line)
        if starts is None and named:
            struct = named.group(1)
            base = int(named.group(2) or 0)
        if not line.strip():
            starts = None
        if starts is None or not line[: starts[1]].strip():
            continue
        off, size, _, field, _ = cells(line, starts)
        row = Row(name, struct, number(off), number(size), field)
        repeated = re.fullmatch(r"(\d+) \+ (\d+)\*(\w+)", off)
        if repeated and repeated.group(3) in REPEATED:
            row.struct, base_here = REPEATED[repeated.group(3)]
            row.off = int(repeated.group(1)) - base_here
        elif row.off is not None:
            row.off -= base
        rows.append(row)
    return rows


# ---- rows against structs --------------------------------------------------------------------


def begins_at(field, row):
    index = re.search(r"\[(\d+)\]$", row.name)
    return field.off + (int(index.group(1)) * field.unit if index else 0)


def named_field(fields, row):
    plain = re.sub(r"\[\d+\]$", "", row.name)
    return next((field for field in fields if field.name == plain), None)


def may_be_covered(first, field, in_header):
    """Whether a row that names `first` may speak for `field` as well."""
    if field.is_filler:
        return True
    if first.name.endswith("_lo") and field.name == first.name[:-2] + "hi":
        return True
    return in_header and "." in first.name and field.name.split(".")[0] == first.name.split(".")[0]


def check_row(report, layout, row, asserts):
    """Judges one row; answers the fields that it covers."""
    where = f"{row.where}: {row.struct}.{row.name}"
    fields = layout.get(row.struct)
    if fields is None:
        report.wrong(where, "no such struct")
        return []
    total = fields[-1].end
    field = named_field(fields, row)
    if field is None:
        if row.where == "docs/FORMAT.md" or row.size is not None:
            report.wrong(where, "no such field")
        elif row.off is not None and row.off != total:
            report.wrong(where, f"what follows the struct begins at {total}, not at {row.off}")
        elif row.off is not None:
            asserts.append((f"sizeof(struct {row.struct}) == {row.off}", where))
        return []
    if row.off is None or row.size is None:
        report.wrong(where, "offset or size is no number")
        return []
    asserts.append((f"offsetof(struct {row.struct}, {row.name}) == {row.off}", where))
    if begins_at(field, row) != row.off:
        report.wrong(where, f"stands at {begins_at(field, row)}, not at {row.off}")
        return []
    covered = [f for f in fields if f.off < row.off + row.size and f.end > row.off]
    last = covered[-1]
    element = row.name.endswith("]") and row.size == field.unit
    if not element:
        asserts.append((f"offsetof(struct {row.struct}, {last.name}) + "
                        f"sizeof(((struct {row.struct} *)0)->{last.name}) == "
                        f"{row.off} + {row.size}", where))
        if last.end != row.off + row.size:
            report.wrong(where, f"ends at {row.off + row.size}, within {last.name}, "
                                f"which ends at {last.end}")
    for other in covered:
        if other is not field and not may_be_covered(field, other, row.where != "docs/FORMAT.md"):
            report.wrong(where, f"its {row.size} bytes hide {other.name}")
    return covered


def check_document(report, layout, rows, asserts):
    """Every byte of every shared struct stands in exactly one row of one of its tables."""
    tables = {}
    for row in rows:
        check_row(report, layout, row, asserts)
        table = tables.setdefault(row.struct, [[]])
        if table[-1] and row.off is not None and row.off == 0:
            table.append([])
        table[-1].append(row)
    for struct, fields in layout.items():
        if not struct.endswith("_shm"):
            continue
        if struct not in tables:
            report.wrong("docs/FORMAT.md", f"no table for struct {struct}")
        for table in tables.get(struct, []):
            at = 0
            for row in table:
                if row.off != at:
                    report.wrong(f"docs/FORMAT.md: {struct}.{row.name}",
                                 f"begins at {row.off}, but the row before ends at {at}")
                at = (row.off or 0) + (row.size or 0)
            if at != fields[-1].end:
                report.wrong(f"docs/FORMAT.md: {struct}",
                             f"the table ends at {at}, the struct at {fields[-1].end}")


def check_headers(report, layout, rows, asserts):
    """Every field that means something stands in a header's comment."""
    covered = set()
    for row in rows:
        covered |= {(row.struct, field.name) for field in check_row(report, layout, row, asserts)}
    for struct, fields in layout.items():
        for field in fields:
            if not field.is_filler and (struct, field.name) not in covered:
                report.wrong("include/crossvm", f"struct {struct}: {field.name} stands in no "
                                                "comment's table")


# ---- values, formulas, hashes ----------------------------------------------------------------


def check_values(report, document, headers_text, asserts):
    documented = set()
    for _, header, body in common.markdown_tables(document):
        if header[:2] != ["value", "name"]:
            continue
        for row in body:
            documented.add(row[1])
            asserts.append((f"(long long)({row[1]}) == {row[0]}", f"docs/FORMAT.md: {row[1]}"))
    for kind, tag, body in common.tags(headers_text):
        if kind == "enum" and tag in ENUMS:
            for name in set(common.enumerators(body)) - documented - NOT_A_VALUE:
                report.wrong("docs/FORMAT.md", f"the value of {name} is missing")
    judged = set(re.findall(r"CORRUPT, ([A-Z_]+)", re.sub(r"\s+", " ", document)))
    rules = set(re.findall(r"CROSSVM_RULE_(\w+)", headers_text))
    used = set(re.findall(r"(?<!case )CROSSVM_RULE_(\w+)(?!\w)(?=[;)])", headers_text))
    for name in sorted(judged - rules):
        report.wrong("docs/FORMAT.md", f"CORRUPT, {name}: no such rule")
    for name in sorted((used & rules) - judged - {"NONE"}):
        report.wrong("docs/FORMAT.md", f"where {name} is judged is not said")


def up(value, multiple):
    return -(-value // multiple) * multiple


def check_formulas(report, document, run):
    """Kinds' sizes and where chunks begin: by the document's formula and by the library."""
    kinds = []
    places = {}
    for _, header, body in common.markdown_tables(document):
        if header == ["value", "name", "n", "len", "bytes needed"]:
            kinds = body
        if header == ["name", "formula"]:
            places = {row[0]: row[1].strip("`") for row in body}
    samples = []
    for value, name, n, length, formula in kinds:
        for sample_n in [0] if n == "0" else [2, 4, 64, 2048]:
            for sample_len in [0] if length == "0" else [1, 7, 8, 9, 63, 64, 65, 100000]:
                want = eval(formula.strip("`"), {"n": sample_n, "len": sample_len, "up": up})
                call = f"need({value}, {sample_n}, {sample_len})"
                samples.append((call, f"{name}: {formula}", want))
    for capacity in (1, 2, 31, 32, 65535):
        for granule in (128, 4096, 0x40000000):
            names = {"capacity": capacity, "granule": granule, "up": up}
            samples.append((f"crossvm_i_chunks_off({capacity}, {granule}u)", "chunks",
                            eval(places.get("chunks", "0"), names)))
            samples.append((f"crossvm_i_slot_stride({capacity}u * CROSSVM_ENTRY_LEN)", "slot",
                            eval(places.get("slot", "0"), names)))
    if len(kinds) != 17 or len(places) != 2:
        report.wrong("docs/FORMAT.md", "the formulas were not found")
    calls = "\n".join(f'    printf("%llu\\n", (unsigned long long){sample[0]});'
                      for sample in samples)
    output = run(f"""#include <crossvm/crossvm.h>
#include <stdio.h>
static uint64_t need(uint32_t kind, uint32_t n, uint64_t len)
{{
    uint64_t bytes = 0;
    return crossvm_chunk_need(kind, n, len, &bytes) == CROSSVM_OK ? bytes : 0;
}}
int main(void)
{{
{calls}
    return 0;
}}
""")
    for (call, what, want), got in zip(samples, output.split()):
        if int(got) != want:
            report.wrong("docs/FORMAT.md", f"{what}: {call} is {int(got)}, by the formula {want}")
    return len(samples)


def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


def fnv1a(data):
    value = 0xcbf29ce484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001b3 % 2**64
    return value


def check_hashes(report, document, run):
    text = re.sub(r"\s+", " ", document)
    examples = re.findall(r"`([^` ]+;(?:le|be))`, and its hash is `(0x[0-9a-f]{16})`", text)
    nine = re.findall(r"nine bytes `(\d{9})` it is `(0x[0-9a-f]{8})`", text)
    if not examples or not nine:
        report.wrong("docs/FORMAT.md", "the worked hashes were not found")
    for description, value in examples:
        by_library = run(f"""#include <crossvm/checksum.h>
#include <stdio.h>
int main(void)
{{
    printf("%llu", (unsigned long long)crossvm_type_hash("{description}"));
    return 0;
}}
""")
        for who, got in (("recipe", fnv1a(description.encode())), ("library", int(by_library))):
            if got != int(value, 16):
                report.wrong("docs/FORMAT.md", f"{description}: by the {who} {got:#018x}")
    for digits, value in nine:
        if crc32c(digits.encode()) != int(value, 16):
            report.wrong("docs/FORMAT.md", f"CRC-32C of {digits} is not {value}")


# ---- the example -----------------------------------------------------------------------------


def check_dump(report, document, run):
    """The document's program writes the region that the document shows."""
    programs = [block for block in common.code_blocks(document, "c") if "int main" in block]
    dumps = common.code_blocks(document, "text")
    if len(programs) != 1 or len(dumps) != 1:
        report.wrong("docs/FORMAT.md", "the example was not found")
        return
    region = run(programs[0], binary=True)
    shown = set()
    for line in dumps[0].splitlines():
        match = re.fullmatch(r"([0-9a-f]{4})  ((?:[0-9a-f]{2} )*[0-9a-f]{2})  +\S.*", line)
        if not match:
            report.wrong("docs/FORMAT.md", f"not a line of a dump: {line}")
            continue
        off = int(match.group(1), 16)
        data = bytes.fromhex(match.group(2))
        shown |= set(range(off, off + len(data)))
        if region[off : off + len(data)] != data:
            report.wrong("docs/FORMAT.md", f"dump at {match.group(1)}: the region has "
                                           f"{region[off : off + len(data)].hex(' ')}")
    hidden = [off for off, byte in enumerate(region) if byte != 0 and off not in shown]
    if hidden:
        report.wrong("docs/FORMAT.md", f"the dump hides bytes at {[hex(off) for off in hidden]}")
    check_recipes(report, region)


def check_recipes(report, region):
    """Checksums and plan hash of the example, by the document's words alone."""
    def word(off):
        return packing.unpack_from("<I", region, off)[0]

    def pair(off):
        return packing.unpack_from("<Q", region, off)[0]

    if crc32c(region[:252]) != word(252):
        report.wrong("docs/FORMAT.md", "the header's checksum is not the recipe's")
    slot = 384 + (64 + 128 * word(44)) * (word(256) % 2)
    entries = region[slot + 64 : slot + 64 + word(slot + 8)]
    if crc32c(entries) != word(slot + 12):
        report.wrong("docs/FORMAT.md", "the directory's checksum is not the recipe's")
    end = max(int.from_bytes(entries[at + 16 : at + 24], "little") +
              int.from_bytes(entries[at + 24 : at + 32], "little")
              for at in range(0, len(entries), 128))
    plan = packing.pack("<QQQQ", word(40), word(44), pair(32) - end, word(72))
    for at in range(0, len(entries), 128):
        entry = entries[at : at + 128]
        kind, n = packing.unpack_from("<II", entry, 8)
        writer, reader = packing.unpack_from("<II", entry, 32)
        plan += entry[48:96] + packing.pack(
            "<QQQQ", kind, n, packing.unpack_from("<Q", entry, 104)[0], writer << 32 | reader)
        plan += entry[40:48] + entry[96:104]
    if fnv1a(plan) != pair(96):
        report.wrong("docs/FORMAT.md", "the plan hash is not the recipe's")


# ---- compiling -------------------------------------------------------------------------------


def assert_file(layout, asserts, header_names):
    lines = [f"#include <crossvm/{name}>" for name in header_names]
    lines.append("#include <stddef.h>")
    for struct, fields in layout.items():
        asserts.append((f"sizeof(struct {struct}) == {fields[-1].end}",
                        f"struct {struct}: the parser of this check missed a field"))
        for field in fields:
            asserts.append((f"offsetof(struct {struct}, {field.name}) == {field.off}",
                            f"struct {struct}: {field.name}: misread by this check"))
    for condition, where in asserts:
        lines.append(f'_Static_assert({condition}, "{where}");')
    return "\n".join(lines) + "\nextern int crossvm_nothing;\n"


def main():
    source = common.source_dir()
    report = common.Report()
    found = common.compilers()
    if not found:
        print("skipped: no C compiler here")
        return 77
    headers = [(name, path.read_text(encoding="utf-8")) for name, path in common.headers(source)]
    document = (source / "docs/FORMAT.md").read_text(encoding="utf-8")
    layout = layouts([text for _, text in headers])
    in_document = rows_of_document(document)
    in_headers = [row for name, text in headers
                  for row in rows_of_header(name, common.first_comment(text))]
    asserts = []
    check_document(report, layout, in_document, asserts)
    check_headers(report, layout, in_headers, asserts)
    check_values(report, document, "\n".join(text for _, text in headers), asserts)

    with common.work_dir() as work:
        work = pathlib.Path(work)

        def run(program, binary=False):
            (work / "run.c").write_text(program, encoding="utf-8")
            built = subprocess.run([found[0], *FLAGS, "-I", source / "include", "-o", work / "run",
                                    work / "run.c"], stderr=subprocess.PIPE, check=False)
            if built.returncode != 0:
                raise Broken(built.stderr.decode())
            ran = subprocess.run([work / "run"], stdout=subprocess.PIPE, check=False)
            if ran.returncode != 0:
                raise Broken(f"a program answers {ran.returncode}")
            return ran.stdout if binary else ran.stdout.decode()

        names = [name for name, text in headers if "_shm {" in text or name == "crossvm.h"]
        names.sort(key=lambda name: not name.startswith("backend/"))  # they come first
        (work / "asserts.c").write_text(assert_file(layout, asserts, names), encoding="utf-8")
        for compiler in found:
            result = subprocess.run([compiler, *FLAGS, "-I", source / "include", "-fsyntax-only",
                                     work / "asserts.c"], stderr=subprocess.PIPE, check=False)
            if result.returncode != 0:
                errors = [line for line in result.stderr.decode().splitlines() if "error" in line]
                for line in errors[:20]:
                    report.wrong(compiler, line.split("error: ", 1)[-1])
        n_samples = 0
        try:
            n_samples = check_formulas(report, document, run)
            check_hashes(report, document, run)
            check_dump(report, document, run)
        except Broken as broken:
            report.wrong("a program on the headers", broken)
    return report.finish(f"{len(in_document)} rows of docs/FORMAT.md, {len(in_headers)} of the "
                         f"headers, {len(asserts)} assertions by {' and '.join(found)}, "
                         f"{n_samples} sizes, the example: all agree")


if __name__ == "__main__":
    sys.exit(main())
