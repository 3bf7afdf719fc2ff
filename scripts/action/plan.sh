#!/usr/bin/env bash
# Owns the step that says what the cache is to hold, and where the reports go.
#
# in:  CONFIG, WORKING_DIRECTORY, ARTIFACT (its name, if one is given), HEAD_REPOSITORY, RUNNER_TEMP
# out: folder (of the reports, absolute), artifact (what they are uploaded as), key (of what the configuration says), answers (kept answers to graded tasks),
#      models (models and runtimes, where none are there yet); both are empty where no cache is trusted
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

mkdir -p "$RUNNER_TEMP"
put_output folder "$(mktemp -d "$RUNNER_TEMP/perfgate-report.XXXXXX")"
put_output artifact "${ARTIFACT:-$(artifact_name)}"
config=$WORKING_DIRECTORY/$CONFIG
[[ ! -f $config ]] || put_output key "$(sums <"$config")"

# A pull request has a cache of its own, which each of its commits may fill with anything.
if is_pull_request && [[ $GITHUB_EVENT_NAME != merge_group && $HEAD_REPOSITORY != "$GITHUB_REPOSITORY" ]]; then
    echo "no cache: the pull request comes from another repository"
    exit 0
fi
generated=$WORKING_DIRECTORY/.perfgate
put_output answers "$generated/quality"
# What an earlier step made is newer than any cache.
if [[ ! -e $generated/models && ! -e $generated/runtimes ]]; then
    put_output models "$generated/models"$'\n'"$generated/runtimes"
fi
