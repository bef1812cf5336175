#!/bin/sh
# Prints the path of promtool, which checks alerting rules and what /metrics answers. It comes out of Debian's package
# prometheus, which is unpacked once and not installed: that would start a server.
#
#   PROMTOOL         a promtool that is there already; it is used as it is
#   CASSGATE_CACHE   where what was fetched is kept (default: $XDG_CACHE_HOME/cassgate or ~/.cache/cassgate)
set -eu

if [ -n "${PROMTOOL:-}" ]; then
	[ -x "$PROMTOOL" ] || {
		echo "PROMTOOL=$PROMTOOL is no program; unset it to have promtool taken from Debian's package prometheus" >&2
		exit 1
	}
	echo "$PROMTOOL"
	exit 0
fi

cache=${CASSGATE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/cassgate}/promtool-1
tool=$cache/usr/bin/promtool
[ ! -x "$tool" ] || { echo "$tool"; exit 0; }

mkdir -p "$(dirname "$cache")"
# One at a time: the second one waits and finds the work done.
exec 9>"$cache.lock"
flock 9
[ ! -x "$tool" ] || { echo "$tool"; exit 0; }

for program in apt-get dpkg-deb; do
	command -v $program >/dev/null 2>&1 || {
		echo "there is no promtool: $program, which fetches Debian's package prometheus, is not installed." >&2
		echo "Set PROMTOOL to a promtool 2.42 or later (https://prometheus.io/download/)." >&2
		exit 1
	}
done
building=$cache.building
rm -rf "$building"
mkdir "$building"
# As whoever runs this: apt's own user may not write here. On a machine whose lists of packages are missing or old they are
# fetched once more, into a folder of our own.
apt() { apt-get -qq -o APT::Sandbox::User="$(id -un)" "$@" >&2; }
lists() {
	mkdir -p "$building/state/lists/partial" "$building/apt/archives/partial"
	apt -o Dir::State="$building/state" -o Dir::State::status=/var/lib/dpkg/status -o Dir::Cache="$building/apt" "$@"
}
(cd "$building" && { apt download prometheus 2>/dev/null || { lists update && lists download prometheus; }; }) || {
	echo "there is no promtool: apt-get could not download Debian's package prometheus." >&2
	echo "Set PROMTOOL to a promtool 2.42 or later." >&2
	exit 1
}
dpkg-deb --fsys-tarfile "$building"/prometheus_*.deb | tar -x -C "$building" ./usr/bin/promtool
rm -r "$building"/prometheus_*.deb "$building/state" "$building/apt" 2>/dev/null || :
mv "$building" "$cache"
echo "$tool"
