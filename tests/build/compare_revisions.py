#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tools/compare-revisions.py sees what it is for: copies of the headers are changed, and it has to
say so, with the right status; two equal trees differ in nothing. Revisions of git are tried in a
repository of the test's own, since a checkout may have no history.

usage: compare_revisions.py SOURCE_DIR [CC]      Status 0, 1, or 77: no compiler or no readelf.
"""
import pathlib
import shutil
import subprocess
import sys

sys.dont_write_bytecode = True  # the sources stay as they are
import common

FORMAT_ERROR = "ERROR: shared bytes changed"

# Replacements in headers; what the report has to say; whether it is an error of the format.
CASES = [
    ("a field is moved",
     [("spsc.h", "struct crossvm_le32 grant;", "@"), ("spsc.h", "struct crossvm_le32 status;",
                                                      "struct crossvm_le32 grant;"),
      ("spsc.h", "@", "struct crossvm_le32 status;")],
     ["struct crossvm_spsc_tx_shm: grant was at 128, is at 132",
      "struct crossvm_spsc_tx_shm: status was at 132, is at 128"], True),
    ("a field is added, a struct grows, a field is renamed",
     [("layout.h", "struct crossvm_le32 reserved[37];",
       "struct crossvm_le32 extra;\n    struct crossvm_le32 reserved[36];"),
      ("slots.h", "struct crossvm_le32 reserved[8];", "struct crossvm_le32 reserved[9];"),
      ("wake.h", "delay_hi", "delay_top")],
     ["struct crossvm_region_shm: extra at 104 is new",
      "struct crossvm_slot_shm had 64 bytes, has 68",
      "struct crossvm_wake_line_shm: delay_hi is gone (was at 20)"], True),
    ("an enumerator changes",
     [("layout.h", "CROSSVM_KIND_WAKE = 5", "CROSSVM_KIND_WAKE = 7"),
      ("status.h", "CROSSVM_UNSUPPORTED = -34", "CROSSVM_UNSUPPORTED = -35")],
     ["CROSSVM_KIND_WAKE was 5, is 7", "CROSSVM_UNSUPPORTED was -34, is -35"], True),
    ("a constant changes", [("layout.h", "CROSSVM_DIR_OFF    384u", "CROSSVM_DIR_OFF    512u")],
     ["CROSSVM_DIR_OFF was 384, is 512"], True),
    ("a field is added and the format version, too",
     [("layout.h", "struct crossvm_le32 reserved[37];",
       "struct crossvm_le32 extra;\n    struct crossvm_le32 reserved[36];"),
      ("version.h", "CROSSVM_FORMAT_MINOR 1u", "CROSSVM_FORMAT_MINOR 2u")],
     ["struct crossvm_region_shm: extra at 104 is new", "CROSSVM_FORMAT_MINOR was 1, is 2"], False),
    ("a kind is added",
     [("layout.h", "CROSSVM_KIND_DOORBELL = 6",
       "CROSSVM_KIND_DOORBELL = 6, CROSSVM_KIND_MORE = 7")],
     ["new: CROSSVM_KIND_MORE: 7"], False),
    ("what programs are compiled against changes",
     [("bytes.h", "uint64_t off, const void *src, size_t len)\n{",
       "uint32_t off, const void *src, size_t len)\n{"),
      ("clock.h", "uint64_t crossvm_clock_ns(", "uint64_t crossvm_clock_nanoseconds("),
      ("snapshot.h", "missed", "lost"),
      ("bytes.h", "BYTES_READ_FIELD(reader, off,", "BYTES_READ_FIELD(reader, at,"),
      ("status.h", "CROSSVM_RULE_NONE = 0", "CROSSVM_RULE_NONE = 100")],
     ["crossvm_bytes_writer_write was int (struct crossvm_bytes_writer const *, uint64_t, void "
      "const *, size_t), is int (struct crossvm_bytes_writer const *, uint32_t, void const *, "
      "size_t)",
      "crossvm_clock_ns is gone", "new: crossvm_clock_nanoseconds: uint64_t (uint64_t, uint64_t)",
      "struct crossvm_snapshot_info: missed is gone", "new: struct crossvm_snapshot_info: lost",
      "macro CROSSVM_BYTES_READ_FIELD was (reader, off, type, field, dst), is (reader, at,",
      "CROSSVM_RULE_NONE was 0, is 100"], False),
]


class Tool:
    def __init__(self, source, compiler):
        tool = source / "tools/compare-revisions.py"
        self.command = [sys.executable, str(tool), "--cc", compiler]

    def __call__(self, *arguments, command=None):
        done = subprocess.run([*(command or self.command), *map(str, arguments)], check=False,
                              capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr


def changed_copy(source, work, name, replacements):
    """A tree with the headers changed; assertions about bytes hold in it whatever they say."""
    tree = work / name.replace(" ", "-")
    shutil.copytree(source / "include", tree / "include")
    silent = ("compiler.h", "_Static_assert(condition, message)", "_Static_assert(1, message)")
    for header, old, new in [silent, *replacements]:
        path = tree / "include/crossvm" / header
        path.chmod(0o644)
        text = path.read_text(encoding="utf-8")
        if old not in text:
            raise SystemExit(f"{name}: {header} has no {old!r} any more: mend the test")
        path.write_text(text.replace(old, new), encoding="utf-8")
    return tree


def expect(report, name, result, status, said, unsaid=()):
    code, text = result
    if code != status:
        report.wrong(name, f"expected status {status}, got {code}: {text}")
    for words in said:
        if words not in text:
            report.wrong(name, f"expected {words!r} in: {text}")
    for words in unsaid:
        if words in text:
            report.wrong(name, f"expected no {words!r} in: {text}")


def check_git(report, tool, work, tree, changed):
    """Two revisions of a repository; the tool lies in it, as it does here."""
    if shutil.which("git") is None:
        print("not checked: revisions, there is no git")
        return
    top = work / "repository"
    shutil.copytree(tree, top)
    source = pathlib.Path(tool.command[1]).parent.parent
    for path in ("tools/compare-revisions.py", "tests/build/common.py"):
        (top / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source / path, top / path)
    shutil.copytree(source / "tests/rtos", top / "tests/rtos")
    git = ["git", "-C", str(top), "-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run([*git, "init", "-q"], check=True)
    for step in ("first", "second"):
        subprocess.run([*git, "add", "-A"], check=True)
        subprocess.run([*git, "commit", "-q", "-m", step], check=True)
        shutil.copytree(changed / "include", top / "include", dirs_exist_ok=True)
    command = [sys.executable, str(top / "tools/compare-revisions.py"), *tool.command[2:]]
    expect(report, "git, two revisions", tool("HEAD~1", "HEAD", command=command), 1,
           ["CROSSVM_KIND_WAKE was 5, is 7", FORMAT_ERROR])
    expect(report, "git, the same", tool("HEAD", top, command=command), 0, ["The same: "])


def main():
    source = common.source_dir()
    compilers = common.compilers()
    if not compilers or shutil.which("readelf") is None:
        print("skipped: no compiler or no readelf")
        return 77
    report = common.Report()
    tool = Tool(source, compilers[0])
    with common.work_dir() as folder:
        work = pathlib.Path(folder)
        same = changed_copy(source, work, "same", [])
        for compiler in compilers:
            expect(report, f"equal trees, {compiler}",
                   Tool(source, compiler)(source, same), 0, ["The same: "], ["new:", "ERROR"])
        for name, replacements, said, is_error in CASES:
            tree = changed_copy(source, work, name, replacements)
            said = said + [FORMAT_ERROR] * is_error
            expect(report, name, tool(same, tree), 1, said, [] if is_error else ["ERROR"])
        check_git(report, tool, work, same, work / "an-enumerator-changes")
        broken = changed_copy(source, work, "broken", [("wake.h", "uint32_t old;", "uint32 old;")])
        expect(report, "does not compile", tool(same, broken), 2, ["does not compile"])
        expect(report, "an empty directory", tool(same, work), 2, ["expected include/crossvm"])
        expect(report, "no revision", tool("no-such-revision", same), 2, ["no-such-revision"])
        expect(report, "one argument", tool(same), 2, ["NEW"])
    return report.finish(f"{len(CASES)} changes are seen by {compilers[0]}")


if __name__ == "__main__":
    sys.exit(main())
