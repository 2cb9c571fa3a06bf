#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every relative link in README.md, docs/*.md and the other documents at the top leads to a file of
the repository, and its #fragment, if it has one, to a heading there.

usage: links.py SOURCE_DIR [CC]      Status 0 or 1.
"""
import pathlib
import re
import sys
import urllib.parse

LINK = re.compile(r"!?\[[^\]]*\]\(\s*<?([^)\s>]+)>?[^)]*\)|^\s*\[[^\]]+\]:\s*(\S+)", re.MULTILINE)
IMAGE = re.compile(r"<(?:img|source|a)\s[^>]*?(?:src|srcset|href)=\"([^\"]+)\"")
ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)


def without_code(text):
    """The text without fenced blocks and code spans, in which nothing is a link."""
    text = re.sub(r"^```.*?^```[ \t]*$", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"`[^`\n]*`", "", text)


def fragments(document):
    """The fragments of a document's headings, made as GitHub makes them."""
    text = re.sub(r"^```.*?^```[ \t]*$", "", document.read_text(), flags=re.MULTILINE | re.DOTALL)
    found = {}
    names = set(re.findall(r"<a\s+(?:id|name)=\"([^\"]+)\"", text))
    for heading in re.findall(r"^#{1,6}\s+(.*?)\s*#*$", text, flags=re.MULTILINE):
        heading = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        seen = found.get(slug, 0)
        found[slug] = seen + 1
        names.add(slug if seen == 0 else f"{slug}-{seen}")
    return names


def broken(document, root):
    """The links of a document that lead nowhere, each with the reason."""
    text = without_code(document.read_text())
    targets = [first or second for first, second in LINK.findall(text)] + IMAGE.findall(text)
    for target in targets:
        if ELSEWHERE.match(target) or target.startswith("//"):
            continue
        path, _, fragment = urllib.parse.unquote(target).partition("#")
        goal = (document.parent / path).resolve() if path else document
        if root != goal and root not in goal.parents:
            yield target, "outside the repository"
        elif not goal.exists():
            yield target, "no such file"
        elif fragment and goal.suffix == ".md" and fragment not in fragments(goal):
            yield target, "no such heading"


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit("usage: links.py SOURCE_DIR [CC]")
    root = pathlib.Path(sys.argv[1]).resolve()
    documents = sorted(root.glob("*.md")) + sorted((root / "docs").glob("*.md"))
    failed = not documents
    for document in documents:
        for target, reason in broken(document, root):
            print(f"{document.relative_to(root)}: {target}: {reason}")
            failed = True
    print(f"{len(documents)} documents")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
