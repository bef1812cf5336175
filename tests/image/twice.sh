#!/usr/bin/env bash
# Repeats the Dockerfile's build stage twice, outside of a container: copies the files that .dockerignore admits into two
# folders with different names and builds each with the stage's own command. The two binaries must be identical byte
# for byte. It takes two release builds.
set -euo pipefail
cd "$(dirname "$0")/../.."
root=$PWD
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

command=$(sed -n 's|^ *\(\./release\.sh\) /cassgate$|\1|p' Dockerfile)
[ -n "$command" ] || { echo "the Dockerfile does not run ./release.sh /cassgate any more" >&2; exit 1; }
mapfile -t kept < <(sed -n 's/^!//p' .dockerignore)

build() {
	mkdir -p "$1"
	(cd "$root" && cp -R --parents "${kept[@]}" "$1")
	(cd "$1" && env -u CARGO_TARGET_DIR "$command" "$2")
	rm -rf "$1/target"
}
build "$work/one" "$work/cassgate-1"
build "$work/another/folder" "$work/cassgate-2"

sha256sum "$work"/cassgate-? | sed "s|$work/||"
stat --format='%s bytes' "$work/cassgate-1"
cmp "$work/cassgate-1" "$work/cassgate-2" || { echo "the same sources gave two binaries" >&2; exit 1; }
if grep -q -F -e "$work" -e "${CARGO_HOME:-$HOME/.cargo}" "$work/cassgate-1"; then
	echo "the binary names folders of this machine" >&2
	exit 1
fi
"$work/cassgate-1" --version
