#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Copies the shipped headers for the model checker: make_include.py SOURCE TARGET

Struct assignments through pointers become copies field by field, because
GenMC takes no untyped memcpy; and private data (an entry's name and geometry, which no other thread
writes) is judged by its first byte alone, and a region's id is one word of four in a queue's names,
because each byte is an event of GenMC's, and because its jump threading makes a `freeze` of that
code, which its interpreter does not know.

A replacement that does not match its source is an error: the copy never falls behind silently."""
import shutil
import sys

DIGEST = [
    ("region.h", "    uint64_t earlier = crossvm_i_format_earlier(region, mapping);",
     "    uint64_t earlier = 0; /* a struct copy; here all regions are of one length */\n"
     "    (void)crossvm_i_format_earlier;"),
    ("region.h", "    __builtin_memset(walk, 0, sizeof(*walk));",
     "    walk->next = 0;\n    walk->crc = 0;"),
    ("region.h", """    if (crossvm_i_entry_judge(region, from, chunk, &field, &value) != CROSSVM_RULE_NONE) {
        return CROSSVM_INVALID;
    }
    if (!crossvm_i_role""", """    (void)from;
    (void)field;
    (void)value;
    if (!crossvm_i_role"""),
    ("spsc.h", "        differ |= a->region[i] ^ b->region[i];", "        differ |= i == 0 ? a->region[i] ^ b->region[i] : 0;"),
    ("spsc.h", "    for (unsigned i = 0; i < CROSSVM_REGION_ID_WORDS; i++) {\n        name->region[i] = crossvm_load_relaxed(peer_chunk + 2 + i);",
     "    for (unsigned i = 0; i < 1; i++) {\n        name->region[i] = crossvm_load_relaxed(peer_chunk + 2 + i);"),
    ("spsc.h", "    for (unsigned i = 0; i < CROSSVM_REGION_ID_WORDS; i++) {\n        crossvm_store_relaxed(peer_chunk + 2 + i, name->region[i]);",
     "    for (unsigned i = 0; i < 1; i++) {\n        crossvm_store_relaxed(peer_chunk + 2 + i, name->region[i]);"),
    ("region.h", "/* ---- geometry ----", """static inline void crossvm_i_model_chunk_copy(struct crossvm_chunk *to, const struct crossvm_chunk *from)
{
    to->id = from->id;
    to->generation = from->generation;
    to->kind = from->kind;
    to->n = from->n;
    to->off = from->off;
    to->length = from->length;
    to->len = from->len;
    to->writer = from->writer;
    to->reader = from->reader;
    to->type_hash = from->type_hash;
    to->link_id = from->link_id;
    to->name[0] = from->name[0];
}

/* ---- geometry ----"""),
    ("spsc.h", "/* ---- what both sides share", """static inline void crossvm_i_model_name_copy(struct crossvm_i_spsc_name *to,
                                             const struct crossvm_i_spsc_name *from)
{
    for (unsigned i = 0; i < 4; i++) {
        to->region[i] = from->region[i];
    }
    to->chunk = from->chunk;
    to->generation = from->generation;
}

/* ---- what both sides share"""),
    ("spsc.h", "    tx->chunk = *chunk;", "    crossvm_i_model_chunk_copy(&tx->chunk, chunk);"),
    ("spsc.h", "    rx->chunk = *chunk;", "    crossvm_i_model_chunk_copy(&rx->chunk, chunk);"),
    ("spsc.h", "    tx->granted_to = *peer;", "    crossvm_i_model_name_copy(&tx->granted_to, peer);"),
    ("spsc.h", "    rx->accepted_from = *peer;",
     "    crossvm_i_model_name_copy(&rx->accepted_from, peer);"),
    ("region.h", "    __builtin_memcpy(chunk->name, raw->name, CROSSVM_NAME_LEN);",
     "    chunk->name[0] = (char)raw->name[0];"),
    ("region.h", "    __builtin_memcpy(raw->name, chunk->name, CROSSVM_NAME_LEN);",
     "    raw->name[0] = (uint8_t)chunk->name[0];"),
    ("region.h", """    uint64_t behind = 0;
    bool ended = false;
    for (size_t i = 0; i < CROSSVM_NAME_LEN; i += 8) {
        uint64_t part = crossvm_i_name_part(name + i);
        if (ended) {
            behind |= part;
            continue;
        }
        uint64_t good = CROSSVM_I_NAME_RANGE(part, '-', '9') |
                        CROSSVM_I_NAME_RANGE(part, 'A', 'Z') |
                        CROSSVM_I_NAME_RANGE(part, '_', '_') | CROSSVM_I_NAME_RANGE(part, 'a', 'z');
        uint64_t bad = ~good & CROSSVM_I_EACH(128);
        /* The lowest bit set stands in the first byte that is no name's. */
        behind |= part & ~(((bad & (~bad + 1)) >> 7) - 1);
        ended = bad != 0;
    }
    return ended && behind == 0 && name[0] != 0;""", "    return name[0] != 0;"),
    ("region.h", """    uint64_t differs = 0;
    for (size_t i = 0; i < CROSSVM_NAME_LEN; i += 8) {
        differs |= crossvm_i_name_part(a + i) ^ crossvm_i_name_part(b + i);
    }
    return differs == 0;""", "    return a[0] == b[0];"),
    ("region.h", "                chunks[*total] = chunk;",
     "                crossvm_i_model_chunk_copy(&chunks[*total], &chunk);"),
    ("region.h", "            *found = chunk;",
     "            crossvm_i_model_chunk_copy(found, &chunk);"),
    ("region.h", "    *chunk = found;",
     "    crossvm_i_model_chunk_copy(chunk, &found);"),
    ("region.h", "        owner->table[owner->n_chunks] = chunk;",
     "        crossvm_i_model_chunk_copy(&owner->table[owner->n_chunks], &chunk);"),
    ("region.h", "        owner->table[i] = owner->table[i - 1];",
     "        crossvm_i_model_chunk_copy(&owner->table[i], &owner->table[i - 1]);"),
    ("region.h", "        owner->table[i] = owner->table[i + 1];",
     "        crossvm_i_model_chunk_copy(&owner->table[i], &owner->table[i + 1]);"),
    ("region.h", "    owner->table[index] = made;",
     "    crossvm_i_model_chunk_copy(&owner->table[index], &made);"),
    ("region.h", "    *chunk = made;",
     "    crossvm_i_model_chunk_copy(chunk, &made);"),
    ("region.h", "    struct crossvm_chunk gone = owner->table[index];",
     "    struct crossvm_chunk gone;\n    crossvm_i_model_chunk_copy(&gone, &owner->table[index]);"),
    ("region.h", "    *chunk = *ours;",
     "    crossvm_i_model_chunk_copy(chunk, ours);"),
    ("snapshot.h", "/* ---- reader ----", """static inline void crossvm_i_model_info_copy(struct crossvm_snapshot_info *to,
                                             const struct crossvm_snapshot_info *from)
{
    to->version = from->version;
    to->sampled_ns = from->sampled_ns;
    to->published_ns = from->published_ns;
    to->missed = from->missed;
    to->len = from->len;
}

static inline void crossvm_i_model_ticket_copy(struct crossvm_slot_ticket *to,
                                               const struct crossvm_slot_ticket *from)
{
    to->slot = from->slot;
    to->payload = from->payload;
    to->version = from->version;
    to->mark = from->mark;
    to->hi = from->hi;
}

static inline void crossvm_i_model_slots_copy(struct crossvm_slots *to,
                                              const struct crossvm_slots *from)
{
    to->control = from->control;
    to->first = from->first;
    to->stride = from->stride;
    to->n_slots = from->n_slots;
    to->epoch = from->epoch;
    to->device = from->device;
}

/* ---- reader ----"""),
    ("snapshot.h", "        *info = view->info;",
     "        crossvm_i_model_info_copy(info, &view->info);"),
    ("snapshot.h", "                *info = reader->again.info;",
     "                crossvm_i_model_info_copy(info, &reader->again.info);"),
    ("snapshot.h", "    const struct crossvm_slots slots = reader->slots;",
     "    struct crossvm_slots slots;\n"
     "    crossvm_i_model_slots_copy(&slots, &reader->slots);"),
    ("snapshot.h", "    const struct crossvm_slot_ticket ticket = reader->again.ticket;",
     "    struct crossvm_slot_ticket ticket;\n"
     "    crossvm_i_model_ticket_copy(&ticket, &reader->again.ticket);"),
    ("snapshot.h", """        view.info.missed = 0;
        if (info != NULL) {
            *info = view.info;""", """        view.info.missed = 0;
        if (info != NULL) {
            crossvm_i_model_info_copy(info, &view.info);"""),
]

def copy(source, target):
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target)
    for name, old, new in DIGEST:
        path = f"{target}/crossvm/{name}"
        text = open(path, encoding="utf-8").read()
        if text.count(old) != 1:
            sys.exit(f"{path}: expected once: {old!r}, found {text.count(old)}")
        open(path, "w", encoding="utf-8").write(text.replace(old, new))


def main():
    copy(*sys.argv[1:])


if __name__ == "__main__":
    main()
