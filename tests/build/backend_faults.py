# SPDX-License-Identifier: Apache-2.0
"""Backends for devices that are not here are tried on models; so it is shown that the models catch a
backend that does the wrong thing: each fault is planted into a copy of the headers, and the unit
has to fail by its own checks.

    python3 backend_faults.py SOURCE_DIR [CC]

    python3 backend_faults.py SOURCE_DIR CC FAULT    only faults with these words
"""
import pathlib
import platform
import shutil
import subprocess
import sys

sys.dont_write_bytecode = True  # the sources stay as they are
import common

LIMIT = 60  # seconds: a program that hangs has noticed, too

# What is broken, the unit that has to notice, the header, what is replaced by what; each text
# occurs exactly once.
FAULTS = [
    ("a wait does not let the next interrupt through", "ivshmem_v2", "ivshmem_v2.h", """\
            crossvm_i_ivshmem_v2_arm(v2);
            return CROSSVM_OK;
""", """\
            return CROSSVM_OK;
"""),
    ("opening does not let interrupts through", "ivshmem_v2", "ivshmem_v2.h", """\
    crossvm_i_ivshmem_v2_arm(v2);
    return CROSSVM_OK;
}

/* The output of a peer""", """\
    return CROSSVM_OK;
}

/* The output of a peer"""),
    ("what is looked at behind a wait may have been looked at before", "ivshmem_v2", "ivshmem_v2.h",
     """\
CROSSVM_IVSHMEM_V2_CONTROL), 1);
    crossvm_system_barrier();
""", """\
CROSSVM_IVSHMEM_V2_CONTROL), 1);
"""),
    ("a ring with peer and vector swapped", "ivshmem_v2", "ivshmem_v2.h",
     "peer << 16 | vector);", "vector << 16 | peer);"),
    ("a ring without a barrier", "ivshmem_v2", "ivshmem_v2.h", """\
    crossvm_system_barrier();
    crossvm_store_relaxed(crossvm_i_ivshmem_v2_register(v2, CROSSVM_IVSHMEM_V2_DOORBELL),
""", """\
    crossvm_store_relaxed(crossvm_i_ivshmem_v2_register(v2, CROSSVM_IVSHMEM_V2_DOORBELL),
"""),
    ("a ring in another register", "ivshmem_v2", "ivshmem_v2.h",
     "#define CROSSVM_IVSHMEM_V2_DOORBELL  12u", "#define CROSSVM_IVSHMEM_V2_DOORBELL  8u"),
    ("a ring for somebody who cannot be there", "ivshmem_v2", "ivshmem_v2.h",
     "peer >= v2->n_ids || vector > 0xffff", "peer > 0xffff || vector > 0xffff"),
    ("a state without a barrier", "ivshmem_v2", "ivshmem_v2.h", """\
    crossvm_system_barrier();
    crossvm_store_relaxed(crossvm_i_ivshmem_v2_register(v2, CROSSVM_IVSHMEM_V2_STATE), state);
""", """\
    crossvm_store_relaxed(crossvm_i_ivshmem_v2_register(v2, CROSSVM_IVSHMEM_V2_STATE), state);
"""),
    ("every output is taken for the first one", "ivshmem_v2", "ivshmem_v2.h",
     "(size_t)peer * (size_t)v2->output_len", "(size_t)0 * peer"),
    ("outputs are found one page too far", "ivshmem_v2", "ivshmem_v2.h",
     "(size_t)peer * (size_t)v2->output_len",
     "(size_t)peer * (size_t)v2->output_len + 4096"),
    ("the outputs of others are mapped for writing", "ivshmem_v2", "ivshmem_v2.h",
     '"input_sections", CROSSVM_READ_ONLY', '"input_sections", CROSSVM_READ_WRITE'),
    ("the own output is mapped for reading alone", "ivshmem_v2", "ivshmem_v2.h",
     '"output_section", CROSSVM_READ_WRITE', '"output_section", CROSSVM_READ_ONLY'),
    ("the shared section is taken for the own output", "ivshmem_v2", "ivshmem_v2.h",
     '"output_section", CROSSVM_READ_WRITE', '"rw_section", CROSSVM_READ_WRITE'),
    ("maps are known by numbers", "ivshmem_v2", "ivshmem_v2.h",
     "if (__builtin_strcmp(text, wanted) == 0) {",
     "if (text[0] != 0 && i == (name[0] == 'o' ? 4 : name[0] == 'i' ? 3 : name[1] == 'w' ? 2 : "
     "name[0] == 's')) {"),
    ("a map's number is taken for an offset in bytes", "ivshmem_v2", "ivshmem_v2.h",
     "(uint64_t)number * page, len", "(uint64_t)number * 4, len"),
    ("a state is the neighbour's", "ivshmem_v2", "ivshmem_v2.h",
     "v2->table.base + peer)", "v2->table.base + (peer + 1) % v2->n_ids)"),
    ("a change of state is missed", "ivshmem_v2", "ivshmem_v2.h", """\
        if (now == watched[i].state) {
""", """\
        if (now == watched[i].state || now == 0) {
"""),
    ("a change of state is told again and again", "ivshmem_v2", "ivshmem_v2.h", """\
        watched[i].state = now;
""", ""),
    ("every change is a death", "ivshmem_v2", "ivshmem_v2.h",
     "change->died = now == 0;", "change->died = true;"),
    ("closing leaves the device open", "ivshmem_v2", "ivshmem_v2.h", """\
        crossvm_i_posix_close(v2->file);
        v2->file = -1;
""", """\
        v2->file = -1;
"""),
    ("a look at what devices there are opens them", "ivshmem_v2", "ivshmem_v2.h", """\
        (void)snprintf(device.uio, sizeof(device.uio), "%.15s", entry->d_name);
""", """\
        (void)snprintf(device.uio, sizeof(device.uio), "%.15s", entry->d_name);
        char file[32];
        (void)snprintf(file, sizeof(file), "/dev/%s", device.uio);
        crossvm_i_posix_close(open(file, O_RDWR | O_NONBLOCK | O_CLOEXEC));
"""),
    ("an id is not judged", "ivshmem_v2", "ivshmem_v2.h", " && v2->id < v2->n_ids", ""),
    ("a device for one peer is taken", "ivshmem_v2", "ivshmem_v2.h",
     "v2->n_ids >= 2 && ", "v2->n_ids != 0 && "),
    ("any number of peers is taken", "ivshmem_v2", "ivshmem_v2.h",
     " && v2->n_ids <= CROSSVM_IVSHMEM_V2_PEERS", ""),
    ("the length of the table is not judged", "ivshmem_v2", "ivshmem_v2.h",
     "v2->table.len >= (uint64_t)v2->n_ids * sizeof(uint32_t)", "v2->table.len != 0"),
    ("the length of outputs is not judged", "ivshmem_v2", "ivshmem_v2.h",
     "v2->inputs.len / v2->n_ids == v2->output_len", "v2->inputs.len / v2->n_ids < UINT64_MAX"),
    ("a length that is no number of pages is taken", "ivshmem_v2", "ivshmem_v2.h",
     "len == 0 || len % page != 0", "len == 0"),
    ("all vectors are waited for, one by one", "ivshmem_v2", "ivshmem_v2.h", """\
    if (vector != 0) {
        return CROSSVM_NOT_FOUND;
    }
""", """\
    (void)vector;
"""),
    ("an interrupt is waited for without the count being read", "ivshmem_v2", "ivshmem_v2.h",
     "read(v2->file, &count, sizeof(count))", "read(v2->file, &count, 1)"),
    ("vectors are known by the BAR", "ivshmem_acrn", "ivshmem_pci.h",
     "crossvm_i_ivshmem_pci_bar(slot, 1) != 0 && n_vectors != 0",
     "crossvm_i_ivshmem_pci_bar(slot, 1) != 0"),
    ("one vector too few", "ivshmem_acrn", "ivshmem_pci.h", "& 0x7ff) + 1;", "& 0x7ff);"),
    ("bits that are not the number of vectors count", "ivshmem_acrn", "ivshmem_pci.h",
     "& 0x7ff) + 1;", "& 0xffff) + 1;"),
    ("another capability is taken for MSI-X", "ivshmem_acrn", "ivshmem_pci.h",
     "config[at] == 0x11", "config[at] == 0x09"),
    ("a list of capabilities that is said not to be there", "ivshmem_acrn", "ivshmem_pci.h",
     "(config[6] & 0x10) != 0 ? config[0x34] & 0xfcu : 0", "config[0x34] & 0xfcu"),
    ("a circle of capabilities without end", "ivshmem_acrn", "ivshmem_pci.h",
     "i < 48 && at >= 64; i++", "at >= 64; i++"),
    ("reserved bits of a capability's place", "ivshmem_acrn", "ivshmem_pci.h",
     "at = config[at + 1] & 0xfcu;", "at = config[at + 1];"),
    ("half a configuration space is believed", "ivshmem_acrn", "ivshmem_pci.h",
     "if (len != (ssize_t)sizeof(config)) {", "if (len < 64) {"),
    ("any vendor's region", "ivshmem_acrn", "ivshmem_pci.h", """\
    return device->subsystem_vendor == CROSSVM_IVSHMEM_ACRN &&
           device->subsystem_id == *(const uint32_t *)region;
""", """\
    return device->subsystem_id == *(const uint32_t *)region;
"""),
    ("a region's neighbour", "ivshmem_acrn", "ivshmem_pci.h",
     "device->subsystem_id ==", "(device->subsystem_id ^ 1) =="),
    ("sixteen bits of a region's id", "ivshmem_acrn", "ivshmem_pci.h",
     "== *(const uint32_t *)region", "== (*(const uint32_t *)region & 0xffff)"),
]


