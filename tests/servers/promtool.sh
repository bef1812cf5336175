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
# As whoever runs this: apt's own user may not write here.
(cd "$building" && apt-get -qq -o APT::Sandbox::User="$(id -un)" download prometheus >&2) || {
	echo "there is no promtool: apt-get download prometheus failed. Run apt-get update as root and try again," >&2
	echo "or set PROMTOOL to a promtool 2.42 or later." >&2
	exit 1
}
dpkg-deb --fsys-tarfile "$building"/prometheus_*.deb | tar -x -C "$building" ./usr/bin/promtool
rm "$building"/prometheus_*.deb
mv "$building" "$cache"
echo "$tool"
