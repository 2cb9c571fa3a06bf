# SPDX-License-Identifier: Apache-2.0
"""Writes what report.py found into docs/PERFORMANCE.md, between two marks, and draws its plots with
gnuplot (docs/performance/*.svg)."""
import pathlib
import re
import statistics
import subprocess
import sys

MARKS = "<!-- {}: begin -->", "<!-- {}: end -->"
PEER_ROWS = [("8 B", "spsc/8B/one"), ("8 B, 32 at a time", "spsc/8B/batch32"),
             ("64 B", "spsc/64B/one"), ("64 B, 32 at a time", "spsc/64B/batch32"),
             ("64 B, zero-copy", "spsc/64B/zero-copy")]
LENS = (8, 64, 256, 1024)
HEAD = """\
set terminal svg size {width},400 font "sans-serif,12" background "white"
set output "{path}"
set key outside right top
set grid ytics
"""


class Medians:
    """Of each case, in one regime."""

    def __init__(self, times):
        self.of = {(case.row, case.place, case.who): statistics.median(values)
                   for case, values in times.items()}

    def ns(self, row, who="crossvm", place="threads"):
        return self.of.get((row, place, who))

    def million(self, row, who="crossvm"):
        ns = self.ns(row, who)
        return None if ns is None else 1e3 / ns

    def rows(self, pattern):
        """(number in the row's name, row) of all rows that match, by number."""
        found = {row: re.fullmatch(pattern, row) for row, _, _ in self.of}
        return sorted((int(match.group(1)), row) for row, match in found.items() if match)


# ---- plots -----------------------------------------------------------------------------------

def gnuplot(script):
    try:
        subprocess.run(["gnuplot"], input=script, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"document.py: gnuplot: {error}")


def number(value):
    return "NaN" if value is None else f"{value:.4g}"


def draw_lines(path, title, x, y, lines, extra=""):
    """lines: {name: [(x, y or None)]}"""
    lines = {name: points for name, points in lines.items()
             if any(value is not None for _, value in points)}
    if not lines:
        return False
    script = HEAD.format(width=760, path=path)
    script += f'set title "{title}"\nset xlabel "{x}"\nset ylabel "{y}"\nset logscale x 2\n{extra}\n'
    for i, points in enumerate(lines.values()):
        rows = "\n".join(f"{at} {number(value)}" for at, value in points)
        script += f"$data{i} << EOD\n{rows}\nEOD\n"
    script += "plot " + ", ".join(f'$data{i} using 1:2 with linespoints linewidth 2 title "{name}"'
                                  for i, name in enumerate(lines)) + "\n"
    gnuplot(script)
    return True


def draw_peers(path, medians):
    """A group of bars for each row, one bar for each queue that was measured."""
    whos = sorted({who for row, place, who in medians.of if place == "threads"
                   and row in dict(PEER_ROWS).values() and who != "crossvm-untyped"},
                  key=lambda who: (who != "crossvm", who))
    script = HEAD.format(width=1100, path=path)
    script += ('set title "Elements a second between two threads"\n'
               'set ylabel "million elements / s"\nset style data histograms\n'
               "set style fill solid 0.9 noborder\nset boxwidth 0.9\nset yrange [0:]\n$data << EOD\n")
    script += "row " + " ".join(f'"{who}"' for who in whos) + "\n"
    for title, row in PEER_ROWS:
        values = [medians.million(row, who) for who in whos]
        script += f'"{title}" ' + " ".join(number(value or 0) for value in values) + "\n"
    script += "EOD\nset key autotitle columnheader noenhanced\nplot " + ", ".join(
        f"$data using {i + 2}:xtic(1)" for i in range(len(whos))) + "\n"
    gnuplot(script)


def draw_all(folder, medians):
    """The plots, as (file, what it shows)."""
    folder.mkdir(exist_ok=True)
    draw_peers(folder / "peers.svg", medians)
    drawn = [("peers.svg", "Elements a second between two threads, against the peers")]

    def lines(name, title, *rest, **more):
        if draw_lines(folder / name, title, *rest, **more):
            drawn.append((name, title))

    lines("ring.svg", "Elements a second against the ring's size", "elements in the ring",
          "million elements / s",
          {f"{size} B, {loop}": [(n, medians.million(row)) for n, row in
                                 medians.rows(rf"ring/{size}B/{loop}/(\d+)")]
           for size in (8, 64) for loop in ("one", "batch32")})
    lines("element.svg", "Bytes a second against the element's size", "bytes of an element", "GB / s",
          {loop: [(size, None if medians.ns(f"spsc/{size}B/{loop}") is None
                   else size / medians.ns(f"spsc/{size}B/{loop}")) for size in LENS]
           for loop in ("one", "batch32", "zero-copy", "zero-copy32")})
    lines("round-trip.svg", "Round trip against the element's size", "bytes of an element", "ns",
          {"crossvm": [(size, medians.ns(f"spsc/{size}B/round-trip")) for size in LENS],
           "raw ping-pong": [(size, medians.ns("limit/ping-pong", "two-lines")) for size in LENS]},
          extra="set yrange [0:]")
    for state in ("idle", "busy"):
        lines(f"snapshot-{state}.svg", f"Reading a snapshot, {state} writer", "bytes of payload",
              "GB / s",
              {who: [(size, size / medians.ns(row, who) if medians.ns(row, who) else None)
                     for size, row in medians.rows(rf"snapshot/(\d+)B/read-{state}")]
               for who in ("crossvm", "crossvm-strict", "memcpy", "ck_sequence")})
    lines("readers.svg", "Reads of 4 KiB by each of several readers, idle writer", "readers",
          "million reads / s",
          {who: [(n, medians.million(f"snapshot/4096B/read-idle{'' if n == 1 else f'-{n}'}", who))
                 for n in (1, 2, 4)] for who in ("crossvm", "memcpy", "ck_sequence")},
          extra="set xtics (1, 2, 4)\nset yrange [0:]")
    return drawn


# ---- the document ----------------------------------------------------------------------------

def between(text, part, block, path):
    """The text, with the block between the marks of a part."""
    begin, end = (mark.format(part) for mark in MARKS)
    if text.count(begin) != 1 or text.count(end) != 1:
        sys.exit(f"document.py: {path}: expected {begin} and {end}, once each")
    return text.split(begin)[0] + f"{begin}\n{block}{end}" + text.split(end)[1]


def write_part(docs, part, machine, tables, more=""):
    """machine: lines; tables: text; more: what follows."""
    path = pathlib.Path(docs) / "PERFORMANCE.md"
    text = path.read_text(encoding="utf-8")
    block = "\n".join(f"    {line}" for line in machine) + f"\n\n{tables}\n{more}"
    path.write_text(between(text, part, block, path), encoding="utf-8")


def write(docs, part, times, machine, tables):
    """docs: the folder; part: "figures", with plots, or "native"; times: of each case, in the
    regime that has most trials; machine: lines; tables: text."""
    path = pathlib.Path(docs) / "PERFORMANCE.md"
    between(path.read_text(encoding="utf-8"), part, "", path)
    plots = ""
    if part == "figures":
        drawn = draw_all(pathlib.Path(docs) / "performance", Medians(times))
        plots = "\n".join(f"![{title}](performance/{name})\n" for name, title in drawn)
    write_part(docs, part, machine, tables, plots)
