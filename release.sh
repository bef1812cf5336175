#!/bin/sh
# Builds cassgate as the image has it, and copies it to OUT: the same sources give the same bytes in whatever folder,
# with the same toolchain and C compiler. The Dockerfile does nothing else; tests/image/twice.sh does it twice.
#
#   release.sh OUT
set -eu

[ $# -eq 1 ] || { echo "usage: release.sh OUT" >&2; exit 2; }
out=$1
cd "$(dirname "$0")"
source=$(pwd)
target=${CARGO_TARGET_DIR:-$source/target}
cargo=${CARGO_HOME:-$HOME/.cargo}

# Nothing that is compiled may ask what time it is.
export SOURCE_DATE_EPOCH="${SOURCE_DATE_EPOCH:-0}"
# Panics and C's asserts name their file: by the name that it has in every folder.
export RUSTFLAGS="--remap-path-prefix=$target=/target --remap-path-prefix=$source=/cassgate --remap-path-prefix=$cargo=/cargo"
export CFLAGS="-ffile-prefix-map=$target=/target -ffile-prefix-map=$cargo=/cargo"
# aws-lc is compiled by the C compiler alone, so that a machine with cmake does what one without it does.
export AWS_LC_SYS_CMAKE_BUILDER=0
export CARGO_INCREMENTAL=0
cargo build --release --locked --bin cassgate
cp "$target/release/cassgate" "$out"
