#!/usr/bin/env bash
# Owns the second command of the README: everything that must be green, on a fresh machine too.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."

step() {
    printf '\n== %s (%s s so far)\n' "$*" "$SECONDS"
}

# The tests run real engines on the real model, and each family of models on a small random one.
step "set-up"
scripts/setup.sh
scripts/random_llama.sh tests
# One test needs the runtime that leaves weights out of the names of its compiled models.
scripts/evidence.sh older-openvino

step "the graded tasks are what their script makes"
python3 scripts/make_tool_calls.py --check
if python3 -c 'import tomllib' 2>/dev/null; then
    python3 scripts/make_tasks.py --check
else
    echo "not held to scripts/make_tasks.py, which needs Python 3.11"
fi

step "workflows, actions and shell scripts"
scripts/check_workflows.sh

step "cargo fmt --check"
cargo fmt --check

# One profile for building, testing and linting: the dependencies are compiled once.
step "cargo clippy -D warnings"
cargo clippy --release --locked --all-targets -- -D warnings

step "cargo doc -D warnings"
RUSTDOCFLAGS="-D warnings" cargo doc --release --locked --no-deps

# Clippy has compiled the examples, which hold no tests; no documentation has any.
step "cargo test"
cargo test --release --locked --lib --bins --test it

# The tests have built the binary.
step "the actions, played with merge commits and a GitHub on this machine"
scripts/try_action.sh

printf '\nAll green after %s s.\n' "$SECONDS"
