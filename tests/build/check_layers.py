# SPDX-License-Identifier: Apache-2.0
"""Holds every header to its layer and to the project's way of writing headers.

    python3 check_layers.py SOURCE_DIR

A header includes only lower layers, or within its layer what the table below lists; only the
access layer names memory orders; only backends include the operating system; and the outer form
(licence, guard, C++ guards, layer, line length, names) is the same everywhere.
"""
import posixpath
import re
import sys

sys.dont_write_bytecode = True  # the sources stay as they are
import common

# The whole relation: a header's layer, and what it may include of its own layer.
LAYERS = {
    "version.h": (0, []),
    "compiler.h": (0, []),
    "status.h": (0, ["compiler.h"]),
    "cpu.h": (1, []),
    "checksum.h": (1, ["cpu.h"]),
    "atomic.h": (1, ["cpu.h"]),
    "copy.h": (1, ["atomic.h"]),
    "slots.h": (1, ["copy.h"]),
    "layout.h": (2, []),
    "region.h": (2, ["layout.h"]),
    "wake.h": (3, []),
    "bytes.h": (3, []),
    "snapshot.h": (3, []),
    "broadcast.h": (3, []),
    "pool.h": (3, ["wake.h"]),
    "spsc.h": (3, ["wake.h"]),
    "exchange.h": (3, ["spsc.h"]),
    "fanin.h": (3, ["spsc.h"]),
    "mpsc.h": (3, ["spsc.h"]),
    "peer.h": (3, []),
    "notify.h": (4, []),
    "clock.h": (4, []),
    "service/pipe.h": (5, []),
    "service/waitset.h": (5, ["service/pipe.h"]),
    "service/e2e.h": (5, []),
    "service/mac.h": (5, []),
    "backend/posix.h": (6, []),
    "backend/ticks.h": (6, []),
    "backend/zephyr.h": (6, ["backend/ticks.h"]),
    "backend/freertos.h": (6, ["backend/ticks.h"]),
    "backend/eventfd.h": (6, ["backend/posix.h"]),
    "backend/futex.h": (6, ["backend/posix.h"]),
    "backend/poll.h": (6, ["backend/posix.h"]),
    "backend/memfd.h": (6, ["backend/posix.h"]),
    "backend/shm.h": (6, ["backend/posix.h"]),
    "backend/examine.h": (6, ["backend/posix.h"]),
    "backend/ivshmem_bare.h": (6, []),
    "backend/ivshmem_client.h": (6, ["backend/eventfd.h"]),
    "backend/ivshmem_pci.h": (6, ["backend/examine.h"]),
    "backend/ivshmem_uio.h": (6, ["backend/ivshmem_pci.h"]),
    "backend/ivshmem_v2.h": (6, ["backend/ivshmem_pci.h"]),
    "backend/ivshmem_vfio.h": (6, ["backend/eventfd.h", "backend/ivshmem_pci.h"]),
}
UMBRELLA = "crossvm.h"  # layers 0 to 5, all of them
SERVICES = 5
BACKENDS = 6

# Headers that are C++ alone: what each may include of the library and of the standard library.
CXX = {
    "crossvm.hpp": {"crossvm.h", "type_traits"},
    "backend/owners.hpp": {"backend/memfd.h", "backend/shm.h", "utility"},
}

# Who may include what from outside, below the backends.
SYSTEM_HEADERS = {
    "compiler.h": {
        "stdbool.h", "stddef.h", "stdint.h",
        # Instead of the three, inside a Linux kernel.
        "linux/limits.h", "linux/stddef.h", "linux/types.h",
    },
}

# Where else than in atomic.h the memory orders' builtins stand, and why.
ORDERS_ELSEWHERE = {
    # The strict copy's units are wider than a shared word, so that atomic.h's calls do not fit.
    ("copy.h", "crossvm_i_unit_load"),
    ("copy.h", "crossvm_i_unit_store"),
    # A model checker takes no assembly, and an unknown processor has none that we know.
    ("cpu.h", "crossvm_system_barrier"),
}

