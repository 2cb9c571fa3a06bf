/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crossvm/status.h - what a call can answer, and the record of a peer's impossible bytes.
 *
 * Layer 0. No roles, no shared bytes.
 *
 * Every call that can fail returns an int: negative is one of the statuses below, zero or
 * positive is a result. The statuses form five families, because a caller treats them in five
 * ways: call again later; mend the program or its configuration; find the chunk anew; drop the
 * peer; look at errno.
 */
#ifndef CROSSVM_STATUS_H
#define CROSSVM_STATUS_H

#include "compiler.h"

CROSSVM_EXTERN_C_BEGIN

/* What a call answers. */
enum crossvm_status {
    CROSSVM_OK = 0, /* done */

    /* Try again. */
    CROSSVM_EMPTY = -1,         /* no element in the queue */
    CROSSVM_FULL = -2,          /* no room for the element, or for all of the batch */
    CROSSVM_TORN = -3,          /* others were faster, as often as was tried */
    CROSSVM_NOT_YET = -4,       /* nothing published yet, or the peer's part is not there yet */
    CROSSVM_NOT_FORMATTED = -5, /* no region here, or one that is being formatted */
    CROSSVM_TIMEOUT = -6,       /* the deadline passed */

    /* The caller's own mistake, or two configurations that do not fit. */
    CROSSVM_INVALID = -20,      /* an argument outside its documented range */
    CROSSVM_TOO_LARGE = -21,    /* beyond a limit of the format or of this machine's size_t */
    CROSSVM_NO_SPACE = -22,     /* no room in the mapping, the chunk, the directory or the table */
    CROSSVM_EXISTS = -23,       /* the name is taken */
    CROSSVM_NOT_FOUND = -24,    /* no such chunk, version or route */
    CROSSVM_ROLE = -25,         /* the mapping or the rights do not allow this role */
    CROSSVM_TYPE = -26,         /* another type hash or kind */
    CROSSVM_MISALIGNED = -27,   /* the mapping's base is not a multiple of 128 */
    CROSSVM_MEMORY_TYPE = -28,  /* the mapping's memory type needs CROSSVM_SYSTEM_FENCES */
    CROSSVM_MISMATCH = -29,     /* what is there was made by another plan or geometry */
    CROSSVM_OTHER_FORMAT = -30, /* another format major */
    CROSSVM_FEATURE = -31,      /* feature bits that this library does not know */
    CROSSVM_REFUSED = -32,      /* the peer refused the request; its reason is in the handle */
    CROSSVM_UNKNOWN = -33,      /* the two clocks cannot be compared, or no time was given */
    CROSSVM_UNSUPPORTED = -34,  /* the backend has no such thing */

    /* Stale: what was opened is history. */
    CROSSVM_STALE = -40, /* the chunk is no longer the one that was opened */
    CROSSVM_ENDED = -41, /* the peer's life is over, and all that it had committed was taken */

    /* The peer's impossible bytes, with a struct crossvm_fault. Sticky, record and all, on every
     * handle until it is opened again; but a region is judged anew by each call. */
    CROSSVM_CORRUPT = -50,

    /* The system's refusal; errno says which. */
    CROSSVM_SYSTEM = -60
};

/* What a caller does about a status. */
enum crossvm_family {
    CROSSVM_FAMILY_RESULT = 0, /* zero or positive: no failure */
    CROSSVM_FAMILY_AGAIN = 1,  /* nothing is wrong: call again later */
    CROSSVM_FAMILY_CALLER = 2, /* mend the program, or the configurations that do not fit */
    CROSSVM_FAMILY_STALE = 3,  /* find the chunk anew */
    CROSSVM_FAMILY_PEER = 4,   /* drop the peer */
    CROSSVM_FAMILY_SYSTEM = 5  /* look at errno */
};

