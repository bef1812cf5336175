#!/bin/sh
# Builds the binary of the image and copies it to OUT. The same sources give the same bytes in every folder, with the same
# toolchain and C compiler. The Dockerfile runs it; tests/image/twice.sh runs it twice and compares.
#
#   release.sh OUT
set -eu

[ $# -eq 1 ] || { echo "usage: release.sh OUT" >&2; exit 2; }
out=$1
cd "$(dirname "$0")"
source=$(pwd)
target=${CARGO_TARGET_DIR:-$source/target}
cargo=${CARGO_HOME:-$HOME/.cargo}

# A fixed time for everything that is compiled.
export SOURCE_DATE_EPOCH="${SOURCE_DATE_EPOCH:-0}"
# Panics and C asserts contain the path of their file; remap it to one that does not depend on the folder.
export RUSTFLAGS="--remap-path-prefix=$target=/target --remap-path-prefix=$source=/cassgate --remap-path-prefix=$cargo=/cargo"
export CFLAGS="-ffile-prefix-map=$target=/target -ffile-prefix-map=$cargo=/cargo"
# Build aws-lc with the C compiler alone, so that the result does not depend on an installed cmake.
export AWS_LC_SYS_CMAKE_BUILDER=0
export CARGO_INCREMENTAL=0
cargo build --release --locked --bin cassgate
cp "$target/release/cassgate" "$out"
