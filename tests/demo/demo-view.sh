#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# demo-view.sh - in a terminal the demo draws progress bars again and again, and gives the cursor
# back; of what a machine says, its view hides the lines that are not the demo's and nothing else.
. "$(dirname "$0")/common.sh"

# What a machine may say, in one piece and byte by byte: the same is shown.
judge_machine_view() {
    PYTHONPATH=$source/examples/vm timeout $limit python3 -B - <<'END'
import io
import sys

import demo

# Whether it is shown, and a line.
SAID = (
    (False, b"guest: up\r\n"),
    (True, b"\x1b[?25lcrossvm demo   1.0 s\x1b[K\r\n"),
    (True, b"A -> B [####....]  50 %\x1b[K\r\n"),
    (False, b"[    2.012345] a kernel says [this]\r\n"),
    (True, b"  ring [##..] guest: 3 [ 2.0] \x1b[K\r\n"),
    (True, b"\x1b[K\r\n"),
    (True, b"\x1b[14A[##..] 7\n"),
    (False, b"[2.0] \n"),
    (True, b"[####....] guest: no\n"),
    (True, b"gues\n"),
    (True, b"\n"),
    (True, b"guest:\n"),
    (False, b"guest: \x1b[14A\n"),
    (True, b"[ 12.5 %]\n"),
    (True, b"[\n"),
    (True, b"[ 1.5]no\n"),
    (True, b"\x1bcA -> B\x1b[14A\n"),
    (False, b"guest: /crossvm-demo-b ended with 0\n"),
    (True, b"the end"),
)
said = b"".join(line for _, line in SAID)
wanted = b"".join(line for is_shown, line in SAID if is_shown)


def shown(chunks):
    out = io.BytesIO()
    view = demo.View(out)
    for chunk in chunks:
        view(chunk)
    return out.getvalue()


for length in (len(said), 1, 2, 3, 5, 7, 16):
    found = shown(said[i:i + length] for i in range(0, len(said), length))
    if found != wanted:
        sys.exit(f"in pieces of {length}: {found}")
hurry = b"\n".join((b"", b"\x1b[14AA -> B [##"))
if shown([hurry]) != hurry or shown([b"guest: up\n\x1b[Kguest: up"]) != b"\x1b[K":
    sys.exit("the middle of a line is withheld")
END
}
if command -v python3 >/dev/null; then
    judge_machine_view || fail "the view of a machine"
else
    echo "not tested: the view of a machine (python3 is not installed)"
fi

need_tools script timeout
need_compiler
make_file "$scratch/file" 3000017
escape=$(printf '\033')

TERM=xterm timeout -k 10 $limit script -qec \
    "sh '$source/examples/run-demo.sh' --seconds 2 --file '$scratch/file'" "$scratch/stdout" \
    >/dev/null 2>"$scratch/stderr" </dev/null
status=$?
expect_status 0 "the demo in a terminal"

expect_text stdout "A -> B [####"
expect_text stdout "B -> A [####"
for word in "versions" "missed" "age" "ring [" "MB/s" "notifications" "suppressed"; do
    expect_text stdout "$word"
done
expect_text stdout "${escape}[?25l"
# The program brings the cursor back, and so does the script, in case the program was killed.
[ "$(grep -o "${escape}\[?25h" "$scratch/stdout" | wc -l)" -eq 2 ] || fail "the cursor's return"
[ "$(grep -c "${escape}\[[0-9]*A" "$scratch/stdout")" -gt 1 ] || fail "it is not redrawn"
last=$(grep -o "${escape}\[?25[lh]" "$scratch/stdout" | tail -n 1)
[ "$last" = "${escape}[?25h" ] || fail "the cursor stays hidden"
expect_text stdout "result: consistent"
expect_clean "the demo in a terminal"
finish
