#!/usr/bin/env bash
# Owns the last step: the job ends with the exit code of the check, after everything is published.
#
# in: CODE, VERDICT, PROBLEM
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

# Nothing, or no number: whatever ended the measuring, it was no pass.
if ! [[ ${CODE:-} =~ ^[0-9]{1,3}$ ]]; then
    annotate error "perfgate came to no exit code: the measuring was ended from outside"
    exit 2
fi
echo "perfgate: ${VERDICT:-no verdict}, exit code $CODE${PROBLEM:+: $PROBLEM}"
exit "$CODE"
