/* SPDX-License-Identifier: Apache-2.0 */
/* Operations of snapshots, slots and bytes. The numbers in a name are bytes. */
#include "../measured.h"

/* ---- snapshots ------------------------------------------------------------------------------ */

MEASURED_COPY(snapshot_publish_64, snapshot_64, nothing, MANY, CROSSVM_OK)
{
    return crossvm_snapshot_writer_publish(&s->state_out, s->in.bytes, 64, s->time_ns, 1);
}

MEASURED_COPY(snapshot_publish_4096, snapshot_4096, nothing, MANY, CROSSVM_OK)
{
    return crossvm_snapshot_writer_publish(&s->state_out, s->in.bytes, LONG_LEN, s->time_ns, 1);
}

MEASURED_COPY(snapshot_read_64, snapshot_64, publish_64, MANY, 1)
{
    return crossvm_snapshot_reader_read(&s->state_in, s->out.bytes, 64, &s->info);
}

MEASURED_COPY(snapshot_read_4096, snapshot_4096, publish_4096, MANY, 1)
{
    return crossvm_snapshot_reader_read(&s->state_in, s->out.bytes, LONG_LEN, &s->info);
}

/* Nothing new. */
MEASURED_COPY(snapshot_read_again_64, snapshot_64, nothing, MANY, 0)
{
    return crossvm_snapshot_reader_read(&s->state_in, s->out.bytes, 64, &s->info);
}

MEASURED_COPY(snapshot_read_again_4096, snapshot_4096, nothing, MANY, 0)
{
    return crossvm_snapshot_reader_read(&s->state_in, s->out.bytes, LONG_LEN, &s->info);
}

MEASURED_COPY(snapshot_read_version_64, snapshot_64, publish_64, MANY, CROSSVM_OK)
{
    return crossvm_snapshot_reader_read_version(&s->state_in, s->version, s->out.bytes, 64,
                                                &s->info);
}

MEASURED(snapshot_read_parts_2, snapshot_4096, publish_4096, MANY, 1)
{
    const struct crossvm_snapshot_part parts[2] = {{8, 8, &s->result}, {1024, 64, s->out.bytes}};
    return crossvm_snapshot_reader_read_parts(&s->state_in, parts, 2, &s->info);
}

MEASURED(snapshot_peek_get_done_8, snapshot_4096, publish_4096, MANY, 1)
{
    struct crossvm_snapshot_view view;
    int status = crossvm_snapshot_reader_peek(&s->state_in, &view);
    if (status == CROSSVM_OK) {
        status = crossvm_snapshot_reader_get(&s->state_in, &view, 1024, &s->result, 8);
    }
    return status == CROSSVM_OK ? crossvm_snapshot_reader_done(&s->state_in, &view) : status;
}

MEASURED(snapshot_begin_put_commit_8, snapshot_4096, nothing, MANY, CROSSVM_OK)
{
    int status = crossvm_snapshot_writer_begin(&s->state_out, false);
    if (status == CROSSVM_OK) {
        status = crossvm_snapshot_writer_put(&s->state_out, 1024, &s->time_ns, 8);
    }
    if (status == CROSSVM_OK) {
        status = crossvm_snapshot_writer_commit(&s->state_out, LONG_LEN, s->time_ns, 1);
    }
    return status;
}

MEASURED(snapshot_begin_carry_4096, snapshot_4096, nothing, MANY, CROSSVM_OK)
{
    return crossvm_snapshot_writer_begin(&s->state_out, true);
}

MEASURED(snapshot_is_stale, snapshot_64, nothing, MANY, 1)
{
    return crossvm_snapshot_is_stale(&s->info, 1000, 10);
}

/* ---- slots ---------------------------------------------------------------------------------- */

MEASURED(slots_writer_begin_commit, snapshot_64, nothing, MANY, CROSSVM_OK)
{
    uint64_t version = ++s->state_out.version;
    struct crossvm_slot_shm *slot = crossvm_slots_writer_begin(&s->state_out.slots, version);
    crossvm_slots_writer_commit(&s->state_out.slots, slot, version);
    return CROSSVM_OK;
}

MEASURED(slots_reader_open_close, snapshot_64, publish_64, MANY, CROSSVM_OK)
{
    struct crossvm_slot_ticket ticket;
    int status = crossvm_slots_reader_open(&s->state_in.slots, &ticket);
    if (status != CROSSVM_OK) {
        return status;
    }
    s->result = ticket.version;
    return crossvm_slots_reader_close(&s->state_in.slots, &ticket);
}

/* ---- bytes ---------------------------------------------------------------------------------- */

MEASURED(bytes_write_field_8, bytes_chunk, nothing, MANY, CROSSVM_OK)
{
    return CROSSVM_BYTES_WRITE_FIELD(&s->bytes_out, 64, struct elem_64, words[1], &s->time_ns);
}

MEASURED_COPY(bytes_write_64, bytes_chunk, nothing, MANY, CROSSVM_OK)
{
    return crossvm_bytes_writer_write(&s->bytes_out, 64, s->in.bytes, 64);
}

MEASURED_COPY(bytes_write_4096, bytes_chunk, nothing, MANY, CROSSVM_OK)
{
    return crossvm_bytes_writer_write(&s->bytes_out, 64, s->in.bytes, LONG_LEN);
}

MEASURED(bytes_read_field_8, bytes_chunk, nothing, MANY, CROSSVM_OK)
{
    return CROSSVM_BYTES_READ_FIELD(&s->bytes_in, 64, struct elem_64, words[1], &s->result);
}

MEASURED_COPY(bytes_read_64, bytes_chunk, nothing, MANY, CROSSVM_OK)
{
    return crossvm_bytes_reader_read(&s->bytes_in, 64, s->out.bytes, 64);
}

MEASURED_COPY(bytes_read_4096, bytes_chunk, nothing, MANY, CROSSVM_OK)
{
    return crossvm_bytes_reader_read(&s->bytes_in, 64, s->out.bytes, LONG_LEN);
}
