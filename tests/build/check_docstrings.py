# SPDX-License-Identifier: Apache-2.0
"""Holds the comments of public functions to their bodies.

    python3 check_docstrings.py SOURCE_DIR

Every function crossvm_... (but not crossvm_i_...) has a comment directly above it, and the comment
mentions, by its short name, each status that the body can answer: those in its own return
statements, those that it assigns to a variable that it returns, and those of other functions that
it passes on without asking for them. A comment may refer to another ("as crossvm_spsc_tx_push",
"as push", "statuses as above"): then that one's words count, too. C++ members name the call that
they are like.
"""
import re
import sys

sys.dont_write_bytecode = True  # the sources stay as they are
import common


def statuses_of(source):
    text = (source / "include/crossvm/status.h").read_text(encoding="utf-8")
    for _, tag, body in common.tags(text):
        if tag == "crossvm_status":
            return [name for name in common.enumerators(body) if name.startswith("CROSSVM_")]
    return []


def split_ternary(expression):
    """The values that an expression of conditionals can have, without the conditions."""
    depth = 0
    question = -1
    nested = 0
    for at, char in enumerate(expression):
        depth += (char in "([{") - (char in ")]}")
        if depth != 0:
            continue
        if char == "?":
            if question < 0:
                question = at
            else:
                nested += 1
        elif char == ":" and question >= 0:
            if nested == 0:
                return split_ternary(expression[question + 1 : at]) + split_ternary(
                    expression[at + 1 :])
            nested -= 1
    inner = expression.strip()
    if inner.startswith("(") and inner.endswith(")") and "?" in inner:
        return split_ternary(inner[1:-1])
    return [inner]


class Answers:
    """What functions can answer, by reading their bodies."""

    def __init__(self, statuses, functions):
        self.statuses = set(statuses)
        self.functions = {function.name: function for function in functions}
        self.known = {}

    def of_value(self, function, value, seen):
        """What one returned value can be: a status, a helper's answer, or a variable."""
        if value in self.statuses:
            return {value}
        if re.fullmatch(r"\w+", value):
            return self.of_variable(function, value, seen)
        return self.of_call(value, seen)

    def of_call(self, value, seen):
        """A callee's answers; with 0 or a maximum as an argument some of them may
        be ruled out, so then none."""
        if re.search(r"[(,]\s*(?:0|UINT\d+_MAX)\s*[,)]", value):
            return set()
        call = re.fullmatch(r"(crossvm_\w+)\s*\(.*\)", value, re.S)
        if call and call.group(1) in self.functions and call.group(1) not in seen:
            return self.of(call.group(1), seen)
        return set()

    def of_variable(self, function, name, seen):
        """What is assigned to a variable. A status that the body asks the variable for may be
        replaced before the return, so from calls it does not count; and OK does not when every
        return of the variable stands behind `if (variable != CROSSVM_OK)`."""
        found = set()
        asked = set(re.findall(rf"\b{name}\s*[=!]=\s*(CROSSVM_\w+)", function.body))
        for match in re.finditer(rf"(?<![\w.>]){name}\s*=(?!=)\s*([^;]+);", function.body):
            for value in split_ternary(match.group(1)):
                if value in self.statuses:
                    found.add(value)
                else:
                    found |= self.of_call(value, seen) - asked
        bare = len(re.findall(rf"\breturn {name};", function.body))
        guarded = len(re.findall(rf"if \({name} != CROSSVM_OK\) {{\s*return {name};",
                                 function.body))
        if bare == guarded:
            found.discard("CROSSVM_OK")
        return found

    def of(self, name, seen=frozenset()):
        if name in self.known:
            return self.known[name]
        function = self.functions[name]
        found = set()
        for match in re.finditer(r"\breturn\b([^;]*);", function.body):
            for value in split_ternary(match.group(1)):
                found |= self.of_value(function, value, seen | {name})
        if not seen:
            self.known[name] = found
        return found


