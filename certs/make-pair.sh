#!/bin/sh
# Generates an authority and a certificate for the webhook with openssl:
#
#   certs/make-pair.sh FOLDER NAME...
#
# Writes ca.crt, ca.key, tls.crt and tls.key to FOLDER and overwrites no file. Each NAME is a host name or an IP address
# that kube-apiserver calls. The certificates are valid for DAYS days (default 365).
set -eu

usage() {
	echo "usage: make-pair.sh FOLDER NAME..." >&2
	echo "  for example: make-pair.sh ./pair cassgate.cassgate-system.svc 127.0.0.1" >&2
	exit 2
}

[ $# -ge 2 ] || usage
folder=$1
shift
days=${DAYS:-365}

names=
for name in "$@"; do
	case $name in
	'' | *[!A-Za-z0-9.:*_-]*)
		echo "\"$name\" is not a host name or IP address" >&2
		exit 2
		;;
	*:*) kind=IP ;;
	*[!0-9.]*) kind=DNS ;;
	*) kind=IP ;;
	esac
	names=${names:+$names,}$kind:$name
done

if ! command -v openssl >/dev/null 2>&1; then
	echo "openssl is not installed; install it (apt install openssl, apk add openssl, brew install openssl)" >&2
	exit 1
fi
for file in ca.crt ca.key tls.crt tls.key; do
	if [ -e "$folder/$file" ]; then
		echo "$folder/$file exists; move it away or name another folder" >&2
		exit 1
	fi
done

# The files are readable only by the owner from the start, and a failure leaves no part of a pair behind.
umask 077
mkdir -p "$folder"
work=$(mktemp -d "$folder/.make-pair.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

run() {
	openssl "$@" 2>"$work/log" || {
		cat "$work/log" >&2
		exit 1
	}
}

cat >"$work/config" <<CONFIG
[req]
distinguished_name = empty
[empty]
[authority]
basicConstraints = critical, CA:TRUE, pathlen:0
keyUsage = critical, keyCertSign, digitalSignature
subjectKeyIdentifier = hash
[webhook]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = $names
CONFIG

run genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$work/ca.key"
run req -x509 -new -sha256 -config "$work/config" -extensions authority -key "$work/ca.key" \
	-subj "/CN=cassgate authority" -days "$days" -out "$work/ca.crt"
run genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$work/tls.key"
run req -new -sha256 -config "$work/config" -key "$work/tls.key" -subj "/CN=cassgate" -out "$work/request"
run x509 -req -sha256 -in "$work/request" -CA "$work/ca.crt" -CAkey "$work/ca.key" \
	-set_serial "0x$(openssl rand -hex 16)" -extfile "$work/config" -extensions webhook -days "$days" -out "$work/tls.crt"
run verify -CAfile "$work/ca.crt" "$work/tls.crt" >/dev/null

chmod 644 "$work/ca.crt" "$work/tls.crt"
for file in ca.crt ca.key tls.crt tls.key; do
	mv "$work/$file" "$folder/$file"
done
echo "generated ca.crt, ca.key, tls.crt and tls.key in $folder for $*"
