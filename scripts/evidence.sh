#!/usr/bin/env bash
# Owns the long evidence: real sessions whose tables stand in docs/evidence/. Resumable: a session that is done is kept
# under .perfgate/evidence and not run again; remove that folder to begin anew.
#
#     scripts/evidence.sh slowdown     five sessions of examples/slowdown -> docs/evidence/slowdown.md (12 minutes)
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."

slowdown() {
    local folder=.perfgate/evidence/slowdown number code
    mkdir -p "$folder"
    for number in 1 2 3 4 5; do
        [[ -e $folder/$number.json ]] && continue
        echo "session $number of 5"
        code=0
        target/release/perfgate check --quiet --format json --config examples/slowdown/perfgate.toml \
            >"$folder/report.tmp" || code=$?
        [[ $code == 0 || $code == 1 || $code == 3 ]] || exit "$code"
        echo "$code" >"$folder/$number.code"
        mv "$folder/report.tmp" "$folder/$number.json"
    done
    python3 scripts/evidence_slowdown.py "$folder" >"$folder/table.tmp"
    mv "$folder/table.tmp" docs/evidence/slowdown.md
    cat docs/evidence/slowdown.md
}

case ${1:-} in
    slowdown)
        scripts/setup.sh
        cargo build --release --locked --bin perfgate
        slowdown
        ;;
    *)
        sed -n '2,5s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
        exit 2
        ;;
esac