def broken_headers(source, work, header, old, new):
    """A copy of the headers with one text replaced."""
    copy = work / "include"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(source / "include", copy)
    path = copy / "crossvm" / "backend" / header
    text = path.read_text(encoding="utf-8")
    if text.count(old) != 1:
        sys.exit(f"backend_faults.py: {header} has {text.count(old)} times, not once:\n{old}")
    path.write_text(text.replace(old, new), encoding="utf-8")
    return copy


def run_unit(source, work, include, unit, compiler):
    subprocess.run([compiler, "-std=c11", "-O0", "-I", include, "-I", source / "tests",
                    source / "tests" / "unit" / f"{unit}.c", "-o", work / unit, "-lpthread"],
                   check=True)
    try:
        return subprocess.run([work / unit], capture_output=True, text=True, timeout=LIMIT)
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(unit, None, "", "hangs")


def main():
    source = common.source_dir()
    compiler = sys.argv[2] if len(sys.argv) > 2 else "cc"
    only = sys.argv[3] if len(sys.argv) > 3 else ""
    if platform.system() != "Linux":
        print("skipped: the backends are for Linux")
        return 77
    report = common.Report()
    with common.work_dir() as name:
        work = pathlib.Path(name)
        chosen = [fault for fault in FAULTS if only in fault[0]]
        for unit in sorted({fault[1] for fault in chosen}):
            run = run_unit(source, work, source / "include", unit, compiler)
            if run.returncode != 0:
                report.wrong(unit, f"fails without a fault:\n{run.stdout}{run.stderr}")
        for what, unit, header, old, new in chosen:
            include = broken_headers(source, work, header, old, new)
            run = run_unit(source, work, include, unit, compiler)
            seen = [line for line in run.stdout.splitlines() if "failed: " in line]
            if run.stderr == "hangs":
                print(f"{unit}: {what}: it hangs")
            elif run.returncode != 1 or not seen:
                report.wrong(f"{unit}, {header}", f"not noticed: {what} ({run.returncode})")
            else:
                print(f"{unit}: {what}: {seen[0][len(str(source)) + 1:]}")
    return report.finish(f"{len(chosen)} planted faults, each is noticed")


if __name__ == "__main__":
    sys.exit(main())
