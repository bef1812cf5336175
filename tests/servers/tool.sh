#!/bin/sh
# Builds one of the programs that tests need beside the servers, from the Go modules pinned in the folder of its name, and
# prints its path. Nothing is built twice: the folder in the cache is named after the pins.
#
#   tool.sh helm       renders manifests/chart
#   tool.sh argo-lua   runs health checks as Argo CD does
#
#   HELM, ARGO_LUA   such a program that is there already; it is used as it is
#   CASSGATE_CACHE   where what was built is kept (default: $XDG_CACHE_HOME/cassgate or ~/.cache/cassgate)
set -eu

name=$1
here=$(cd "$(dirname "$0")/$name" && pwd)
variable=$(echo "$name" | tr 'a-z-' 'A-Z_')
given=$(printenv "$variable" || true)
if [ -n "$given" ]; then
	[ -x "$given" ] || {
		echo "$variable=$given is no program; unset it to have $name built from tests/servers/$name/go.mod" >&2
		exit 1
	}
	echo "$given"
	exit 0
fi

if ! command -v go >/dev/null 2>&1; then
	echo "go is not installed: $name is built from Go modules." >&2
	echo "Install Go 1.25 or later, or set $variable to a $name that is there already." >&2
	exit 1
fi

pins=$(cat "$here"/* "$0" | sha256sum | cut -c1-16)
cache=${CASSGATE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/cassgate}/$name-$pins
[ ! -x "$cache/$name" ] || { echo "$cache/$name"; exit 0; }

mkdir -p "$(dirname "$cache")"
# One builder at a time: the second one waits and finds the work done.
exec 9>"$cache.lock"
flock 9
[ ! -x "$cache/$name" ] || { echo "$cache/$name"; exit 0; }

cd "$here"
package=.
! grep -q '^tool ' go.mod || package=tool
building=$cache.building
rm -rf "$building"
mkdir "$building"
echo "building $name once into $cache" >&2
CGO_ENABLED=0 go build -trimpath -ldflags="-s -w" -o "$building/$name" $package >&2
mv "$building" "$cache"
echo "$cache/$name"