/* The rule that a peer's bytes broke. docs/FORMAT.md gives each rule in words. */
enum crossvm_rule {
    CROSSVM_RULE_NONE = 0,           /* no fault */
    CROSSVM_RULE_HEADER_CHECKSUM,    /* CRC-32C of the region's header */
    CROSSVM_RULE_HEADER_LEN,         /* is 256 */
    CROSSVM_RULE_ENTRY_LEN,          /* is 128 */
    CROSSVM_RULE_REGION_LENGTH,      /* a multiple of the granule, with room for the directory */
    CROSSVM_RULE_GRANULE,            /* a power of two, 128 to 2^30 */
    CROSSVM_RULE_CAPACITY,           /* 1 to 65535 directory entries */
    CROSSVM_RULE_DIRECTORY_SLOT,     /* holds the version that is announced */
    CROSSVM_RULE_DIRECTORY_COUNT,    /* whole entries, at most the capacity */
    CROSSVM_RULE_DIRECTORY_CHECKSUM, /* CRC-32C of the entries */
    CROSSVM_RULE_ENTRY_ID,           /* not 0 */
    CROSSVM_RULE_ENTRY_GENERATION,   /* not 0 */
    CROSSVM_RULE_ENTRY_KIND,         /* not 0 */
    CROSSVM_RULE_ENTRY_OFFSET,       /* in order, without overlap, at the granule, in the region */
    CROSSVM_RULE_ENTRY_LENGTH,       /* a multiple of the granule, within the region */
    CROSSVM_RULE_ENTRY_NAME,         /* 1 to 47 allowed characters, then zeros */
    CROSSVM_RULE_ENTRY_GEOMETRY,     /* n and len are possible, and fit the length */
    CROSSVM_RULE_ENTRY_TWICE,        /* one entry for a name and kind, one for an id */
    CROSSVM_RULE_OWNER_COUNTER,      /* no generation is ahead of it */
    CROSSVM_RULE_SLOT_MARK,          /* that of the version that is announced */
    CROSSVM_RULE_SLOT_BACKWARD,      /* not below a version that was read before */
    CROSSVM_RULE_SLOT_LEN,           /* at most the payload's length */
    CROSSVM_RULE_SPSC_GRANT,         /* what was asked for, and fits the part */
    CROSSVM_RULE_SPSC_INDEX,         /* forward, within the capacity */
    CROSSVM_RULE_MPSC_INDEX,         /* not in front of what was claimed */
    CROSSVM_RULE_MPSC_SLOT,          /* of this lap or the last one, in a state that there is */
    CROSSVM_RULE_POOL_LEN,           /* at most the block's length */
    CROSSVM_RULE_POOL_LENT,          /* to readers that there are */
    CROSSVM_RULE_COUNT               /* how many there are; not a rule */
};

#define CROSSVM_REGION_ID_WORDS 4u   /* 32-bit words of a region's id */
#define CROSSVM_FAULT_TEXT_LEN  160u /* bytes that hold any text of crossvm_fault_text */
#define CROSSVM_I_WORD_DIGITS   8u   /* of 32 bits in hexadecimal */

/* A peer's impossible bytes: where they stood, what they were, which rule they broke. The
 * region is named before there is a fault: it means something once the rule is not 0. */
struct crossvm_fault {
    uint64_t off;                             /* bytes from the region's base */
    uint64_t value;                           /* what was read there */
    uint32_t rule;                            /* enum crossvm_rule; 0 = no fault */
    uint32_t region[CROSSVM_REGION_ID_WORDS]; /* its id; all 0 while no header was believed */
};

/* The family of a status. Any int may be passed: zero and positive are results. */
CROSSVM_INLINE enum crossvm_family crossvm_status_family(int status)
{
    if (status >= 0) {
        return CROSSVM_FAMILY_RESULT;
    }
    if (status > CROSSVM_INVALID) {
        return CROSSVM_FAMILY_AGAIN;
    }
    if (status > CROSSVM_STALE) {
        return CROSSVM_FAMILY_CALLER;
    }
    if (status > CROSSVM_CORRUPT) {
        return CROSSVM_FAMILY_STALE;
    }
    if (status > CROSSVM_SYSTEM) {
        return CROSSVM_FAMILY_PEER;
    }
    return CROSSVM_FAMILY_SYSTEM;
}

