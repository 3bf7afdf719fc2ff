#!/usr/bin/env bash
# Owns the long evidence: real sessions whose tables stand in docs/evidence/. Resumable: a session that is done is kept
# under .perfgate/evidence and not run again; remove that folder to begin anew.
#
#     scripts/evidence.sh slowdown     ten sessions of examples/slowdown -> docs/evidence/slowdown.md (20 minutes)
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."

sessions() { # NAME CONFIG: five sessions, each kept as N.json with its exit code in N.code
    local folder=.perfgate/evidence/slowdown/$1 number code
    mkdir -p "$folder"
    for number in 1 2 3 4 5; do
        [[ -e $folder/$number.json ]] && continue
        echo "$1, session $number of 5"
        code=0
        target/release/perfgate check --quiet --format json --config "$2" >"$folder/report.tmp" || code=$?
        [[ $code == 0 || $code == 1 || $code == 3 ]] || exit "$code"
        echo "$code" >"$folder/$number.code"
        mv "$folder/report.tmp" "$folder/$number.json"
    done
}

slowdown() {
    sessions slowed examples/slowdown/perfgate.toml
    sessions unchanged examples/slowdown/unchanged.toml
    python3 scripts/evidence_slowdown.py .perfgate/evidence/slowdown >.perfgate/evidence/table.tmp
    mv .perfgate/evidence/table.tmp docs/evidence/slowdown.md
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
