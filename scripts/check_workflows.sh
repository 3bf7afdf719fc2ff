#!/usr/bin/env bash
# Owns what holds the workflows, the actions and the shell scripts to their rules: GitHub's schemas, zizmor, shellcheck,
# and rules of our own (check_workflows.py). Nothing here needs the network once the tools are fetched.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

tools=$(scripts/dev_tools.sh)
export PYTHONPATH=$tools PYTHONNOUSERSITE=1
python=${PYTHON:-python3}

# The workflows that docs/ci.md shows, which begin with their name; an action without an owner becomes a local one.
shown=$(mktemp -d)
trap 'rm -rf "$shown"' EXIT
awk -v folder="$shown" '
    /^```/ { file = ""; begins = $0 == "```yaml"; next }
    begins && /^# \.github\/workflows\// { file = folder "/" $0; sub(/# .*\//, "", file) }
    { begins = 0 }
    file { sub(/OWNER\/perfgate@v[0-9.]+$/, "./"); sub(/OWNER\/perfgate\/comment@v[0-9.]+$/, "./comment"); print >file }
' docs/ci.md

workflows=(.github/workflows/*.yml src/cli/init/*.yml "$shown"/*.yml)
actions=(action.yml comment/action.yml)

"$python" -m check_jsonschema --builtin-schema vendor.github-workflows "${workflows[@]}"
"$python" -m check_jsonschema --builtin-schema vendor.github-actions "${actions[@]}"
"$tools/bin/zizmor" --quiet --offline --persona pedantic --strict-collection --config .github/zizmor.yml \
    "${workflows[@]}" "${actions[@]}"
"$python" scripts/check_workflows.py "${workflows[@]}" "${actions[@]}"
# Not looked for: $ and ` within single quotes, and variables that are set outside; both are meant.
"$tools/bin/shellcheck" --exclude=SC2016,SC2153,SC2154 --external-sources --source-path=SCRIPTDIR \
    scripts/*.sh scripts/action/*.sh
echo "${#workflows[@]} workflows, ${#actions[@]} actions and the shell scripts keep to the rules"
