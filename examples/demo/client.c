/* SPDX-License-Identifier: Apache-2.0 */
/* client.c - a peer of the server's that behaves. */
#include "client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PUBLISH_NS (DEMO_MS / 2)

enum client_word client_hear(const struct client *client)
{
    unsigned char word = WORD_NONE;
    ssize_t len = recv(client->socket, &word, 1, MSG_DONTWAIT);
    must_system(len >= 0 || errno == EAGAIN, "listening to the server");
    if (len == 0) {
        exit(DEMO_WRONG);
    }
    return (enum client_word)word;
}

bool client_meet(struct client *client)
{
    int fd;
    (void)must(crossvm_memfd_send(client->socket, &client->contact.memory.fd, 1),
               "sending memory to the server");
    int status = crossvm_memfd_receive(client->socket, &fd, 1);
    if (status == CROSSVM_MISMATCH) {
        return false; /* a word instead */
    }
    (void)must(status, "receiving the server's memory");
    return contact_attach(&client->contact, fd);
}

/* Sends as many elements as there is room for. */
static bool send_items(struct client *client)
{
    struct item items[CONTACT_RING];
    int room = contact_room(&client->contact);
    if (room <= 0) {
        return room == 0;
    }
    uint32_t n = client->mode == CLIENT_ENDING ? 1 : (uint32_t)room;
    for (uint32_t i = 0; i < n; i++) {
        item_fill(&items[i], (uint32_t)client->n_sent++);
    }
    if (client->mode == CLIENT_ENDING) {
        items[0].last = 1;
        client->mode = CLIENT_QUIET;
    }
    return contact_send(&client->contact, items, n);
}

bool client_turn(struct client *client)
{
    struct contact *contact = &client->contact;
    struct item items[CONTACT_RING];
    if (!contact_turn(contact)) {
        return false;
    }
    if (!contact->up) {
        return true;
    }
    if (client->mode != CLIENT_QUIET && !send_items(client)) {
        return false;
    }
    if (contact_take(contact, items, CONTACT_RING) < 0) {
        return false;
    }
    if (client->mode != CLIENT_QUIET && crossvm_posix_now() >= client->publish_ns) {
        client->publish_ns = crossvm_posix_now() + PUBLISH_NS;
        contact_publish(contact);
    }
    return true;
}

int healthy_run(int socket)
{
    static struct client client;
    char text[256];
    struct contact *contact = &client.contact;
    client.socket = socket;
    contact_make(contact, PARTY_HEALTHY, PARTY_SERVER, 0);
    bool fine = client_meet(&client);
    while (fine && !contact->complete) {
        fine = client_turn(&client);
        if (client_hear(&client) == WORD_END) {
            client.mode = CLIENT_ENDING;
        }
        rest(TURN_NS);
    }
    if (!fine) {
        notice_text(&contact->notice, false, text, sizeof(text));
        fprintf(stderr, "crossvm-demo-attack: the healthy peer: %s\n", text);
        return DEMO_WRONG;
    }
    contact_publish(contact);
    (void)must(crossvm_peer_close(&contact->life), "closing");
    return DEMO_OK;
}