/* The name of a status without its prefix, "OK" for any result, "?" for no status of ours. */
CROSSVM_INLINE const char *crossvm_status_name(int status)
{
    static const struct {
        int status;
        const char *name;
    } names[] = {
        {CROSSVM_EMPTY, "EMPTY"},
        {CROSSVM_FULL, "FULL"},
        {CROSSVM_TORN, "TORN"},
        {CROSSVM_NOT_YET, "NOT_YET"},
        {CROSSVM_NOT_FORMATTED, "NOT_FORMATTED"},
        {CROSSVM_TIMEOUT, "TIMEOUT"},
        {CROSSVM_INVALID, "INVALID"},
        {CROSSVM_TOO_LARGE, "TOO_LARGE"},
        {CROSSVM_NO_SPACE, "NO_SPACE"},
        {CROSSVM_EXISTS, "EXISTS"},
        {CROSSVM_NOT_FOUND, "NOT_FOUND"},
        {CROSSVM_ROLE, "ROLE"},
        {CROSSVM_TYPE, "TYPE"},
        {CROSSVM_MISALIGNED, "MISALIGNED"},
        {CROSSVM_MEMORY_TYPE, "MEMORY_TYPE"},
        {CROSSVM_MISMATCH, "MISMATCH"},
        {CROSSVM_OTHER_FORMAT, "OTHER_FORMAT"},
        {CROSSVM_FEATURE, "FEATURE"},
        {CROSSVM_REFUSED, "REFUSED"},
        {CROSSVM_UNKNOWN, "UNKNOWN"},
        {CROSSVM_UNSUPPORTED, "UNSUPPORTED"},
        {CROSSVM_STALE, "STALE"},
        {CROSSVM_ENDED, "ENDED"},
        {CROSSVM_CORRUPT, "CORRUPT"},
        {CROSSVM_SYSTEM, "SYSTEM"},
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (names[i].status == status) {
            return names[i].name;
        }
    }
    return status >= 0 ? "OK" : "?";
}

/* What a rule demands, in a few words; "?" for no rule of ours. */
CROSSVM_INLINE const char *crossvm_rule_name(uint32_t rule)
{
    switch (rule) {
    case CROSSVM_RULE_NONE:
        return "none";
    case CROSSVM_RULE_HEADER_CHECKSUM:
        return "header checksum";
    case CROSSVM_RULE_HEADER_LEN:
        return "header length";
    case CROSSVM_RULE_ENTRY_LEN:
        return "entry length";
    case CROSSVM_RULE_REGION_LENGTH:
        return "region length";
    case CROSSVM_RULE_GRANULE:
        return "granule";
    case CROSSVM_RULE_CAPACITY:
        return "directory capacity";
    case CROSSVM_RULE_DIRECTORY_SLOT:
        return "directory slot";
    case CROSSVM_RULE_DIRECTORY_COUNT:
        return "directory entry count";
    case CROSSVM_RULE_DIRECTORY_CHECKSUM:
        return "directory checksum";
    case CROSSVM_RULE_ENTRY_ID:
        return "entry id";
    case CROSSVM_RULE_ENTRY_GENERATION:
        return "entry generation";
    case CROSSVM_RULE_ENTRY_KIND:
        return "entry kind";
    case CROSSVM_RULE_ENTRY_OFFSET:
        return "entry offset";
    case CROSSVM_RULE_ENTRY_LENGTH:
        return "entry length in bytes";
    case CROSSVM_RULE_ENTRY_NAME:
        return "entry name";
    case CROSSVM_RULE_ENTRY_GEOMETRY:
        return "entry geometry";
    case CROSSVM_RULE_ENTRY_TWICE:
        return "two entries of one name and kind, or one id";
    case CROSSVM_RULE_OWNER_COUNTER:
        return "owner's generation counter";
    case CROSSVM_RULE_SLOT_MARK:
        return "slot mark";
    case CROSSVM_RULE_SLOT_BACKWARD:
        return "version went backward";
    case CROSSVM_RULE_SLOT_LEN:
        return "length in slot";
    case CROSSVM_RULE_SPSC_GRANT:
        return "queue grant";
    case CROSSVM_RULE_SPSC_INDEX:
        return "queue index";
    case CROSSVM_RULE_MPSC_INDEX:
        return "index of a ring with several writers";
    case CROSSVM_RULE_MPSC_SLOT:
        return "slot of a ring with several writers";
    case CROSSVM_RULE_POOL_LEN:
        return "length in block";
    case CROSSVM_RULE_POOL_LENT:
        return "readers in the table of a pool";
    default:
        return "?";
    }
}

