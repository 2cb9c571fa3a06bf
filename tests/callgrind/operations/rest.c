/* SPDX-License-Identifier: Apache-2.0 */
/* Operations of regions, wake lines, clocks and checksums. */
#include "../measured.h"

/* ---- regions of so many chunks; found is the last one ----------------------------------- */

MEASURED(region_attach_1, region_of_1, nothing, 4, CROSSVM_OK)
{
    return crossvm_region_attach(&s->region, &s->mapping, 2);
}

MEASURED(region_attach_100, region_of_100, nothing, 4, CROSSVM_OK)
{
    return crossvm_region_attach(&s->region, &s->mapping, 2);
}

MEASURED(region_find_1, region_of_1, nothing, 4, CROSSVM_OK)
{
    return crossvm_region_find(&s->region, s->name, CROSSVM_KIND_BYTES, 0, &s->chunk);
}

MEASURED(region_find_100, region_of_100, nothing, 4, CROSSVM_OK)
{
    return crossvm_region_find(&s->region, s->name, CROSSVM_KIND_BYTES, 0, &s->chunk);
}

MEASURED(region_list_100, region_of_100, nothing, 4, CROSSVM_OK)
{
    return crossvm_region_list(&s->region, s->chunks, N_CHUNKS, &s->n_chunks);
}

/* ---- wake lines ----------------------------------------------------------------------------- */

MEASURED(wake_at, wake_never, nothing, MANY, CROSSVM_OK)
{
    return crossvm_wake_at(&s->waiter, s->index, 0);
}

MEASURED(wake_never, wake_never, nothing, MANY, CROSSVM_OK)
{
    return crossvm_wake_never(&s->waiter);
}

MEASURED(wake_due_never, wake_never, next_index, MANY, 0)
{
    return crossvm_wake_due(&s->publisher, s->index, 0, &s->result);
}

MEASURED(wake_due_event, wake_event, next_index, MANY, 0)
{
    return crossvm_wake_due(&s->publisher, s->index, 0, &s->result);
}

MEASURED(wake_due_rings, wake_always, next_index, MANY, 1)
{
    return crossvm_wake_due(&s->publisher, s->index, 0, &s->result);
}

MEASURED(wake_nudge, wake_event, nothing, MANY, 1)
{
    return crossvm_wake_nudge(&s->publisher);
}

MEASURED(wake_peer_waits, wake_event, nothing, MANY, 1)
{
    return crossvm_wake_peer_waits(&s->publisher);
}

/* ---- clocks and checksums ------------------------------------------------------------------- */

MEASURED(clock_age, times, nothing, MANY, CROSSVM_OK)
{
    return crossvm_clock_age(&s->clocks[0], s->time_ns, &s->clocks[1], s->time_ns + 5, &s->result);
}

MEASURED(clock_ns, times, nothing, MANY, CROSSVM_OK)
{
    s->result = crossvm_clock_ns(s->time_ns, s->clocks[0].rate);
    return CROSSVM_OK;
}

MEASURED(crc32c_64, times, nothing, MANY, CROSSVM_OK)
{
    s->result = crossvm_crc32c(0, s->in.bytes, 64);
    return CROSSVM_OK;
}
