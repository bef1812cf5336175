#!/bin/sh
# Prints the path of h2load, the load generator of nghttp2. It comes out of Debian's package nghttp2-client, which is
# unpacked once, with the libraries that few machines have, and not installed.
#
#   H2LOAD           an h2load that is there already; it is used as it is
#   CASSGATE_CACHE   where what was fetched is kept (default: $XDG_CACHE_HOME/cassgate or ~/.cache/cassgate)
set -eu

if [ -n "${H2LOAD:-}" ]; then
	[ -x "$H2LOAD" ] || {
		echo "H2LOAD=$H2LOAD is no program; unset it to have h2load taken from Debian's package nghttp2-client" >&2
		exit 1
	}
	echo "$H2LOAD"
	exit 0
fi

cache=${CASSGATE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/cassgate}/h2load-1
tool=$cache/h2load
[ ! -x "$tool" ] || { echo "$tool"; exit 0; }

mkdir -p "$(dirname "$cache")"
# One at a time: the second one waits and finds the work done.
exec 9>"$cache.lock"
flock 9
[ ! -x "$tool" ] || { echo "$tool"; exit 0; }

for program in apt-get dpkg-deb; do
	command -v $program >/dev/null 2>&1 || {
		echo "there is no h2load: $program, which fetches Debian's package nghttp2-client, is not installed." >&2
		echo "Set H2LOAD to an h2load 1.52 or later (https://nghttp2.org)." >&2
		exit 1
	}
done
building=$cache.building
rm -rf "$building"
mkdir "$building"
# As whoever runs this: apt's own user may not write here.
(cd "$building" && apt-get -qq -o APT::Sandbox::User="$(id -un)" download nghttp2-client libnghttp2-14 libev4 \
	libjemalloc2 libjansson4 libxml2 >&2) || {
	echo "there is no h2load: apt-get download nghttp2-client failed. Run apt-get update as root and try again," >&2
	echo "or set H2LOAD to an h2load 1.52 or later." >&2
	exit 1
}
for package in "$building"/*.deb; do
	dpkg-deb -x "$package" "$building/root"
	rm "$package"
done
cat >"$building/h2load" <<'END'
#!/bin/sh
here=$(cd "$(dirname "$0")" && pwd)/root/usr
LD_LIBRARY_PATH=$(echo "$here"/lib/*-linux-gnu)${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH} exec "$here/bin/h2load" "$@"
END
chmod +x "$building/h2load"
mv "$building" "$cache"
echo "$tool"
