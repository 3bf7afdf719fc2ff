#!/usr/bin/env bash
# Owns the step that gets perfgate: the verified binary of the action's own release, else a build of the action's own
# source. What cannot be verified is never run. A failure is an output, so that the steps after it can publish it.
#
# in:  ACTION_REPOSITORY, BINARY, VERSION, BUILD (auto|always|never), GH_TOKEN, GITHUB_SERVER_URL, RUNNER_TEMP
# out: binary (its path), source (given|release|build), problem (why there is none)
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
problem=

own_version() {
    sed -n 's/^version = "\(.*\)"$/\1/p' "$ROOT/Cargo.toml" | head -n 1
}

platform() {
    local system machine
    system=$(uname -s) machine=$(uname -m)
    case $system in Linux) system=linux ;; Darwin) system=macos ;; esac
    case $machine in amd64) machine=x86_64 ;; arm64) machine=aarch64 ;; esac
    echo "$system-$machine"
}

# A local action (uses: ./) is of no release; nor does the runner always say whose another is.
find_repository() {
    local rest
    [[ -z ${GITHUB_WORKSPACE:-} || $ROOT/ != "$(cd "$GITHUB_WORKSPACE" && pwd)"/* ]] || return 0
    [[ -z ${ACTION_REPOSITORY:-} ]] || { echo "$ACTION_REPOSITORY"; return; }
    case $ROOT in
        */_actions/*/*/*)
            rest=${ROOT##*/_actions/}
            cut -d / -f 1,2 <<<"$rest"
            ;;
    esac
}

fetch() { # URL FILE: 0 fetched, 3 not there, 1 anything else
    local status
    status=$(curl --silent --show-error --location --proto '=https,http' --proto-redir '=https' --retry 3 \
        --connect-timeout 30 --max-time 600 --output "$2" --write-out '%{http_code}' "$1") || return 1
    case $status in
        200) return 0 ;;
        404) return 3 ;;
        *) echo "$1 answered with $status"; return 1 ;;
    esac
}

matches_checksum() { # ARCHIVE SUMS: whether the release lists it once, with the sum that it has
    local name wanted
    name=$(basename "$1")
    wanted=$(awk -v name="$name" '$2 == name || $2 == "*" name { print $1 }' "$2")
    [[ $wanted =~ ^[0-9a-f]{64}$ ]] || return 1
    [[ $(checksum "$1") == "$wanted" ]]
}

checksum() {
    if command -v sha256sum >/dev/null; then sha256sum "$1"; else shasum -a 256 "$1"; fi | cut -d ' ' -f 1
}

# Older versions of gh end with 0 where there is no attestation at all: what they print is looked at too.
is_attested() { # ARCHIVE REPOSITORY TAG
    local said
    said=$(gh attestation verify "$1" --repo "$2" --signer-workflow "$2/.github/workflows/release.yml" \
        --source-ref "refs/tags/$3" --deny-self-hosted-runners --format json) || return 1
    [[ $said == *verificationResult* ]]
}

try_release() { # fills in found; 1: there is none that can be used; 2: there is one, and it is not what it should be
    local repository=$1 tag=v$2 name archive release status=0
    name=perfgate-$2-$(platform).tar.gz
    release=$GITHUB_SERVER_URL/$repository/releases/download/$tag
    archive=$work/$name
    fetch "$release/$name" "$archive" || status=$?
    ((status == 0)) || { echo "no binary to be had at $release/$name"; return 1; }
    fetch "$release/SHA256SUMS" "$work/SHA256SUMS" || { echo "no checksums to be had at $release/SHA256SUMS"; return 1; }
    if ! matches_checksum "$archive" "$work/SHA256SUMS"; then
        problem="$release/$name is not what the SHA256SUMS beside it say, and is not run"
        return 2
    fi
    if command -v gh >/dev/null; then
        if ! is_attested "$archive" "$repository" "$tag"; then
            annotate warning "$name has no attestation by the release workflow of $repository that could be verified, and is not run"
            return 1
        fi
        echo "$name: checksum and attestation verified"
    else
        echo "$name: checksum verified; gh is not installed, so its attestation is not looked at"
    fi
    tar -xzf "$archive" -C "$work" --no-same-owner perfgate
    # A binary for a newer system's C library is there and does not start.
    [[ $("$work/perfgate" --version 2>&1) == "perfgate $2" ]] || { echo "$name does not run here"; return 1; }
    found=$work/perfgate
}

try_build() {
    if ! command -v "${CARGO:-cargo}" >/dev/null; then
        problem="perfgate has to be built here, and cargo is not installed: install Rust before this step, or give \`binary\`"
        return 1
    fi
    echo "building perfgate from $ROOT"
    # In its own folder: cargo obeys the .cargo/config.toml and rust-toolchain.toml of the folder that it is called in.
    # Without the token: of a local action it is the change's own code that is built.
    if ! (cd "$ROOT" && unset GH_TOKEN && "${CARGO:-cargo}" build --release --locked --bin perfgate --target-dir "$work/target"); then
        problem="perfgate could not be built from $ROOT; the log of this step says why"
        return 1
    fi
    found=$work/target/release/perfgate
}

get() { # prints nothing of its own on success; fills in found and source
    local version own repository status=0
    if [[ -n ${BINARY:-} ]]; then
        source=given found=$BINARY
        [[ -f $BINARY && -x $BINARY ]] && return
        problem="binary: $BINARY is no program that can be run"
        return 1
    fi
    own=$(own_version)
    version=${VERSION:-$own}
    version=${version#v}
    if ! [[ $version =~ ^[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?$ ]]; then
        problem="version: '$version' is no version"
        return 1
    fi
    repository=$(find_repository)
    case ${BUILD:-auto} in auto | always | never) ;; *) problem="build-from-source: '$BUILD' is none of auto, always, never"; return 1 ;; esac
    if [[ ${BUILD:-auto} != always && -n $repository ]]; then
        source=release
        try_release "$repository" "$version" && return
        status=$?
        ((status != 2)) || return 1
    fi
    source=build
    if [[ ${BUILD:-auto} == never ]]; then
        problem="there is no binary of perfgate $version for $(platform) that could be verified, and build-from-source is never"
        return 1
    elif [[ $version != "$own" ]]; then
        problem="there is no binary of perfgate $version for $(platform) that could be verified; the action's own source is of $own"
        return 1
    fi
    try_build
}

mkdir -p "$RUNNER_TEMP"
work=$(mktemp -d "$RUNNER_TEMP/perfgate-binary.XXXXXX")
found='' source=''
if get; then
    [[ $found == /* ]] || found=$PWD/$found
    put_output binary "$found"
    put_output source "$source"
    echo "perfgate ($source): $found"
else
    put_output problem "${problem:-perfgate could not be had}"
    annotate error "${problem:-perfgate could not be had}"
fi
