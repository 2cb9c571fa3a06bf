# SPDX-License-Identifier: Apache-2.0
"""The library is broken on purpose, one order of stores at a time, in a copy of its headers; the
crash images have to show each break.

    python3 faults.py SOURCE_DIR [CC]

A weakened fence is not seen here: single steps of one processor see every store in its order.
tests/verify is for those.
"""
import pathlib
import platform
import re
import shutil
import subprocess
import sys

sys.dont_write_bytecode = True  # the sources stay as they are
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "build"))
import common

# What is broken, the program that has to notice, the header, what is replaced by what; each text
# occurs exactly once.
FAULTS = [
    ("the tail is stored before the element", "spsc", "spsc.h", """\
    unsigned char *slot = crossvm_i_spsc_tx_slot(tx, tx->tail, tx->stride);
    if (tx->device) {
        crossvm_copy_out_device(slot, elem, tx->elem_len);
    } else {
        crossvm_copy_put(slot, elem, tx->elem_len);
    }
    crossvm_i_spsc_tx_publish(tx, 1);
""", """\
    unsigned char *slot = crossvm_i_spsc_tx_slot(tx, tx->tail, tx->stride);
    crossvm_i_spsc_tx_publish(tx, 1);
    __asm__ volatile("" ::: "memory");
    if (tx->device) {
        crossvm_copy_out_device(slot, elem, tx->elem_len);
    } else {
        crossvm_copy_put(slot, elem, tx->elem_len);
    }
"""),
    ("a grant is shown before its words", "spsc", "spsc.h", """\
    crossvm_store_relaxed(&own->status, answer);
    crossvm_store_relaxed(&own->capacity, capacity);
    crossvm_store_relaxed(&own->elem_len, elem_len);
    crossvm_i_spsc_name_store(&own->peer_chunk, &tx->granted_to);
    CROSSVM_STORE_RELEASE(spsc_grant, &own->grant, request);
""", """\
    crossvm_i_spsc_name_store(&own->peer_chunk, &tx->granted_to);
    CROSSVM_STORE_RELEASE(spsc_grant, &own->grant, request);
    __asm__ volatile("" ::: "memory");
    crossvm_store_relaxed(&own->status, answer);
    crossvm_store_relaxed(&own->capacity, capacity);
    crossvm_store_relaxed(&own->elem_len, elem_len);
"""),
    ("an acceptance is shown before the name of what is accepted", "spsc", "spsc.h", """\
    crossvm_i_spsc_name_store(&rx->own->peer_chunk, peer);
    CROSSVM_STORE_RELEASE(spsc_accept, &rx->own->accepted, rx->request);
""", """\
    CROSSVM_STORE_RELEASE(spsc_accept, &rx->own->accepted, rx->request);
    __asm__ volatile("" ::: "memory");
    crossvm_i_spsc_name_store(&rx->own->peer_chunk, peer);
"""),
    ("a start does not say that it is one", "spsc", "spsc.h", """\
    crossvm_store_relaxed(incarnation, old | 1u);
""", ""),
    ("a request's number is not kept", "spsc", "spsc.h", """\
    crossvm_store_relaxed(&own->asked, rx->asked);
""", ""),
    ("a request is changed while it stands", "spsc", "spsc.h", """\
    crossvm_store_relaxed(&own->request, 0);
""", ""),
    ("a slot is not marked while it is written", "snapshot", "slots.h", """\
    CROSSVM_STORE_RELEASE(slot_begin, &slot->mark, (uint32_t)doubled - 1);
""", ""),
    ("the newest version is announced before its mark", "snapshot", "slots.h", """\
    crossvm_i_slots_complete(slot, version);
    crossvm_i_slots_announce(slots, version);
""", """\
    crossvm_i_slots_announce(slots, version);
    __asm__ volatile("" ::: "memory");
    crossvm_i_slots_complete(slot, version);
"""),
    ("length and times are stored behind the commit", "snapshot", "snapshot.h", """\
    crossvm_store_relaxed(&slot->len, len);
    crossvm_store_pair(&slot->sampled_lo, &slot->sampled_hi, sampled_ns);
    crossvm_store_pair(&slot->published_lo, &slot->published_hi, published_ns);
    writer->version++;
    writer->len = len;
    writer->pending = NULL;
    crossvm_slots_writer_commit(&writer->slots, slot, writer->version);
""", """\
    writer->version++;
    writer->len = len;
    writer->pending = NULL;
    crossvm_slots_writer_commit(&writer->slots, slot, writer->version);
    __asm__ volatile("" ::: "memory");
    crossvm_store_relaxed(&slot->len, len);
    crossvm_store_pair(&slot->sampled_lo, &slot->sampled_hi, sampled_ns);
    crossvm_store_pair(&slot->published_lo, &slot->published_hi, published_ns);
"""),
    ("a restarted writer skips a version", "snapshot", "slots.h", """\
    *version = ticket.version;
    return CROSSVM_OK;
""", """\
    *version = ticket.version + 1;
    return CROSSVM_OK;
"""),
    ("an element is complete before it is written", "broadcast", "broadcast.h", """\
    crossvm_i_slots_copy_out(&writer->slots, crossvm_i_slot_payload(slot), elem, len);
    crossvm_store_relaxed(&slot->len, len);
    writer->number++;
    crossvm_i_slots_complete(slot, writer->number);
""", """\
    writer->number++;
    crossvm_i_slots_complete(slot, writer->number);
    crossvm_i_slots_announce(&writer->slots, writer->number);
    crossvm_i_slots_copy_out(&writer->slots, crossvm_i_slot_payload(slot), elem, len);
    crossvm_store_relaxed(&slot->len, len);
"""),
    ("an element is handed back before its answer", "exchange", "exchange.h", """\
    crossvm_i_spsc_put_run(rx->device, rx->replies + at, (const unsigned char *)answer, 1,
                           queue->elem_len, queue->stride);
    crossvm_i_exchange_rx_hand_back(rx, 1);
""", """\
    crossvm_i_exchange_rx_hand_back(rx, 1);
    crossvm_i_spsc_put_run(rx->device, rx->replies + at, (const unsigned char *)answer, 1,
                           queue->elem_len, queue->stride);
"""),
    ("an exchange's element is published before it is written", "exchange", "exchange.h", """\
    crossvm_i_spsc_put_run(queue->device, crossvm_i_spsc_tx_slot(queue, queue->tail, queue->stride),
                           (const unsigned char *)elem, 1, queue->elem_len, queue->stride);
    crossvm_i_spsc_tx_publish(queue, 1);
""", """\
    crossvm_i_spsc_tx_publish(queue, 1);
    __asm__ volatile("" ::: "memory");
    crossvm_i_spsc_put_run(queue->device,
                           crossvm_i_spsc_tx_slot(queue, queue->tail - 1, queue->stride),
                           (const unsigned char *)elem, 1, queue->elem_len, queue->stride);
"""),
    ("a claim is committed before its element", "mpsc", "mpsc.h", """\
    crossvm_copy_put(place, elem, tx->ring.elem_len);
    return crossvm_mpsc_tx_commit(tx);
""", """\
    status = crossvm_mpsc_tx_commit(tx);
    crossvm_copy_put(place, elem, tx->ring.elem_len);
    return status;
"""),
    ("a restarted writer leaves its predecessor's claim", "mpsc", "mpsc.h", """\
    (void)crossvm_i_mpsc_bury(&tx->ring, writer);
    return CROSSVM_OK;
""", """\
    return CROSSVM_OK;
"""),
    ("a block is shown before it is in the table", "pool", "pool.h", """\
    crossvm_store_relaxed(crossvm_i_pool_own_word(owner->own, block), readers);
    crossvm_store_relaxed(&shm->len, len);
    CROSSVM_STORE_RELEASE(pool_publish, &shm->generation, ours->generation);
""", """\
    CROSSVM_STORE_RELEASE(pool_publish, &shm->generation, ours->generation);
    __asm__ volatile("" ::: "memory");
    crossvm_store_relaxed(crossvm_i_pool_own_word(owner->own, block), readers);
    crossvm_store_relaxed(&shm->len, len);
"""),
    ("a loan without content stays in the table", "pool", "pool.h", """\
        ours->lent = 0;
        crossvm_store_relaxed(crossvm_i_pool_own_word(owner->own, i), 0);
        crossvm_i_pool_retire(owner, i);
""", """\
        ours->lent = 0;
        crossvm_i_pool_retire(owner, i);
"""),
    ("a restarted reader does not say so", "pool", "pool.h", """\
        /* A death between a word and its count: the owner looks once more. */
        crossvm_i_pool_counted(reader);
""", ""),
    ("a chunk is cleared before the directory says so", "region", "region.h", """\
    crossvm_i_directory_publish(owner);
    crossvm_i_wipe(&owner->region, ours->off, ours->length);
    crossvm_i_chunk_start(&owner->region, ours);
""", """\
    crossvm_i_wipe(&owner->region, ours->off, ours->length);
    crossvm_i_chunk_start(&owner->region, ours);
    crossvm_i_directory_publish(owner);
"""),
    ("a chunk is in the directory before it is cleared", "region", "region.h", """\
    crossvm_i_wipe(&owner->region, made.off, made.length);
    crossvm_i_chunk_start(&owner->region, &made);
    for (uint32_t i = owner->n_chunks; i > index; i--) {
        owner->table[i] = owner->table[i - 1];
    }
    owner->table[index] = made;
    owner->n_chunks++;
    crossvm_i_directory_publish(owner);
""", """\
    for (uint32_t i = owner->n_chunks; i > index; i--) {
        owner->table[i] = owner->table[i - 1];
    }
    owner->table[index] = made;
    owner->n_chunks++;
    crossvm_i_directory_publish(owner);
    crossvm_i_wipe(&owner->region, made.off, made.length);
    crossvm_i_chunk_start(&owner->region, &made);
"""),
    ("a chunk starts before it is cleared", "region", "region.h", """\
            crossvm_i_wipe(region, chunk->off, chunk->length);
            crossvm_i_chunk_start(region, chunk);
""", """\
            crossvm_i_chunk_start(region, chunk);
            crossvm_i_wipe(region, chunk->off, chunk->length);
            crossvm_i_chunk_start(region, chunk);
"""),
    ("a released chunk's epoch goes before its entry", "region", "region.h", """\
    crossvm_i_directory_publish(owner);
    crossvm_i_wipe_epochs(&owner->region, gone.off, CROSSVM_LINE);
""", """\
    crossvm_i_wipe_epochs(&owner->region, gone.off, CROSSVM_LINE);
    crossvm_i_directory_publish(owner);
"""),
    ("an owner that adopts leaves the last chunk's epoch", "region", "region.h", """\
    crossvm_i_wipe_epochs(region, end, region->length - end);
""", ""),
    ("a shorter region leaves the epochs behind its end", "region", "region.h", """\
        crossvm_i_wipe_epochs(region, CROSSVM_DIR_OFF, earlier - CROSSVM_DIR_OFF);
""", ""),
    ("the magic is stored before the header", "region", "region.h", """\
    size_t skip = sizeof(header.magic);
    crossvm_i_slots_copy_out(&region->directory, (unsigned char *)shm + skip,
                             (unsigned char *)&header + skip, sizeof(header) - skip);
    CROSSVM_STORE_RELEASE(region_magic, &shm->magic, CROSSVM_MAGIC);
""", """\
    size_t skip = sizeof(header.magic);
    CROSSVM_STORE_RELEASE(region_magic, &shm->magic, CROSSVM_MAGIC);
    crossvm_i_slots_copy_out(&region->directory, (unsigned char *)shm + skip,
                             (unsigned char *)&header + skip, sizeof(header) - skip);
"""),
    ("the generation counter begins anew", "region", "region.h", """\
    owner->generation = crossvm_load_relaxed(crossvm_i_counter(region));

""", """\
    owner->generation = 0;

"""),
    ("a waiter says that it waits before it says for what", "wake", "wake.h", """\
    crossvm_store_relaxed(&line->event, event);
    crossvm_store_pair(&line->delay_lo, &line->delay_hi, delay_ns);
    crossvm_store_relaxed(&line->mode, CROSSVM_WAKE_EVENT);
""", """\
    crossvm_store_relaxed(&line->mode, CROSSVM_WAKE_EVENT);
    __asm__ volatile("" ::: "memory");
    crossvm_store_relaxed(&line->event, event);
    crossvm_store_pair(&line->delay_lo, &line->delay_hi, delay_ns);
"""),
    ("a life shows itself before the last one's answer is taken back", "peer", "peer.h", """\
    crossvm_store_relaxed(&own->echo, 0);
    crossvm_store_relaxed(&own->closed, 0);
    crossvm_store_relaxed(&own->question, 0);
    CROSSVM_STORE_RELEASE(peer_incarnation, &own->incarnation, next);
""", """\
    CROSSVM_STORE_RELEASE(peer_incarnation, &own->incarnation, next);
    __asm__ volatile("" ::: "memory");
    crossvm_store_relaxed(&own->echo, 0);
    crossvm_store_relaxed(&own->closed, 0);
    crossvm_store_relaxed(&own->question, 0);
"""),
    ("a life begins under the number of the last one", "peer", "peer.h", """\
    crossvm_store_relaxed(&own->incarnation, old | 1u);
    CROSSVM_FENCE_RELEASE(peer_words, &own->incarnation);
""", ""),
    ("a life that starts has forgotten the last number", "peer", "peer.h", """\
    crossvm_store_relaxed(&own->incarnation, old | 1u);
""", """\
    crossvm_store_relaxed(&own->incarnation, 1u);
"""),
    ("a reply has its number before its time", "peer", "peer.h", """\
    crossvm_store_pair(&own->time_lo, &own->time_hi, now_ns);
    CROSSVM_STORE_RELEASE(peer_asker, &own->asker, peer->echo);
    CROSSVM_STORE_RELEASE(peer_reply, &own->reply, peer->to_reply);
""", """\
    CROSSVM_STORE_RELEASE(peer_asker, &own->asker, peer->echo);
    CROSSVM_STORE_RELEASE(peer_reply, &own->reply, peer->to_reply);
    __asm__ volatile("" ::: "memory");
    crossvm_store_pair(&own->time_lo, &own->time_hi, now_ns);
"""),
    ("a step takes its answer back for a moment", "peer", "peer.h", """\
    crossvm_store_relaxed(&peer->own->beat, ++peer->beat);
    crossvm_i_peer_look_at(peer, &look);
""", """\
    crossvm_store_relaxed(&peer->own->beat, ++peer->beat);
    crossvm_store_relaxed(&peer->own->echo, 0);
    __asm__ volatile("" ::: "memory");
    crossvm_store_relaxed(&peer->own->echo, peer->echo);
    crossvm_i_peer_look_at(peer, &look);
"""),
    ("a lost life is still answered", "peer", "peer.h", """\
    crossvm_i_peer_forget_times(peer);
    crossvm_i_peer_answer(peer, 0);
""", """\
    crossvm_i_peer_forget_times(peer);
    peer->echo = 0;
"""),
    ("a chunk that is kept for the next life is released", "peer", "peer.h", """\
        if (holding->policy == CROSSVM_PEER_KEEP) {
            i++;
            continue;
        }
""", ""),
    ("a byte is written that was not to be", "bytes", "bytes.h", """\
        crossvm_copy_out(writer->data + (size_t)off, src, len);
""", """\
        crossvm_copy_out(writer->data + (size_t)off - 1, src, len + 1);
"""),
    ("an input that is taken out keeps what it held back", "services", "fanin.h", """\
    crossvm_i_fanin_flush(input->queue);
    if (fanin->turn == place) {
""", """\
    if (fanin->turn == place) {
"""),
    ("a wait arms before it has published what it held back", "services", "spsc.h", """\
    crossvm_spsc_rx_flush(rx);
    uint32_t known = rx->tail - rx->head;
    if (known < want) {
""", """\
    uint32_t known = rx->tail - rx->head;
    if (known < want) {
"""),
]


