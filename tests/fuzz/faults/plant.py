#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Plants one fault into a copy of the headers, for tests/fuzz/planted.sh.

plant.py SOURCE_DIR --list          names of the faults, each with the target that has to find it
plant.py SOURCE_DIR FAULT OUT_DIR   copies include/ to OUT_DIR and plants the fault there

A fault is a text of one header that is replaced by another; the text has to stand there exactly
once, else nothing was planted and this fails.
"""
import pathlib
import shutil
import sys

# name: (target, header, text, text with the fault)
FAULTS = {
    "spsc-tail-loaded-twice": (
        "spsc", "spsc.h",
        "        rx->found = tail - rx->tail;\n        rx->tail = tail;\n",
        "        rx->found = tail - rx->tail;\n"
        "        rx->tail = crossvm_load_relaxed(&rx->peer->line.index);\n"),
    "spsc-tail-unjudged": (
        "spsc", "spsc.h",
        "        if (tail - rx->tail > rx->capacity - known) {\n",
        "        if (tail == rx->tail - 1) {\n"),
    "spsc-head-unjudged": (
        "spsc", "spsc.h",
        "    if (head - tx->head > tx->tail - tx->head) {\n",
        "    if (head == tx->head - 1) {\n"),
    "spsc-request-loaded-twice": (
        "spsc", "spsc.h",
        "    tx->capacity = capacity;\n    tx->elem_len = elem_len;\n"
        "    crossvm_i_spsc_answer(tx, request, capacity,",
        "    tx->capacity = crossvm_load_relaxed(&tx->peer->capacity);\n"
        "    tx->elem_len = elem_len;\n"
        "    crossvm_i_spsc_answer(tx, request, capacity,"),
    "region-length-unjudged": (
        "region", "region.h",
        "    if (length > mapping->len) {\n",
        "    if (length > mapping->len + 4096) {\n"),
    "region-capacity-loaded-twice": (
        "region", "region.h",
        "    region->granule = granule;\n    region->capacity = capacity;\n",
        "    region->granule = granule;\n"
        "    region->capacity = crossvm_load_relaxed(&crossvm_i_header(region)->capacity);\n"),
    "region-entry-loaded-twice": (
        "region", "region.h",
        "    walk->end = chunk->off + chunk->length;\n    walk->next++;\n",
        "    chunk->length = crossvm_load_relaxed(\n"
        "        &((const struct crossvm_entry_shm *)(const void *)entry)->length_lo);\n"
        "    walk->end = chunk->off + chunk->length;\n    walk->next++;\n"),
    "region-tries-without-end": (
        "region", "region.h",
        "    for (uint32_t i = 0; i < CROSSVM_DIRECTORY_TRIES && status == CROSSVM_TORN; i++) {\n"
        "        struct crossvm_i_walk walk;\n",
        "    while (status == CROSSVM_TORN) {\n        struct crossvm_i_walk walk;\n"),
    "snapshot-length-unjudged": (
        "snapshot", "snapshot.h",
        "    if (info->len > reader->payload_len) {\n",
        "    if (info->len == UINT32_MAX) {\n"),
    "snapshot-length-loaded-twice": (
        "snapshot", "snapshot.h",
        "        return status;\n    }\n    return CROSSVM_OK;\n}\n\n/* An older version than",
        "        return status;\n    }\n    info->len = crossvm_load_relaxed(&slot->len);\n"
        "    return CROSSVM_OK;\n}\n\n/* An older version than"),
    "snapshot-tries-without-end": (
        "snapshot", "snapshot.h",
        "    for (uint32_t i = 0; i < CROSSVM_SNAPSHOT_TRIES && status == CROSSVM_TORN; i++) {\n"
        "        status = crossvm_snapshot_reader_peek(reader, &view);\n",
        "    while (status == CROSSVM_TORN) {\n"
        "        status = crossvm_snapshot_reader_peek(reader, &view);\n"),
    "snapshot-restart-unjudged": (
        "snapshot", "snapshot.h",
        "    if (len > writer->payload_len) {\n        CROSSVM_FENCE_ACQUIRE(chunk_epoch,",
        "    if (len == UINT32_MAX) {\n        CROSSVM_FENCE_ACQUIRE(chunk_epoch,"),
    "broadcast-length-unjudged": (
        "broadcast", "broadcast.h",
        "    if (status == CROSSVM_OK && *len > reader->elem_len) {\n",
        "    if (status == CROSSVM_OK && *len == UINT32_MAX) {\n"),
    "broadcast-corrupt-forgotten": (
        "broadcast", "broadcast.h",
        "    if (reader->fault.rule != CROSSVM_RULE_NONE) {\n        return CROSSVM_CORRUPT;\n"
        "    }\n    search.n_kept",
        "    search.n_kept"),
    "bytes-range-wraps": (
        "bytes", "bytes.h",
        "    return off <= total && len <= total - off;\n",
        "    return off + len <= total;\n"),
    "wake-mode-loaded-twice": (
        "wake", "wake.h",
        "    if (mode != CROSSVM_WAKE_EVENT) {\n        return index != old;\n",
        "    if (crossvm_load_relaxed(&publisher->line->mode) != CROSSVM_WAKE_EVENT) {\n"
        "        return index != old;\n"),
    "exchange-head-unjudged": (
        "exchange", "exchange.h",
        "    if (queue->head - tx->queue.taken > queue->tail - tx->queue.taken) {\n",
        "    if (queue->head == tx->queue.taken - 1) {\n"),
    "exchange-restart-unjudged": (
        "exchange", "spsc.h",
        "    if (tx->chunk.kind == CROSSVM_KIND_SPSC_TX || "
        "tx->tail - tx->taken <= tx->capacity) {\n",
        "    if (tx->tail - tx->taken != UINT32_MAX) {\n"),
    "mpsc-corrupt-forgotten": (
        "mpsc", "mpsc.h",
        "    rx->state = CROSSVM_CORRUPT;\n    return crossvm_i_fault(&rx->fault, off, word,",
        "    return crossvm_i_fault(&rx->fault, off, word,"),
    "mpsc-tries-without-end": (
        "mpsc", "mpsc.h",
        "    for (uint32_t i = 0; i < CROSSVM_MPSC_TRIES && status == CROSSVM_TORN; i++) {\n",
        "    while (status == CROSSVM_TORN) {\n"),
    "pool-unit-unjudged": (
        "pool", "pool.h",
        "    if (off - reader->first_off >= reader->blocks_len) {\n",
        "    if (off < reader->first_off) {\n"),
    "pool-length-unjudged": (
        "pool", "pool.h",
        "        crossvm_i_pool_is_content(wanted) && view->len <= reader->block_len) {\n",
        "        crossvm_i_pool_is_content(wanted)) {\n"),
    "pool-number-loaded-twice": (
        "pool", "pool.h",
        "    bool begins = crossvm_i_multiply64(reader->stride, view->number) == "
        "off - reader->first_off;\n",
        "    bool begins = crossvm_i_multiply64(reader->stride, view->number) == "
        "off - reader->first_off;\n"
        "    view->number = crossvm_load_relaxed(&view->header->number);\n"),
    "waitset-wait-without-end": (
        "waitset", "service/waitset.h",
        "        if (now_ns >= deadline_ns) {\n",
        "        if (now_ns == UINT64_MAX) {\n"),
    "fanin-tail-loaded-twice": (
        "fanin", "fanin.h",
        "    uint32_t n = queue->tail - queue->head;\n    return (int)(n < fanin->credit",
        "    uint32_t n = crossvm_load_relaxed(&queue->peer->line.index) - queue->head;\n"
        "    return (int)(n < fanin->credit"),
    "pipe-wait-without-end": (
        "pipe", "service/pipe.h",
        "!stuck && crossvm_notify_now(pipe->bell.notify) < deadline_ns) {\n",
        "!stuck) {\n"),
    "peer-echo-loaded-twice": (
        "peer", "peer.h",
        "    if (answered && look->echo != peer->incarnation) {\n",
        "    if (answered && crossvm_load_relaxed(&peer->peer->echo) != peer->incarnation) {\n"),
    "peer-incarnation-not-compared": (
        "peer", "peer.h",
        "    if (starting || crossvm_load_relaxed(&words->incarnation) != look->incarnation) {\n",
        "    if (starting || crossvm_load_relaxed(&words->incarnation) == 0) {\n"),
    "peer-start-answered": (
        "peer", "peer.h",
        "    bool starting = (look->incarnation & 1u) != 0;\n",
        "    bool starting = look->incarnation == 1u;\n"),
    "peer-asker-loaded-twice": (
        "peer", "peer.h",
        "    if (reply != peer->question || asker != peer->incarnation) {\n",
        "    if (reply != peer->question ||\n"
        "        (asker != 1 && crossvm_load_relaxed(&words->asker) != peer->incarnation)) {\n"),
    "clock-age-wraps": (
        "peer", "clock.h",
        "    if (status != CROSSVM_OK || then_ns == 0 || most > UINT64_MAX / 4) {\n",
        "    if (status != CROSSVM_OK || then_ns == 0) {\n"),
    "spsc-corrupt-forgotten": (
        "spsc", "spsc.h",
        "    rx->state = CROSSVM_CORRUPT;\n    rx->n_avail = 0;\n",
        "    rx->n_avail = 0;\n"),
}


def plant(source, name, out):
    _, header, old, new = FAULTS[name]
    shutil.copytree(source / "include", out, dirs_exist_ok=True)
    path = out / "crossvm" / header
    text = path.read_text()
    if text.count(old) != 1:
        sys.exit(f"plant.py: {name}: its text stands in {header} {text.count(old)} times: "
                 "expected once")
    path.write_text(text.replace(old, new))


def main():
    if len(sys.argv) == 3 and sys.argv[2] == "--list":
        for name, fault in FAULTS.items():
            print(name, fault[0])
    elif len(sys.argv) == 4 and sys.argv[2] in FAULTS:
        plant(pathlib.Path(sys.argv[1]), sys.argv[2], pathlib.Path(sys.argv[3]))
    else:
        print(__doc__, file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