# Who touches the bits of a shared word beside atomic.h, and why.
BITS_ELSEWHERE = {
    # Words of a private copy, which nobody else sees.
    ("region.h", "crossvm_i_word"),
    ("region.h", "crossvm_i_set_word"),
    # The kernel wants the word's address.
    ("backend/futex.h", "crossvm_i_futex_call"),
}

# Names that are not ours, and why they are needed.
FOREIGN_MACROS = {
    ("backend/posix.h", "_GNU_SOURCE"),  # uncovers the C library's declarations
    ("compiler.h", "UINT32_MAX"),  # where a Linux kernel has none
    ("compiler.h", "UINT64_MAX"),
}

LONGEST_LINE = 100


def check_includes(report, name, text):
    layer, siblings = LAYERS.get(name, (None, []))
    for match in re.finditer(r'^[ \t]*#[ \t]*include[ \t]+([<"])([^>"]+)[>"]', text, re.M):
        where = f"{name}:{text.count(chr(10), 0, match.start()) + 1}"
        quote, target = match.groups()
        if quote == "<":
            if layer != BACKENDS and target not in SYSTEM_HEADERS.get(name, set()):
                report.wrong(where, f"includes <{target}>, which is for backends")
            continue
        target = posixpath.normpath(posixpath.join(posixpath.dirname(name), target))
        if target not in LAYERS:
            report.wrong(where, f"includes {target}, which has no layer")
        elif name == UMBRELLA:
            if LAYERS[target][0] > SERVICES:
                report.wrong(where, f"includes {target}, but the umbrella ends below the backends")
        elif layer == BACKENDS and LAYERS[target][0] == SERVICES:
            report.wrong(where, f"a backend includes the service {target}")
        elif LAYERS[target][0] > layer:
            report.wrong(where, f"layer {layer} includes {target} of layer {LAYERS[target][0]}")
        elif LAYERS[target][0] == layer and target not in siblings:
            report.wrong(where, f"includes {target} of its own layer, which is not in the table")


def check_umbrella(report, text):
    for name, (layer, _) in LAYERS.items():
        if layer <= SERVICES and f'#include "{name}"' not in text:
            report.wrong(UMBRELLA, f"does not include {name}")


def lines_with(pattern, code):
    for match in re.finditer(pattern, code):
        yield code.count("\n", 0, match.start()) + 1, match.group(0)


def function_at(functions, line):
    for function in functions:
        if function.line <= line <= function.last_line:
            return function.name
    return "no function"


def check_access(report, name, text, functions):
    """Memory orders and the bits of shared words belong to atomic.h."""
    code = common.without_comments(text)
    for line, word in lines_with(r"\b(?:_Atomic|__sync_\w+|stdatomic|atomic_\w+_explicit)\b", code):
        report.wrong(f"{name}:{line}", f"{word}: shared words are for atomic.h's calls")
    if name == "atomic.h":
        return
    for pattern, allowed, what in (
        (r"\b__(?:ATOMIC|atomic)_\w+", ORDERS_ELSEWHERE, "belongs into atomic.h"),
        (r"\bi_bits\b", BITS_ELSEWHERE, "a shared word's bits are touched by atomic.h only"),
    ):
        for line, word in lines_with(pattern, code):
            function = function_at(functions, line)
            if (name, function) not in allowed:
                report.wrong(f"{name}:{line}", f"{word} in {function}: {what}")


def check_form(report, name, text):
    lines = text.split("\n")
    if lines[0] != "/* SPDX-License-Identifier: Apache-2.0 */":
        report.wrong(f"{name}:1", "does not begin with the licence line")
    for number, line in enumerate(lines, 1):
        if len(line) > LONGEST_LINE:
            report.wrong(f"{name}:{number}", f"{len(line)} columns")
        if "\t" in line or line != line.rstrip():
            report.wrong(f"{name}:{number}", "a tab, or blanks at the end")
        if not line.isascii():
            report.wrong(f"{name}:{number}", "not plain ASCII")

    guard = "CROSSVM_" + re.sub(r"\W", "_", name).upper()
    code = common.without_comments(text).strip()
    if not re.match(rf"#ifndef {guard}\n#define {guard}\n", code) or not code.endswith("#endif"):
        report.wrong(name, f"is not guarded by {guard}")

    comment = common.first_comment(text)
    if not comment.strip().startswith(f"crossvm/{name} - "):
        report.wrong(name, f"the first comment does not begin with `crossvm/{name} - `")
    layer = LAYERS.get(name, (BACKENDS if name.startswith("backend/") else None,))[0]
    if layer is not None and not re.search(rf"^Layer {layer}\b", comment, re.M):
        report.wrong(name, f"the first comment does not say `Layer {layer}`")


