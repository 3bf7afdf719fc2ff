#!/usr/bin/env bash
# Owns what holds the workflows, the actions and the shell scripts to their rules: GitHub's schemas, zizmor, shellcheck,
# and rules of our own (check_workflows.py). Nothing here needs the network once the tools are fetched.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

tools=$(scripts/dev_tools.sh)
export PYTHONPATH=$tools PYTHONNOUSERSITE=1
python=${PYTHON:-python3}

workflows=(.github/workflows/*.yml src/cli/init/*.yml)
# The template's configuration is no workflow.
actions=(action.yml comment/action.yml)

"$python" -m check_jsonschema --quiet --builtin-schema vendor.github-workflows "${workflows[@]}"
"$python" -m check_jsonschema --quiet --builtin-schema vendor.github-actions "${actions[@]}"
"$tools/bin/zizmor" --quiet --offline --persona pedantic --strict-collection --config .github/zizmor.yml \
    "${workflows[@]}" "${actions[@]}"
"$python" scripts/check_workflows.py "${workflows[@]}" "${actions[@]}"
"$tools/bin/shellcheck" --severity=warning --external-sources --source-path=SCRIPTDIR scripts/*.sh scripts/action/*.sh
echo "${#workflows[@]} workflows, ${#actions[@]} actions and the shell scripts keep to the rules"
