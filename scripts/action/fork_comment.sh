#!/usr/bin/env bash
# Owns the comment on a pull request from a fork: from the artifact of its run, which is not trusted, and the event,
# which is. Which pull request it is, and whose run, is told by the event alone.
#
# in:  BINARY, DOWNLOAD (folder with the artifact as one ZIP file), and what comment.sh reads besides FOLDER
set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
source "$here/common.sh"

[[ -n ${BINARY:-} ]] || { annotate error "there is no perfgate to write the comment: ${PROBLEM:-}"; exit 1; }
FOLDER=$(mktemp -d "$RUNNER_TEMP/perfgate-fork.XXXXXX")/taken
export FOLDER
if [[ ! -d $DOWNLOAD ]]; then
    echo "no comment: the run left no artifact"
    exit 0
fi
if ! python3 -I "$here/unpack.py" "$DOWNLOAD" "$FOLDER"; then
    annotate warning "No comment: the artifact of the fork's run is not one of perfgate's; the log says why"
    exit 0
fi
exec bash "$here/comment.sh"
