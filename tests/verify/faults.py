#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Rules of the protocols, taken out of the code one after the other: a stress test has to notice.

    faults.py SOURCE_DIR [CC]

Each fault is a change of one place of a header, in a copy. It is no weakened ordering (those are
the model checker's mutants) but a step that is missing, or stands in the wrong place. The job that
it names has to fail with it, by an assertion and within its ordinary number of rounds, and to pass
without it. The model checker rejects each of them as well, by the same job.
"""
import pathlib
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass

sys.dont_write_bytecode = True  # the sources stay as they are
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "build"))
import common

LIMIT = 600  # seconds for one run: guards against hanging
FLAGS = ["-std=c11", "-O2", "-w", "-pthread", "-DMODEL_STEPS"]


@dataclass(frozen=True)
class Fault:
    name: str
    header: str  # below include/crossvm
    old: str  # stands there exactly once
    new: str
    job: str  # a line of tests/verify/jobs, without its group


FAULTS = [
    # ---- slots ----------------------------------------------------------------------------------
    Fault("slots: a slot that is being written is not marked", "slots.h",
          """\
    CROSSVM_STORE_RELEASE(slot_begin, &slot->mark, (uint32_t)doubled - 1);
""", "", "slots.c -DCOUNT=4"),
    Fault("slots: `latest` is stored before the complete mark", "slots.h",
          """\
    crossvm_i_slots_complete(slot, version);
    crossvm_i_slots_announce(slots, version);
""", """\
    crossvm_i_slots_announce(slots, version);
    crossvm_i_slots_complete(slot, version);
""", "slots.c"),
    Fault("slots: close does not compare the mark again", "slots.h",
          """\
    if (CROSSVM_LOAD_ACQUIRE(slot_recheck, &ticket->slot->mark) != ticket->mark ||
        crossvm_load_relaxed(&ticket->slot->hi) != ticket->hi) {
""", """\
    if (crossvm_load_relaxed(&ticket->slot->hi) != ticket->hi) {
""", "snapshot.c"),
    Fault("slots: another mark is called corrupt, though `latest` has moved on", "slots.h",
          """\
    if (status == CROSSVM_TORN && crossvm_load_relaxed(&slots->control->latest) == latest) {
""", """\
    if (status == CROSSVM_TORN) {
""", "slots.c"),
    Fault("slots: any complete mark is taken for the one of the version", "slots.h",
          """\
    if (ticket->mark != version_lo << 1 || (ticket->hi & 1) != version_lo >> 31) {
""", """\
    if ((ticket->mark & 1) != 0) {
""", "slots.c -DCOUNT=4"),
    Fault("slots: hi is not compared again", "slots.h",
          """\
    if (CROSSVM_LOAD_ACQUIRE(slot_recheck, &ticket->slot->mark) != ticket->mark ||
        crossvm_load_relaxed(&ticket->slot->hi) != ticket->hi) {
""", """\
    if (CROSSVM_LOAD_ACQUIRE(slot_recheck, &ticket->slot->mark) != ticket->mark) {
""", "slots_wrap.c"),
    Fault("slots: a complete mark counts without `latest`", "slots.h",
          """\
    if (latest - (uint32_t)version >= slots->n_slots) {
""", """\
    if (latest - (uint32_t)version >= slots->n_slots && latest - (uint32_t)version != UINT32_MAX) {
""", "slots_restart.c -DOLDER DIE=0..6"),
    Fault("slots: a writer that comes back skips a version", "slots.h",
          """\
    *version = ticket.version;
    return CROSSVM_OK;
""", """\
    *version = ticket.version + 1;
    return CROSSVM_OK;
""", "slots_restart.c DIE=0..6"),
    # ---- rings with several writers -------------------------------------------------------------
    Fault("mpsc: a claim is stored, not swapped", "mpsc.h",
          """\
    if (!crossvm_cas_relaxed(slot, word, claim)) {
        return CROSSVM_TORN;
    }
""", """\
    crossvm_store_relaxed(slot, claim);
""", "mpsc.c --disable-loop-jump-threading"),
    Fault("mpsc: a commit is stored, not swapped", "mpsc.h",
          """\
    if (!crossvm_cas_relaxed(slot, claim,
                             claim - CROSSVM_I_MPSC_CLAIMED + CROSSVM_I_MPSC_COMMITTED)) {
""", """\
    crossvm_store_relaxed(slot, claim - CROSSVM_I_MPSC_CLAIMED + CROSSVM_I_MPSC_COMMITTED);
    if (false) {
""", "mpsc_dead.c -DBURIES -DMISTAKEN --disable-loop-jump-threading"),
    Fault("mpsc: only the writer of the event's element rings", "mpsc.h",
          """\
    return waited_for || !again;
""", """\
    return event - tx->first_unkicked == 0 && (waited_for || !again);
""", "mpsc_sleep.c -DWANT=2 --disable-loop-jump-threading"),
    Fault("mpsc: a consumer that has armed does not look again", "mpsc.h",
          """\
        (void)crossvm_wake_at(&rx->waiter, event, delay_ns);
        n = crossvm_i_mpsc_rx_count(rx, want, &end);
""", """\
        (void)crossvm_wake_at(&rx->waiter, event, delay_ns);
""", "mpsc_sleep.c --disable-loop-jump-threading"),
    # ---- broadcasts -----------------------------------------------------------------------------
    Fault("broadcast: an element is announced before its mark is complete", "broadcast.h",
          """\
    writer->number++;
    crossvm_i_slots_complete(slot, writer->number);
""", """\
    writer->number++;
    crossvm_i_slots_announce(&writer->slots, writer->number);
    crossvm_i_slots_complete(slot, writer->number);
""", "broadcast.c"),
    Fault("broadcast: more than half the slots are announced at once", "broadcast.h",
          """\
        if (left == 0 || ((n - left) & (writer->slots.n_slots / 2 - 1)) == 0) {
""", """\
        if (left == 0) {
""", "broadcast.c -DMODEL_SLOTS=4 -DBATCH=3 -DBEHIND=2 -DCOUNT=1 -DREADS=1"),
    Fault("broadcast: another mark is called corrupt, though `latest` has moved on", "broadcast.h",
          """\
    if (crossvm_load_relaxed(&slots->control->latest) != (uint32_t)reader->newest) {
        return CROSSVM_TORN;
    }
""", "", "broadcast.c -DMODEL_SLOTS=4 -DBATCH=2 -DBEHIND=2 -DSTART=0xffffffffull"),
    Fault("broadcast: what a write under way has begun is called corrupt", "broadcast.h",
          """\
    if (reader->newest - number >= slots->n_slots / 2 && next_mark - ticket->mark <= 1) {
        return CROSSVM_TORN;
    }
""", "", "broadcast.c -DMODEL_SLOTS=4 -DBATCH=2 -DBEHIND=4 -DCOUNT=1"),
    Fault("broadcast: a number that was skipped over is not counted", "broadcast.h",
          """\
    reader->n_lost += lost;
""", "", "broadcast.c"),
    # ---- generations ----------------------------------------------------------------------------
    Fault("bytes: the epoch is not looked at behind the copy", "bytes.h",
          """\
    if (crossvm_load_relaxed(&reader->control->epoch) != reader->epoch) {
        return CROSSVM_STALE;
    }
    return CROSSVM_OK;
""", """\
    return CROSSVM_OK;
""", "epoch_bytes.c"),
    Fault("wipe: memory is cleared before its epochs are gone", "region.h",
          """\
    crossvm_i_wipe_epochs(region, off, length);
    CROSSVM_FENCE_RELEASE(chunk_epoch, memory);
""", """\
    crossvm_copy_zero(memory + CROSSVM_LINE, (size_t)length - CROSSVM_LINE);
    crossvm_i_wipe_epochs(region, off, length);
    CROSSVM_FENCE_RELEASE(chunk_epoch, memory);
""", "epoch_snapshot.c"),
    Fault("region: nothing is looked at behind the header's copy", "region.h",
          """\
    if (*epoch == 0 || crossvm_load_relaxed(&live->epoch) != *epoch) {
""", """\
    if (*epoch == 0) {
""", "region.c"),
    Fault("region: the epoch is looked at behind the magic", "region.h",
          """\
    *epoch = CROSSVM_LOAD_ACQUIRE(region_reformat, &live->epoch);
    if (CROSSVM_LOAD_ACQUIRE(region_magic, &shm->magic) != CROSSVM_MAGIC) {
        return CROSSVM_NOT_FORMATTED;
    }
""", """\
    if (CROSSVM_LOAD_ACQUIRE(region_magic, &shm->magic) != CROSSVM_MAGIC) {
        return CROSSVM_NOT_FORMATTED;
    }
    *epoch = CROSSVM_LOAD_ACQUIRE(region_reformat, &live->epoch);
""", "region.c"),
    Fault("region: the magic is stored before the header", "region.h",
          """\
    crossvm_i_directory_publish(owner);

    crossvm_i_header_encode(&header, plan, region);
""", """\
    CROSSVM_STORE_RELEASE(region_magic, &shm->magic, CROSSVM_MAGIC);
    crossvm_i_directory_publish(owner);

    crossvm_i_header_encode(&header, plan, region);
""", "region.c -DFIRST"),
    Fault("region: a format begins its generations anew", "region.h",
          """\
    crossvm_i_directory_set(region, 0);
    owner->generation = crossvm_load_relaxed(crossvm_i_counter(region));
""", """\
    crossvm_i_directory_set(region, 0);
    owner->generation = 0;
""", "format_restart.c -DDIE_EVERY=39"),
    # ---- queues ---------------------------------------------------------------------------------
    Fault("spsc: the tail is published before the element is there", "spsc.h",
          """\
    crossvm_copy_put(crossvm_i_spsc_tx_slot(tx, tx->tail, stride), elem, elem_len);
    tx->n_free--;
    crossvm_i_spsc_tx_publish(tx, 1);
""", """\
    crossvm_i_spsc_tx_publish(tx, 1);
    crossvm_copy_put(crossvm_i_spsc_tx_slot(tx, tx->tail - 1, stride), elem, elem_len);
    tx->n_free--;
""", "spsc.c -DCAPACITY=4 -DPREFILL=2 -DPUSHES=5 -DPOPS=5"),
    Fault("spsc: the head is published before the element was copied", "spsc.h",
          """\
    if (rx->device) {
        crossvm_copy_in_device(elem, slot, rx->elem_len);
    } else {
        crossvm_copy_take(elem, slot, rx->elem_len);
    }
    crossvm_i_spsc_rx_take(rx, 1);
""", """\
    crossvm_i_spsc_rx_take(rx, 1);
    crossvm_copy_take(elem, slot, rx->elem_len);
""", "spsc.c -DCAPACITY=1"),
    Fault("spsc: a request's number stays while its words change", "spsc.h",
          """\
    crossvm_store_relaxed(&own->request, 0);
""", "", "link.c -DFIRST=16u -DLAST=8u -DLAST_LEN=16u -DAFTER=0"),
    Fault("spsc: a request's number is not compared behind its words", "spsc.h",
          """\
    if (*request == 0 || crossvm_load_relaxed(&tx->peer->request) != *request) {
""", """\
    if (*request == 0) {
""", "link.c -DFIRST=16u -DLAST=8u -DLAST_LEN=16u -DAFTER=0"),
    Fault("spsc: a request's number is stored before its words", "spsc.h",
          """\
    crossvm_store_relaxed(&own->request, 0);
    CROSSVM_FENCE_RELEASE(spsc_request_words, &own->request);
""", """\
    CROSSVM_STORE_RELEASE(spsc_request, &own->request, rx->request);
""", "link.c -DANSWERED"),
    Fault("spsc: a grant's number is stored before its words", "spsc.h",
          """\
    CROSSVM_FENCE_RELEASE(spsc_grant_words, &own->grant);
    crossvm_store_relaxed(&own->status, answer);
""", """\
    CROSSVM_STORE_RELEASE(spsc_grant, &own->grant, request);
    crossvm_store_relaxed(&own->status, answer);
""", "link.c -DANSWERED -DFIRST=8u"),
    Fault("spsc: who asks again after a death uses the number again", "spsc.h",
          """\
    crossvm_store_relaxed(&own->asked, rx->asked);
""", "", "link_rx_restart.c DIE=0..9"),
    Fault("spsc: an incarnation that begins is not odd", "spsc.h",
          """\
    crossvm_store_relaxed(incarnation, old | 1u);
""", "", "incarnation.c DIE=0..3"),
    Fault("spsc: an incarnation that began forgets the one before", "spsc.h",
          """\
    crossvm_store_relaxed(incarnation, old | 1u);
""", """\
    crossvm_store_relaxed(incarnation, 1u);
""", "incarnation.c -DSAME DIE=0..3"),
    # ---- exchanges ------------------------------------------------------------------------------
    Fault("exchange: an answer is handed back before it is there", "exchange.h",
          """\
    size_t at = crossvm_i_multiply(queue->stride, queue->head & queue->mask);
    crossvm_i_spsc_put_run(rx->device,""", """\
    size_t at = crossvm_i_multiply(queue->stride, queue->head & queue->mask);
    crossvm_i_exchange_rx_hand_back(rx, 1);
    rx->queue.head--;
    crossvm_i_spsc_put_run(rx->device,""", "exchange.c"),
    Fault("exchange: a place is free when it was answered", "exchange.h",
          """\
    return tx->queue.capacity - (tx->queue.tail - tx->queue.taken);
""", """\
    return tx->queue.capacity - (tx->queue.tail - tx->queue.head);
""", "exchange.c -DPUSHES=4 -DTAKE_EVERY=2"),
    Fault("exchange: what was taken back is not written down", "exchange.h",
          """\
    crossvm_store_relaxed(&tx->queue.own->taken, tx->queue.taken);
""", "", "exchange_restart.c DIE=0..8"),
    Fault("exchange: a producer that is about to sleep does not look again", "exchange.h",
          """\
        answered = crossvm_exchange_tx_answered(tx);
    }
    if (answered < 0 ||""", """\
    }
    if (answered < 0 ||""", "exchange_sleep.c"),
    Fault("exchange: a client begins anew behind the element that it was answering", "exchange.h",
          """\
    rx->queue.head += n;
    crossvm_i_spsc_rx_publish(&rx->queue);
""", """\
    crossvm_i_spsc_rx_publish(&rx->queue);
    rx->queue.head += n;
""", "exchange_rx_restart.c DIE=0..8"),
    # ---- pools ----------------------------------------------------------------------------------
    Fault("pool: a block is counted before it is given back", "pool.h",
          """\
        crossvm_i_pool_return(reader, view->number, view->generation);
        crossvm_i_pool_counted(reader);
""", """\
        crossvm_i_pool_counted(reader);
        crossvm_i_pool_return(reader, view->number, view->generation);
""", "pool.c"),
    Fault("pool: a block that is filled again keeps its generation meanwhile", "pool.h",
          """\
    crossvm_store_relaxed(&crossvm_i_pool_block(owner, block)->generation, ours->generation);
""", "", "pool_stale.c"),
    Fault("pool: whatever was given back counts for the next content, too", "pool.h",
          """\
        if (CROSSVM_LOAD_ACQUIRE(pool_return, word) != owner->blocks[i].generation) {
""", """\
        if (CROSSVM_LOAD_ACQUIRE(pool_return, word) == 0) {
""", "pool.c -DSENDS=4 -DUSES=3 -DMODEL_BLOCKS=2"),
    Fault("pool: an owner that comes back does not know what is lent", "pool.h",
          """\
    crossvm_store_relaxed(crossvm_i_pool_own_word(owner->own, block), readers);
""", "", "pool_restart.c DIE=0..5"),
    # ---- waking ---------------------------------------------------------------------------------
    Fault("wake: a ring comes one index late", "wake.h",
          """\
    if (event - old < index - old) {
""", """\
    if (event - old + 1 < index - old) {
""", "wake.c -DWANT=3 -DONE_KICK"),
    Fault("wake: who is nudged sleeps on", "wake.h",
          """\
    publisher->n_sent++;
    return 1;
}

CROSSVM_EXTERN_C_END
""", """\
    return 0;
}

CROSSVM_EXTERN_C_END
""", "sleep_both.c"),
    Fault("spsc: a consumer that is about to sleep does not look again", "spsc.h",
          """\
        (void)crossvm_wake_at(&rx->waiter, rx->head + want - 1, delay_ns);
        fill = crossvm_spsc_rx_fill(rx);
""", """\
        (void)crossvm_wake_at(&rx->waiter, rx->head + want - 1, delay_ns);
""", "sleep_one.c"),
    Fault("spsc: a producer that is about to sleep does not look again", "spsc.h",
          """\
        (void)crossvm_wake_at(&tx->waiter, tx->tail - tx->capacity + want - 1, 0);
        n_free = crossvm_spsc_tx_free(tx);
""", """\
        (void)crossvm_wake_at(&tx->waiter, tx->tail - tx->capacity + want - 1, 0);
""", "sleep_one.c -DPRODUCER"),
]


def apply(include, fault):
    """Changes the copy of the headers below `include`."""
    path = pathlib.Path(include) / "crossvm" / fault.header
    text = path.read_text(encoding="utf-8")
    found = text.count(fault.old)
    if found != 1:
        sys.exit(f"faults.py: {fault.name}: its text stands {found} times in {fault.header}")
    path.write_text(text.replace(fault.old, fault.new), encoding="utf-8")


def job_words(source, job):
    """Program and options of a job, as the stress tests are built (CMakeLists.txt)."""
    lines = (source / "tests/verify/jobs").read_text(encoding="utf-8").splitlines()
    if job.split() not in [line.split()[1:] for line in lines]:
        sys.exit(f"faults.py: no line of tests/verify/jobs: {job}")
    program, *words = job.split()
    return program, [f"-DDIE_EVERY={int(word.split('..')[1]) + 1}" if word.startswith("DIE=")
                     else word for word in words if not word.startswith("--")]


def stress(source, cc, include, job, work):
    """Builds the job against these headers and runs it: passed, failed by an assertion, or why
    neither."""
    program, options = job_words(source, job)
    out = work / "program"
    built = subprocess.run([cc, *FLAGS, *options, f"-I{include}", f"-I{source / 'tests'}",
                            source / "tests/verify/programs" / program, "-o", out],
                           capture_output=True, text=True, check=False)
    if built.returncode != 0:
        return f"does not compile:\n{built.stderr}"
    try:
        run = subprocess.run([out], capture_output=True, text=True, timeout=LIMIT, check=False)
    except subprocess.TimeoutExpired:
        return f"runs for more than {LIMIT} s"
    if run.returncode == 0:
        return "passed"
    if run.returncode == -signal.SIGABRT and "Assertion" in run.stderr:
        return "failed"
    return f"ended with {run.returncode}:\n{run.stdout}{run.stderr}"


def cannot_run(cc, work):
    """Why a program of this compiler cannot be run here, or None."""
    if not shutil.which(cc):
        return f"there is no {cc}"
    probe = work / "probe.c"
    probe.write_text("#include <pthread.h>\nint main(void) { return 0; }\n", encoding="utf-8")
    if subprocess.run([cc, *FLAGS, probe, "-o", work / "probe"], capture_output=True,
                      check=False).returncode != 0:
        return f"{cc} does not make a program"
    try:
        subprocess.run([work / "probe"], check=True)
    except (OSError, subprocess.CalledProcessError):
        return f"what {cc} makes does not run here"
    return None


def main():
    source = common.source_dir()
    cc = sys.argv[2] if len(sys.argv) > 2 else "cc"
    report = common.Report()
    with common.work_dir() as folder:
        work = pathlib.Path(folder)
        reason = cannot_run(cc, work)
        if reason:
            print(f"skipped: {reason}")
            return 77
        for job in dict.fromkeys(fault.job for fault in FAULTS):
            result = stress(source, cc, source / "include", job, work)
            if result != "passed":
                report.wrong(job, f"without a fault: {result}")
        for fault in FAULTS:
            include = work / "include"
            shutil.rmtree(include, ignore_errors=True)
            shutil.copytree(source / "include", include)
            apply(include, fault)
            result = stress(source, cc, include, fault.job, work)
            print(f"{'noticed' if result == 'failed' else 'NOT NOTICED'}: {fault.name}"
                  f" ({fault.job})", flush=True)
            if result != "failed":
                report.wrong(fault.name, result)
    return report.finish(f"{len(FAULTS)} faults, each noticed")


if __name__ == "__main__":
    sys.exit(main())
