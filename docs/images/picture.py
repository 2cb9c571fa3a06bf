#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Draws a terminal's last full frame as an SVG.

    script -qc "sh examples/run-demo.sh --seconds 8" run.log
    python3 docs/images/picture.py run.log FRAME > docs/images/demo.svg

run.log is what the terminal received (ANSI colours are kept). A frame begins where the cursor goes
home; FRAME counts them from the end, 1 is the last.
"""
import html
import re
import sys

COLOURS = {
    30: "#6b7280", 31: "#f87171", 32: "#4ade80", 33: "#facc15", 34: "#60a5fa", 35: "#c084fc",
    36: "#22d3ee", 37: "#e5e7eb", 90: "#9ca3af", 91: "#fca5a5", 92: "#86efac", 93: "#fde047",
    94: "#93c5fd", 95: "#d8b4fe", 96: "#67e8f9", 97: "#ffffff",
}
PLAIN = "#d1d5db"
CHAR_WIDTH, LINE_HEIGHT, MARGIN = 8.4, 19, 18


def bars(line):
    """Colours a progress bar [####....], which the demo draws in plain characters."""
    return re.sub(r"\[(#*)(\.*)\]", "[\x1b[32m\\1\x1b[90m\\2\x1b[0m]", line)


def cells(line):
    """The line as (text, colour, bold) runs; other control sequences are dropped."""
    colour, bold = PLAIN, False
    for part in re.split(r"(\x1b\[[0-9;?]*[A-Za-z])", line):
        code = re.fullmatch(r"\x1b\[([0-9;]*)m", part)
        if code:
            for number in [int(n or 0) for n in code.group(1).split(";")]:
                if number == 0:
                    colour, bold = PLAIN, False
                elif number == 1:
                    bold = True
                elif number == 2:
                    colour = COLOURS[90]
                elif number in COLOURS:
                    colour = COLOURS[number]
                elif number == 39:
                    colour = PLAIN
        elif part and not part.startswith("\x1b"):
            yield part, colour, bold


def main():
    if len(sys.argv) != 3 or not sys.argv[2].isdigit() or int(sys.argv[2]) == 0:
        print("usage: picture.py LOG FRAME   (FRAME: a whole number from 1)", file=sys.stderr)
        return 2
    with open(sys.argv[1], encoding="utf-8", errors="replace") as log:
        text = log.read().replace("\r\n", "\n").replace("\r", "\n")
    frames = re.split(r"\x1b\[H|\x1b\[\d+A|\x1b\[1;1H", text)
    if int(sys.argv[2]) >= len(frames):
        print(f"picture.py: FRAME: the log has {len(frames) - 1} frames", file=sys.stderr)
        return 2
    lines = frames[-int(sys.argv[2])].rstrip("\n").split("\n")
    plain = [re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", line) for line in lines]
    width = int(max(len(line) for line in plain) * CHAR_WIDTH) + 2 * MARGIN
    height = len(lines) * LINE_HEIGHT + 2 * MARGIN
    print(f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
          f'viewBox="0 0 {width} {height}">')
    print(f'<rect width="{width}" height="{height}" rx="8" fill="#111827"/>')
    print('<g font-family="ui-monospace, DejaVu Sans Mono, Menlo, monospace" font-size="14" '
          'xml:space="preserve">')
    for row, line in enumerate(lines):
        column = 0
        y = MARGIN + (row + 1) * LINE_HEIGHT - 5
        for run, colour, bold in cells(bars(line)):
            run = re.sub(r"[\x00-\x08\x0b-\x1f]", "", run)
            if run.strip():
                x = round(MARGIN + column * CHAR_WIDTH, 1)
                length = round(len(run) * CHAR_WIDTH, 1)
                weight = ' font-weight="bold"' if bold else ""
                print(f'<text x="{x}" y="{y}" fill="{colour}" textLength="{length}"{weight}>'
                      f"{html.escape(run)}</text>")
            column += len(run)
    print("</g>\n</svg>")
    return 0


if __name__ == "__main__":
    sys.exit(main())
