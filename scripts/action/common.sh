# Owns what the action's scripts share: how a step speaks to the runner. Sourced, not run.
# shellcheck shell=bash
# What is passed on may hold anything, a change's own words among it: nothing of it becomes a command of the runner.

annotate() { # error|warning|notice TEXT: an annotation of the run
    local text=$2
    text=${text//'%'/%25}
    text=${text//$'\r'/%0D}
    text=${text//$'\n'/%0A}
    printf '::%s title=perfgate::%s\n' "$1" "$text"
}

put_output() { # NAME VALUE: an output of the step; the last one of a name counts
    local mark=end_${RANDOM}_${RANDOM}_${RANDOM}
    printf '%s<<%s\n%s\n%s\n' "$1" "$mark" "$2" "$mark" >>"$GITHUB_OUTPUT"
}

get_output() { # FILE NAME: the value in a file of outputs, in either of GitHub's two forms
    awk -v name="$2" '
        mark != "" { if ($0 == mark) mark = ""; else if (mine) value = value (first ? "" : "\n") $0; first = 0; next }
        {
            equals = index($0, "="); twice = index($0, "<<")
            if (twice && (!equals || twice < equals)) {
                mark = substr($0, twice + 2); mine = substr($0, 1, twice - 1) == name; first = 1
                if (mine) value = ""
            } else if (equals && substr($0, 1, equals - 1) == name) value = substr($0, equals + 1)
        }
        END { printf "%s", value }' "$1"
}

put_summary() { # MARKDOWN: a paragraph of the page of the run
    [[ -z ${GITHUB_STEP_SUMMARY:-} ]] || printf '\n%s\n' "$1" >>"$GITHUB_STEP_SUMMARY"
}

is_pull_request() {
    case ${GITHUB_EVENT_NAME:-} in
        pull_request | pull_request_target | merge_group) return 0 ;;
        *) return 1 ;;
    esac
}

sums() { # the SHA-256 of what comes in
    if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi | cut -d ' ' -f 1
}

artifact_name() { # by CONFIG and WORKING_DIRECTORY: each configuration of a run has an artifact of its own
    local path=${WORKING_DIRECTORY%/}/$CONFIG
    while [[ $path == ./* ]]; do path=${path#./}; done
    if [[ $path == perfgate.toml ]]; then
        printf perfgate
    else
        printf 'perfgate-%s-%s' "$(printf %s "$path" | LC_ALL=C tr -c 'A-Za-z0-9._-' - | tail -c 48)" \
            "$(printf %s "$path" | sums | head -c 8)"
    fi
}