def resolve(word, function, functions):
    """The function that a comment's word means: its name, or its last part among its relatives."""
    if word in functions:
        return [word]
    parts = function.name.split("_")
    for n_parts in range(len(parts) - 1, 1, -1):
        name = "_".join(parts[:n_parts] + [word])
        if name in functions:
            return [name]
    return []


def referred(function, functions, order):
    """The functions whose comments a comment refers to."""
    names = []
    comment = re.sub(r"\s+", " ", function.comment)
    for word in re.findall(r"\b[Aa]s (?:for )?(\w+)", comment):
        names += resolve(word, function, functions)
    for phrase in re.findall(r"\ball that ([\w, ]+) answers?\b", comment):
        for word in re.findall(r"\w+", phrase):
            names += resolve(word, function, functions)
    if re.search(r"\b(?:as|like) above\b", comment, re.I):
        names.append(order[order.index(function.name) - 1])
    return names


def words_of(function, functions, order, seen=()):
    words = function.comment
    for name in referred(function, functions, order):
        if name not in seen and name != function.name:
            words += "\n" + words_of(functions[name], functions, order, (*seen, function.name))
    return words


def members_without(source, report):
    """C++ members that answer a status: the comment above refers to the C call that it wraps, and
    that call is there. Answers how many there are."""
    known = {function.name for _, path in common.headers(source)
             for function in common.functions(path.read_text(encoding="utf-8"))}
    top = source / "include" / "crossvm"
    n_members = 0
    for path in sorted(top.rglob("*.hpp")):
        text = path.read_text(encoding="utf-8")
        member = r"^ +(?:CROSSVM_I_MEMBER|\[\[nodiscard\]\]) int (\w+)\("
        for match in re.finditer(member, text, re.M):
            where = f"{path.name}:{text.count(chr(10), 0, match.start()) + 1}: {match.group(1)}"
            comment = re.search(r"/\*((?:(?!\*/).)*)\*/\s*$", text[:match.start()], re.S)
            if match.group(1) == "release":
                referred = known  # it answers a descriptor
            else:
                referred = re.findall(r"crossvm_\w+", comment.group(1)) if comment else []
            n_members += 1
            if not comment:
                report.wrong(where, "no comment directly above")
            elif not any(name in known for name in referred):
                report.wrong(where, "its comment names no call of the library that it is like")
    return n_members


def main():
    source = common.source_dir()
    report = common.Report()
    statuses = statuses_of(source)
    if "CROSSVM_CORRUPT" not in statuses:
        report.wrong("status.h", "enum crossvm_status was not understood")
    by_file = {name: common.functions(path.read_text(encoding="utf-8"))
               for name, path in common.headers(source)}
    everything = [function for functions in by_file.values() for function in functions]
    answers = Answers(statuses, everything)
    public = {f.name: f for f in everything if not f.name.startswith("crossvm_i_")}

    n_statuses = 0
    for name, functions in by_file.items():
        order = [function.name for function in functions if function.name in public]
        for function in functions:
            if function.name not in public:
                continue
            where = f"{name}:{function.line}: {function.name}"
            if not function.comment:
                report.wrong(where, "no comment directly above")
                continue
            words = words_of(function, public, order)
            for status in sorted(answers.of(function.name)):
                n_statuses += 1
                if not re.search(rf"\b(?:CROSSVM_)?{status[8:]}\b", words):
                    report.wrong(where, f"answers {status[8:]}, which its comment does not mention")
    if not public or n_statuses == 0:
        report.wrong("include/crossvm", "no function with a status was found")
    n_members = members_without(source, report)
    if n_members == 0:
        report.wrong("include/crossvm", "no C++ member was found")
    return report.finish(f"{len(public)} public functions, {n_statuses} answers, {n_members} C++ "
                         "members, all documented")


if __name__ == "__main__":
    sys.exit(main())
