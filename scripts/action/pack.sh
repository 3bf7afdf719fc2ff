#!/usr/bin/env bash
# Owns what a release holds for one platform: dist/perfgate-VERSION-PLATFORM.tar.gz, built from the tag that names the
# version. binary.sh looks for this name.
#
# in: PLATFORM, GITHUB_REF_NAME (the tag), CARGO (a stand-in for cargo, for tests)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)
if [[ $GITHUB_REF_NAME != "v$version" ]]; then
    echo "::error file=Cargo.toml::the tag is $GITHUB_REF_NAME, and Cargo.toml says $version" >&2
    exit 1
fi
"${CARGO:-cargo}" build --release --locked --bin perfgate
mkdir -p dist
tar -czf "dist/perfgate-$version-$PLATFORM.tar.gz" -C target/release perfgate -C ../.. LICENSE
