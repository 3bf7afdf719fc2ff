#!/usr/bin/env bash
# Owns the step that says which artifact holds what a fork's run measured.
#
# in:  CONFIG, WORKING_DIRECTORY (both of the run that measured), ARTIFACT (its name, if one is given)
# out: artifact (its name)
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

put_output artifact "${ARTIFACT:-$(artifact_name)}"