/* ---- a fault as text ----------------------------------------------------------------------- */

/* Characters one behind the other: all are counted, those that there is room for are kept. */
struct crossvm_i_text {
    char *to;
    size_t len;
    size_t n;
};

CROSSVM_INLINE void crossvm_i_text_char(struct crossvm_i_text *text, char character)
{
    if (text->n < text->len) {
        text->to[text->n] = character;
    }
    text->n++;
}

CROSSVM_INLINE void crossvm_i_text_string(struct crossvm_i_text *text, const char *string)
{
    for (size_t i = 0; string[i] != '\0'; i++) {
        crossvm_i_text_char(text, string[i]);
    }
}

/* The lowest n_digits of a word. */
CROSSVM_INLINE void crossvm_i_text_digits(struct crossvm_i_text *text, uint32_t word,
                                          unsigned n_digits)
{
    for (unsigned i = n_digits; i-- != 0;) {
        crossvm_i_text_char(text, "0123456789abcdef"[word >> 4 * i & 15]);
    }
}

/* A number without zeros in front, by its words: small cores shift 64 bits by a library call. */
CROSSVM_INLINE void crossvm_i_text_number(struct crossvm_i_text *text, uint64_t number)
{
    uint32_t hi = (uint32_t)(number >> 32);
    uint32_t first = hi != 0 ? hi : (uint32_t)number;
    unsigned n_digits = 1;
    for (unsigned n = 2; n <= CROSSVM_I_WORD_DIGITS; n++) {
        n_digits = first >> 4 * (n - 1) != 0 ? n : n_digits;
    }
    crossvm_i_text_string(text, "0x");
    crossvm_i_text_digits(text, first, n_digits);
    if (hi != 0) {
        crossvm_i_text_digits(text, (uint32_t)number, CROSSVM_I_WORD_DIGITS);
    }
}

/* A region's id, byte by byte as its plan has it, a line between its words. */
CROSSVM_INLINE void crossvm_i_text_region(struct crossvm_i_text *text, const uint32_t *region)
{
    for (unsigned i = 0; i < CROSSVM_REGION_ID_WORDS; i++) {
        uint32_t word = region[i];
        crossvm_i_text_string(text, i == 0 ? "" : "-");
        crossvm_i_text_digits(text, word, 2);
        crossvm_i_text_digits(text, word >> 8, 2);
        crossvm_i_text_digits(text, word >> 16, 2);
        crossvm_i_text_digits(text, word >> 24, 2);
    }
}

/* Writes a fault as a line of text for a log, without an end of line: "region 00112233-00000000-
 * 00000000-00000000, offset 0x1080, value 0x5: queue index". The region's id is shown byte by byte,
 * as the plan has it. fault: a handle's. text: room for len bytes, NUL-terminated unless len is 0;
 * cut short where there is no more room. len: CROSSVM_FAULT_TEXT_LEN is always enough; 0: text may
 * be NULL. Pure, freestanding. The length of the whole text, without its NUL. */
CROSSVM_INLINE size_t crossvm_fault_text(const struct crossvm_fault *fault, char *text, size_t len)
{
    struct crossvm_i_text out = {text, len, 0};
    crossvm_i_text_string(&out, "region ");
    crossvm_i_text_region(&out, fault->region);
    crossvm_i_text_string(&out, ", offset ");
    crossvm_i_text_number(&out, fault->off);
    crossvm_i_text_string(&out, ", value ");
    crossvm_i_text_number(&out, fault->value);
    crossvm_i_text_string(&out, ": ");
    crossvm_i_text_string(&out, crossvm_rule_name(fault->rule));
    if (len != 0) {
        text[out.n < len ? out.n : len - 1] = '\0';
    }
    return out.n;
}

CROSSVM_EXTERN_C_END

#endif