def check_guards(report, name, text, functions):
    declares = functions or common.tags(text)
    begin = len(re.findall(r"^CROSSVM_EXTERN_C_BEGIN$", text, re.M))
    end = len(re.findall(r"^CROSSVM_EXTERN_C_END$", text, re.M))
    if declares and (begin, end) != (1, 1):
        report.wrong(name, "declares something outside CROSSVM_EXTERN_C_BEGIN and _END")


def check_cxx(report, name, text):
    """What holds for a header that is C++ alone: it stands on its C headers, in our namespace."""
    for match in re.finditer(r'^[ \t]*#[ \t]*include[ \t]+([<"])([^>"]+)[>"]', text, re.M):
        quote, target = match.groups()
        if quote == '"':
            target = posixpath.normpath(posixpath.join(posixpath.dirname(name), target))
        if target not in CXX[name]:
            report.wrong(name, f"includes {target}, which is not in the table")
    code = common.without_directives(common.without_comments(text)).strip()
    if not re.match(r"namespace crossvm\s*\{", code) or len(common.top_level_blocks(code)) != 1:
        report.wrong(name, "declares something outside namespace crossvm")
    check_macros(report, name, text)


def check_macros(report, name, text):
    code = common.without_comments(text)
    for line, word in lines_with(r"(?m)^[ \t]*#[ \t]*define[ \t]+\w+", code):
        macro = word.split()[-1]
        if not macro.startswith("CROSSVM_") and (name, macro) not in FOREIGN_MACROS:
            report.wrong(f"{name}:{line}", f"macro {macro} does not start with CROSSVM_")


def check_names(report, name, text, functions):
    code = common.without_comments(text)
    for line, _ in lines_with(r"\btypedef\b", code):
        report.wrong(f"{name}:{line}", "typedef")
    check_macros(report, name, text)
    for kind, tag, body in common.tags(text):
        if not tag.startswith("crossvm_") or tag.endswith("_t"):
            report.wrong(name, f"{kind} {tag}: should be crossvm_ something without _t")
        if kind == "enum":
            for value in common.enumerators(body):
                if not value.startswith("CROSSVM_"):
                    report.wrong(name, f"enumerator {value} does not start with CROSSVM_")
    for function in functions:
        if not function.name.startswith("crossvm_"):
            report.wrong(f"{name}:{function.line}", f"function {function.name}: not crossvm_")


def main():
    report = common.Report()
    source = common.source_dir()
    found = common.headers(source)
    found_cxx = common.cxx_headers(source)
    for name, path in found:
        text = path.read_text(encoding="utf-8")
        if name != UMBRELLA and name not in LAYERS:
            report.wrong(name, "is not in the table of layers (tests/build/check_layers.py)")
            continue
        functions = common.functions(text)
        check_includes(report, name, text)
        check_access(report, name, text, functions)
        check_form(report, name, text)
        check_guards(report, name, text, functions)
        check_names(report, name, text, functions)
        if name == UMBRELLA:
            check_umbrella(report, text)
    for name, path in found_cxx:
        if name not in CXX:
            report.wrong(name, "is not in the table of C++ headers (tests/build/check_layers.py)")
            continue
        text = path.read_text(encoding="utf-8")
        check_form(report, name, text)
        check_access(report, name, text, [])
        check_cxx(report, name, text)
    for name in (LAYERS.keys() | CXX.keys()) - {name for name, _ in found + found_cxx}:
        report.wrong(name, "is in the table of layers, but does not exist")
    return report.finish(f"{len(found)} headers keep to their layers, {len(found_cxx)} are C++")


if __name__ == "__main__":
    sys.exit(main())
