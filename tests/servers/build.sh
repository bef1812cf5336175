#!/bin/sh
# Builds etcd, kube-apiserver and kubectl from the Go modules pinned beside this file and prints the
# folder that holds them. Nothing is built twice: the folder is named after the pins.
#
#   KUBEBUILDER_ASSETS   a folder that has the three binaries already; it is used as it is
#   CASSGATE_CACHE       where built servers are kept (default: $XDG_CACHE_HOME/cassgate or ~/.cache/cassgate)
set -eu

here=$(cd "$(dirname "$0")" && pwd)
names="etcd kube-apiserver kubectl"

missing_in() {
	for name in $names; do
		[ -x "$1/$name" ] || { echo "$name"; return; }
	done
}

if [ -n "${KUBEBUILDER_ASSETS:-}" ]; then
	absent=$(missing_in "$KUBEBUILDER_ASSETS")
	if [ -n "$absent" ]; then
		echo "KUBEBUILDER_ASSETS=$KUBEBUILDER_ASSETS has no $absent; unset it to have the servers built from tests/servers/go.mod" >&2
		exit 1
	fi
	echo "$KUBEBUILDER_ASSETS"
	exit 0
fi

if ! command -v go >/dev/null 2>&1; then
	echo "go is not installed: the real etcd, kube-apiserver and kubectl are built from Go modules." >&2
	echo "Install Go 1.25 or later, or set KUBEBUILDER_ASSETS to a folder with etcd, kube-apiserver and kubectl." >&2
	exit 1
fi

pins=$(cat "$here/go.mod" "$here/go.sum" "$here/build.sh" | sha256sum | cut -c1-16)
cache=${CASSGATE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/cassgate}/servers-$pins
if [ -z "$(missing_in "$cache")" ]; then
	echo "$cache"
	exit 0
fi

mkdir -p "$(dirname "$cache")"
# One builder at a time: the second one waits and finds the work done.
exec 9>"$cache.lock"
flock 9
if [ -z "$(missing_in "$cache")" ]; then
	echo "$cache"
	exit 0
fi

cd "$here"
kubernetes=$(go list -m -f '{{.Version}}' k8s.io/kubernetes)
etcd=$(go list -m -f '{{.Version}}' go.etcd.io/etcd/server/v3)
minor=${kubernetes#v1.}
minor=${minor%%.*}
stamp=k8s.io/component-base/version
flags="-s -w -X $stamp.gitVersion=$kubernetes -X $stamp.gitMajor=1 -X $stamp.gitMinor=$minor -X $stamp.gitTreeState=clean"
building=$cache.building
rm -rf "$building"
mkdir "$building"
echo "building etcd $etcd, kubectl and kube-apiserver $kubernetes once (about five minutes on two cores) into $cache" >&2
export CGO_ENABLED=0
go build -trimpath -ldflags="-s -w" -o "$building/etcd" go.etcd.io/etcd/server/v3 >&2
go build -trimpath -ldflags="$flags" -o "$building/kubectl" k8s.io/kubernetes/cmd/kubectl >&2
go build -trimpath -ldflags="$flags" -o "$building/kube-apiserver" k8s.io/kubernetes/cmd/kube-apiserver >&2
mv "$building" "$cache"
echo "$cache"
