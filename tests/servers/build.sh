#!/bin/sh
# Builds what the tests run against from pinned Go modules and prints the folder that holds it. Nothing is built
# twice: the folder is named after the pins.
#
#   build.sh                   etcd, kube-apiserver and kubectl, by the pins beside this file
#   build.sh kubernetes-1.33   the same three of the oldest Kubernetes that is supported
#   build.sh cert-manager      cert-manager (its controllers and its cainjector in one program) and crds/
#
#   KUBEBUILDER_ASSETS   a folder that has the first three binaries already; it is used as it is
#   CASSGATE_CACHE       where built servers are kept (default: $XDG_CACHE_HOME/cassgate or ~/.cache/cassgate)
set -eu

here=$(cd "$(dirname "$0")" && pwd)
wanted=${1:-servers}
case $wanted in
servers) pins=$here names="etcd kube-apiserver kubectl" minutes=five ;;
kubernetes-1.33) pins=$here/$wanted names="etcd kube-apiserver kubectl" minutes=five ;;
cert-manager) pins=$here/$wanted names="cert-manager crds" minutes=two ;;
*)
	echo "build.sh: there is no \"$wanted\"; it builds servers, kubernetes-1.33 and cert-manager" >&2
	exit 2
	;;
esac

missing_in() {
	for name in $names; do
		[ -x "$1/$name" ] || { echo "$name"; return; }
	done
}

if [ "$wanted" = servers ] && [ -n "${KUBEBUILDER_ASSETS:-}" ]; then
	absent=$(missing_in "$KUBEBUILDER_ASSETS")
	if [ -n "$absent" ]; then
		echo "KUBEBUILDER_ASSETS=$KUBEBUILDER_ASSETS has no $absent; unset it to have the servers built from tests/servers/go.mod" >&2
		exit 1
	fi
	echo "$KUBEBUILDER_ASSETS"
	exit 0
fi

if ! command -v go >/dev/null 2>&1; then
	echo "go is not installed: the real etcd, kube-apiserver, kubectl and cert-manager are built from Go modules." >&2
	echo "Install Go 1.26 or later. (KUBEBUILDER_ASSETS may name a folder with etcd, kube-apiserver and kubectl; cert-manager is always built.)" >&2
	exit 1
fi

hash=$(cd "$pins" && cat go.mod go.sum $(ls main.go 2>/dev/null) "$here/build.sh" | sha256sum | cut -c1-16)
cache=${CASSGATE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/cassgate}/$wanted-$hash
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

# MODULE
version() { go list -m -f '{{.Version}}' "$1"; }

build_kubernetes() {
	kubernetes=$(version k8s.io/kubernetes)
	minor=${kubernetes#v1.}
	minor=${minor%%.*}
	stamp=k8s.io/component-base/version
	flags="-s -w -X $stamp.gitVersion=$kubernetes -X $stamp.gitMajor=1 -X $stamp.gitMinor=$minor -X $stamp.gitTreeState=clean"
	go build -trimpath -ldflags="-s -w" -o "$1/etcd" go.etcd.io/etcd/server/v3
	go build -trimpath -ldflags="$flags" -o "$1/kubectl" k8s.io/kubernetes/cmd/kubectl
	go build -trimpath -ldflags="$flags" -o "$1/kube-apiserver" k8s.io/kubernetes/cmd/kube-apiserver
}

build_cert_manager() {
	go build -trimpath -ldflags="-s -w" -o "$1/cert-manager" .
	# The module brings them; it is read-only in the cache of modules.
	cp -r "$(go list -m -f '{{.Dir}}' github.com/cert-manager/cert-manager)/deploy/crds" "$1/crds"
	chmod -R u+w "$1/crds"
}

cd "$pins"
building=$cache.building
rm -rf "$building"
mkdir "$building"
export CGO_ENABLED=0
case $wanted in
cert-manager)
	echo "building cert-manager $(version github.com/cert-manager/cert-manager) once (about $minutes minutes on two cores) into $cache" >&2
	build_cert_manager "$building" >&2
	;;
*)
	echo "building etcd $(version go.etcd.io/etcd/server/v3), kubectl and kube-apiserver $(version k8s.io/kubernetes) once (about $minutes minutes on two cores) into $cache" >&2
	build_kubernetes "$building" >&2
	;;
esac
mv "$building" "$cache"
echo "$cache"
