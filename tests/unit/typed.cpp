/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/typed.cpp - snapshots, queues and pipes of one C++ type: the same bytes and answers as
 * the C calls, on the same handles, and nobody else's length.
 */
#include <crossvm/crossvm.hpp>

#include "../support/queue.h"
#include "../support/snapshot.h"

namespace
{

struct state {
    uint32_t number;
    uint16_t parts[5];
};

struct point {
    int32_t x;
    int32_t y;
    int32_t z;
};

/* A typed handle is the C handle, and nothing else. */
static_assert(sizeof(crossvm::snapshot_writer<state>) == sizeof(crossvm_snapshot_writer));
static_assert(sizeof(crossvm::snapshot_reader<state>) == sizeof(crossvm_snapshot_reader));
static_assert(sizeof(crossvm::spsc_tx<point>) == sizeof(crossvm_spsc_tx));
static_assert(sizeof(crossvm::spsc_rx<point>) == sizeof(crossvm_spsc_rx));
static_assert(sizeof(crossvm::pipe_tx<point>) == sizeof(crossvm_pipe_tx));
static_assert(sizeof(crossvm::pipe_rx<point>) == sizeof(crossvm_pipe_rx));

const queue_options usual = {CROSSVM_WRITE_BACK, false};

bool same(const point &a, const point &b)
{
    return a.x == b.x && a.y == b.y && a.z == b.z;
}

point point_of(int32_t i)
{
    return {i, -i, i * 3};
}

/* ---- snapshots ------------------------------------------------------------------------------- */

void a_state_is_published_and_read()
{
    test_snapshot snap;
    crossvm::snapshot_writer<state> writer;
    crossvm::snapshot_reader<state> reader;
    crossvm_snapshot_info info;
    state got = {};
    test_snapshot_make(&snap, 4, sizeof(state));
    REQUIRE(writer.open(snap.region.owner.region, snap.chunk) == CROSSVM_OK);
    REQUIRE(reader.open(snap.region.reader, snap.chunk) == CROSSVM_OK);
    CHECK_EQ(reader.read(got), CROSSVM_NOT_YET);
    for (uint16_t i = 1; i <= 10; i++) {
        const state sent = {i, {i, 2, 3, 4, static_cast<uint16_t>(i + 1)}};
        CHECK_EQ(writer.publish(sent, i, i + 7u), CROSSVM_OK);
        CHECK_EQ(reader.read(got, &info), 1);
        CHECK(got.number == i && got.parts[0] == i && got.parts[4] == i + 1);
        CHECK_EQ(info.version, i);
        CHECK_EQ(info.len, sizeof(state));
        CHECK_EQ(info.sampled_ns, i);
        CHECK_EQ(info.published_ns, i + 7);
        CHECK_EQ(reader.read(got), 0);
    }
    CHECK_EQ(writer.publish(got), CROSSVM_OK);
    CHECK_EQ(reader.read(got, &info), 1);
    CHECK(info.sampled_ns == 0 && info.published_ns == 0);

    /* The C calls take the same handles. */
    CHECK_EQ(crossvm_snapshot_writer_version(&writer), 11);
    CHECK_EQ(crossvm_snapshot_reader_read(&reader, &got, sizeof(got), &info), 0);
    test_snapshot_drop(&snap);
}

void opening_answers_what_the_c_call_answers()
{
    test_snapshot snap;
    crossvm::snapshot_writer<state> writer;
    crossvm::snapshot_reader<state> reader;
    test_snapshot_make(&snap, 2, sizeof(state));
    CHECK_EQ(writer.open(snap.region.reader, snap.chunk), CROSSVM_ROLE);
    snap.chunk.kind = CROSSVM_KIND_BYTES;
    CHECK_EQ(reader.open(snap.region.reader, snap.chunk), CROSSVM_TYPE);
    test_snapshot_drop(&snap);
}

/* Shorter, longer, and longer than the chunk: no state is ever half somebody else's. */
void a_version_of_another_length_is_no_state()
{
    test_snapshot snap;
    crossvm::snapshot_writer<unsigned char[sizeof(state) + 2]> too_large;
    crossvm::snapshot_reader<state> reader;
    crossvm_snapshot_info info;
    unsigned char bytes[sizeof(state) + 2] = {0};
    state got = {};
    test_snapshot_make(&snap, 4, sizeof(state) + 1);
    REQUIRE(reader.open(snap.region.reader, snap.chunk) == CROSSVM_OK);
    for (uint32_t len = sizeof(state) - 1; len <= sizeof(state) + 1; len++) {
        bool fits = len == sizeof(state);
        REQUIRE(crossvm_snapshot_writer_publish(&snap.writer, bytes, len, 0, 0) == CROSSVM_OK);
        CHECK_EQ(reader.read(got), fits ? 1 : static_cast<int>(CROSSVM_MISMATCH));
        CHECK_EQ(reader.read(got, &info), fits ? 0 : static_cast<int>(CROSSVM_MISMATCH));
    }
    REQUIRE(too_large.open(snap.region.owner.region, snap.chunk) == CROSSVM_OK);
    CHECK_EQ(too_large.publish(bytes), CROSSVM_INVALID);
    CHECK_EQ(crossvm_snapshot_writer_version(&too_large), 3);
    test_snapshot_drop(&snap);
}

/* ---- queues ---------------------------------------------------------------------------------- */

/* Brings up typed ends of any kind; tx and rx are the queues in them. */
template <class Tx, class Rx>
void link_ends(queue &regions, Tx &producer, crossvm_spsc_tx &tx, Rx &consumer, crossvm_spsc_rx &rx)
{
    REQUIRE(consumer.open(regions.b.owner.region, regions.rx_chunk, 8, 1) == CROSSVM_OK);
    REQUIRE(producer.open(regions.a.owner.region, regions.tx_chunk, 2) == CROSSVM_OK);
    REQUIRE(crossvm_spsc_tx_link(&tx, &regions.b.reader, &regions.rx_chunk) == CROSSVM_NOT_YET);
    REQUIRE(crossvm_spsc_rx_link(&rx, &regions.a.reader, &regions.tx_chunk) == CROSSVM_OK);
    REQUIRE(crossvm_spsc_tx_link(&tx, &regions.b.reader, &regions.rx_chunk) == CROSSVM_OK);
    CHECK_EQ(tx.elem_len, sizeof(point));
    CHECK_EQ(tx.capacity, 8);
}

/* Fills and empties, singly and in batches, a few times round. */
template <class Tx, class Rx> void flow(Tx &producer, Rx &consumer)
{
    int32_t n_in = 0;
    int32_t n_out = 0;
    point batch[8];
    for (int round = 0; round < 5; round++) {
        int status;
        while ((status = producer.push(point_of(n_in))) == CROSSVM_OK) {
            n_in++;
        }
        CHECK_EQ(status, CROSSVM_FULL);
        CHECK_EQ(n_in - n_out, 8);
        CHECK_EQ(consumer.pop_n(batch, 3), 3);
        for (int i = 0; i < 3; i++) {
            CHECK(same(batch[i], point_of(n_out++)));
        }
        point elem;
        while ((status = consumer.pop(elem)) == CROSSVM_OK) {
            CHECK(same(elem, point_of(n_out++)));
        }
        CHECK_EQ(status, CROSSVM_EMPTY);
        const point two[2] = {point_of(n_in), point_of(n_in + 1)};
        CHECK_EQ(producer.push_n(two, 2), 2);
        n_in += 2;
    }
    CHECK_EQ(n_in - n_out, 2);
}

void elements_flow_by_value()
{
    queue regions;
    crossvm::spsc_tx<point> tx;
    crossvm::spsc_rx<point> rx;
    point elem;
    queue_make(&regions, 8, sizeof(point), usual);
    CHECK_EQ(tx.open(regions.a.reader, regions.tx_chunk, 1), CROSSVM_ROLE);
    CHECK_EQ(rx.open(regions.b.owner.region, regions.rx_chunk, 7, 1), CROSSVM_INVALID);
    link_ends(regions, tx, tx, rx, rx);
    flow(tx, rx);
    CHECK_EQ(crossvm_spsc_rx_pop(&rx, &elem), CROSSVM_OK);
    CHECK_EQ(crossvm_spsc_tx_push(&tx, &elem), CROSSVM_OK);
    queue_drop(&regions);
}

/* Each side refuses a queue of another element length, whatever the other side asks. */
void a_typed_end_takes_only_its_own_length()
{
    queue regions;
    crossvm::spsc_tx<point> tx;
    crossvm::spsc_rx<point> rx;
    queue_make(&regions, 16, 16, usual);
    REQUIRE(tx.open(regions.a.owner.region, regions.tx_chunk, 1) == CROSSVM_OK);
    REQUIRE(queue_rx_open(&regions, 8, sizeof(point) + 4) == CROSSVM_OK);
    CHECK_EQ(crossvm_spsc_tx_link(&tx, &regions.b.reader, &regions.rx_chunk), CROSSVM_REFUSED);
    CHECK_EQ(tx.push(point_of(1)), CROSSVM_REFUSED);

    REQUIRE(rx.open(regions.b.owner.region, regions.rx_chunk, 8, 2) == CROSSVM_OK);
    CHECK_EQ(crossvm_spsc_rx_ask(&rx, 8, sizeof(point) + 4), CROSSVM_INVALID);
    CHECK_EQ(crossvm_spsc_rx_ask(&rx, 4, sizeof(point)), CROSSVM_OK);
    queue_drop(&regions);
}

/* ---- pipes ----------------------------------------------------------------------------------- */

void a_typed_pipe_waits_and_wakes()
{
    queue regions;
    queue_bells a, b;
    crossvm::pipe_tx<point> producer;
    crossvm::pipe_rx<point> consumer;
    uint64_t again_ns;
    queue_make(&regions, 8, sizeof(point), usual);
    queue_bells_make(&regions, QUEUE_EVENTFD, &a, &b);
    link_ends(regions, producer, producer.queue, consumer, consumer.queue);
    producer.bell = {&a.notify, PARTY_B, 0, 0};
    consumer.bell = {&b.notify, PARTY_A, 0, 0};
    flow(producer, consumer);
    CHECK_EQ(crossvm_pipe_tx_kick(&producer, &again_ns), CROSSVM_OK);
    CHECK_EQ(crossvm_pipe_rx_wait(&consumer, 2, 0, queue_deadline()), 2);
    CHECK_EQ(crossvm_pipe_tx_wait(&producer, 6, queue_deadline()), 6);
    queue_bells_drop(&a, &b);
    queue_drop(&regions);
}

} // namespace

int main()
{
    CASE(a_state_is_published_and_read);
    CASE(opening_answers_what_the_c_call_answers);
    CASE(a_version_of_another_length_is_no_state);
    CASE(elements_flow_by_value);
    CASE(a_typed_end_takes_only_its_own_length);
    CASE(a_typed_pipe_waits_and_wakes);
    return check_done();
}
