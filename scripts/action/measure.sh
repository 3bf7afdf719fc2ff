#!/usr/bin/env bash
# Owns the step that measures: perfgate check, with its exit code kept for the last step, and every report in one folder.
#
# in:  BINARY, PROBLEM (why there is no binary), CONFIG, WORKING_DIRECTORY, AGAINST, ARGS, FOLDER
# out: what `perfgate check --github` puts out, code (the exit code), and the files that came to be:
#      report-html, report-markdown, junit, results (a copy beside them)
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

# Words and quotes as in a shell; nothing is expanded and nothing run.
split_arguments() {
    [[ -n ${ARGS:-} ]] || return 0
    if ! printf '%s' "$ARGS" | xargs -r printf '%s\0' >"$FOLDER/.arguments"; then
        could_not_run "args: '$ARGS' cannot be split into words; is a quote open?"
    fi
    local word
    while IFS= read -r -d '' word; do
        arguments+=("$word")
    done <"$FOLDER/.arguments"
    rm "$FOLDER/.arguments"
}

hold_against() {
    case ${AGAINST:-} in
        '') ! is_pull_request || arguments+=(--against) ;;
        none) ;;
        *) arguments+=("--against=$AGAINST") ;;
    esac
}

# The last words, where perfgate itself had none.
could_not_run() { # PROBLEM
    printf '%s\n' "$1" >"$FOLDER/problem.txt"
    put_output verdict error
    put_output problem "$1"
    put_output code 2
    put_output exit-code 2
    annotate error "$1"
    put_summary "**perfgate could not run.** $1"
    exit 0
}

publish() { # OUTPUT FILE: names a file if it came to be
    [[ ! -s $FOLDER/$2 ]] || put_output "$1" "$FOLDER/$2"
}

[[ -z ${PROBLEM:-} ]] || could_not_run "$PROBLEM"
[[ -n ${BINARY:-} ]] || could_not_run "the step that gets perfgate did not come to its end"
cd "$WORKING_DIRECTORY" || could_not_run "working-directory: $WORKING_DIRECTORY cannot be entered"

arguments=(check)
hold_against
arguments+=("--config=$CONFIG" --github "--export=html=$FOLDER/report.html"
    "--export=markdown=$FOLDER/report.md" "--export=junit=$FOLDER/junit.xml")
split_arguments

code=0
: >"$FOLDER/.outputs"
GITHUB_OUTPUT=$FOLDER/.outputs "$BINARY" "${arguments[@]}" || code=$?
cat "$FOLDER/.outputs" >>"$GITHUB_OUTPUT"
results=$(get_output "$FOLDER/.outputs" results)
problem=$(get_output "$FOLDER/.outputs" problem)
verdict=$(get_output "$FOLDER/.outputs" verdict)
rm "$FOLDER/.outputs"

# One that was killed said nothing, or only half of it.
if ((code > 3)) || [[ -z $verdict ]]; then
    if ((code > 128)); then
        could_not_run "perfgate was ended by signal $((code - 128)) before it came to a verdict; 9 is mostly want of memory"
    fi
    could_not_run "perfgate ended with exit code $code and came to no verdict; the log of this step says why"
fi
[[ -z $problem ]] || printf '%s\n' "$problem" >"$FOLDER/problem.txt"
if [[ -n $results && -f $results ]]; then
    cp "$results" "$FOLDER/benchmark_results.json"
    put_output results "$FOLDER/benchmark_results.json"
fi
publish report-html report.html
publish report-markdown report.md
publish junit junit.xml
put_output code "$code"