def broken_headers(source, work, header, old, new):
    """A copy of the headers with one text replaced."""
    copy = work / "include"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(source / "include", copy)
    path = copy / "crossvm" / header
    text = path.read_text(encoding="utf-8")
    if text.count(old) != 1:
        sys.exit(f"faults.py: {header} has {text.count(old)} times, not once:\n{old}")
    path.write_text(text.replace(old, new), encoding="utf-8")
    return copy


def images(source, work, include, program, compiler):
    subprocess.run([compiler, "-std=c11", "-O1", "-DCRASH_UP_TO_THE_FIRST", "-I", include,
                    "-I", source / "tests", source / "tests" / "crash" / f"{program}.c",
                    "-o", work / program, "-Wl,-z,now", "-lpthread"], check=True)
    return subprocess.run([work / program], capture_output=True, text=True, timeout=600)


def main():
    source = common.source_dir()
    compiler = sys.argv[2] if len(sys.argv) > 2 else "cc"
    if (platform.machine(), platform.system()) != ("x86_64", "Linux"):
        print("skipped: single steps are known of x86-64 Linux only")
        return 77
    report = common.Report()
    with common.work_dir() as name:
        work = pathlib.Path(name)
        for what, program, header, old, new in FAULTS:
            include = broken_headers(source, work, header, old, new)
            run = images(source, work, include, program, compiler)
            if run.returncode == 77:
                print(next(l for l in run.stdout.splitlines() if l.startswith("skipped: ")))
                return 77
            where = re.search(r"^violation: (.*)\n  at (.*)$", run.stdout, re.M)
            if run.returncode != 1 or not where:
                report.wrong(f"{program}, {header}", f"not noticed: {what}")
            else:
                print(f"{program}: {what}: {where.group(2)}")
    programs = {path.stem for path in (source / "tests" / "crash").glob("*.c")}
    for program in sorted(programs - {fault[1] for fault in FAULTS}):
        report.wrong(program, "no fault is planted for it")
    return report.finish(f"{len(FAULTS)} planted faults, each is noticed")


if __name__ == "__main__":
    sys.exit(main())
