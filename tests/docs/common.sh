# SPDX-License-Identifier: Apache-2.0
# What the tests of documents share. The caller has set failed=0.

fail() {
    echo "failed: $*"
    failed=1
}

# The pattern of a block that is a whole program.
a_program='(^|\n)int main\('

# extract DOCUMENT PREFIX PATTERN: writes each c or cpp block that matches as PREFIX.LINE.c or .cpp,
# the heading that it stands under as PREFIX.LINE.heading, and the text block that follows in the
# same section (what the program prints), if there is one, as PREFIX.LINE.text.
extract() {
    pattern=$3 awk -v prefix="$2" '
        function write(text, file) {
            printf "%s", text > file
            close(file)
        }
        fenced && /^```[ \t]*$/ {
            fenced = 0
            if (language ~ /^c(pp)?$/ && body ~ ENVIRON["pattern"]) {
                example = sprintf("%s.%05d", prefix, start)
                write(body, example "." language)
                write(heading "\n", example ".heading")
            } else {
                if (language == "text" && example != "") {
                    write(body, example ".text")
                }
                example = ""
            }
            next
        }
        fenced { body = body $0 "\n"; next }
        /^```/ { fenced = 1; language = substr($0, 4); body = ""; start = NR + 1; next }
        /^#/ { example = ""; heading = $0; sub(/^#+ */, "", heading) }
        END { if (fenced) { print "a block is not closed: line " start; exit 1 } }
    ' "$1" || fail "$1"
}
