#!/usr/bin/env bash
# Owns the step that comments on the pull request. Whatever becomes of it, the gate's result stays as it is.
#
# in:  BINARY, MODE, ID (if one is given), CONFIG, WORKING_DIRECTORY, FOLDER (of the reports), HEAD_REPOSITORY, SENDER, GITHUB_TOKEN
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

# The token of a pull request from a fork, or by Dependabot, only reads.
may_write() {
    [[ $GITHUB_EVENT_NAME == pull_request ]] || return 0
    [[ $HEAD_REPOSITORY == "$GITHUB_REPOSITORY" && $SENDER != 'dependabot[bot]' ]]
}

case ${GITHUB_EVENT_NAME:-} in
    pull_request | pull_request_target | workflow_run) ;;
    *) echo "no comment: $GITHUB_EVENT_NAME is no pull request"; exit 0 ;;
esac
if ! may_write; then
    text="No comment: the token of a pull request from a fork, or by Dependabot, only reads."
    text+=" A second workflow comments for it, from the artifact of this run (docs/ci.md, Pull requests from forks)."
    annotate notice "$text"
    put_summary "$text"
    exit 0
fi
if [[ -z ${BINARY:-} ]]; then
    annotate warning "No comment: there is no perfgate to write it"
    exit 0
fi

# The pull request, the commit and the link are told by the event.
arguments=(comment "--config=$WORKING_DIRECTORY/$CONFIG" "--mode=$MODE")
[[ -z ${ID:-} ]] || arguments+=("--id=$ID")
if [[ -f $FOLDER/benchmark_results.json ]]; then
    arguments+=("$FOLDER/benchmark_results.json")
elif [[ -f $FOLDER/problem.txt ]]; then
    arguments+=("--problem=$(head -c 4000 "$FOLDER/problem.txt")")
else
    arguments+=("--problem=perfgate left no results")
fi
code=0
"$BINARY" "${arguments[@]}" || code=$?
if ((code != 0)); then
    text="The comment could not be written (exit code $code); the gate's result is not changed by that."
    text+=" The job needs \`permissions: pull-requests: write\`."
    annotate warning "$text"
    put_summary "$text"
fi
