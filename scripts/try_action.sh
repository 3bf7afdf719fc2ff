#!/usr/bin/env bash
# Owns the trial of the actions with its tools on the path; scripts/try_action.py holds the cases, which can be named.
set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
PYTHONPATH=$("$here/dev_tools.sh") PYTHONNOUSERSITE=1 PYTHONDONTWRITEBYTECODE=1 "${PYTHON:-python3}" "$here/try_action.py" "$@"
