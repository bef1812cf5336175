#!/usr/bin/env bash
# Starts a real etcd and kube-apiserver for tests, on this machine only.
#
#   up.sh DIR
#
# Prints one line on stdout when the API server answers: `ready DIR/kubeconfig`. Stays in the foreground
# and stops both servers when its standard input closes, on TERM and on INT.
#
# DIR is made and must be empty or absent. It then holds
#   kubeconfig          the administrator
#   NAME.kubeconfig     limited users, without any right until a test binds one: backup-author
#   tokens/NAME         the bearer tokens of all of them
#   *.log               what the servers say
#
# The binaries come from build.sh beside this file; KUBEBUILDER_ASSETS is honoured. APISERVER_FLAGS is added to the
# flags of kube-apiserver.
set -euo pipefail

limited_users="backup-author"
# These servers hold nothing worth a slow goodbye.
export GUARD_GRACE=10

fail() {
	echo "up.sh: $*" >&2
	exit 1
}

[ $# -eq 1 ] || fail "usage: up.sh DIR"
here=$(cd "$(dirname "$0")" && pwd)
command -v openssl >/dev/null || fail "openssl is not installed: it makes the servers' keys. Install the package \"openssl\"."
assets=$("$here/build.sh") || exit 1
mkdir -p "$1"
dir=$(cd "$1" && pwd)
cd "$dir"
[ -z "$(ls -A)" ] || fail "$dir is not empty: the servers start with empty data, in a folder of their own"

# --- keys -----------------------------------------------------------------------------------------------------

new_key() { openssl ecparam -name prime256v1 -genkey -noout -out "$1"; }

make_keys() {
	new_key ca.key
	openssl req -x509 -new -key ca.key -subj "/CN=cassgate test servers" -days 30 -out ca.crt
	new_key apiserver.key
	openssl req -new -key apiserver.key -subj /CN=kube-apiserver -out apiserver.csr
	echo "subjectAltName=DNS:localhost,DNS:kubernetes.default.svc,IP:127.0.0.1,IP:10.0.0.1" >apiserver.ext
	openssl x509 -req -in apiserver.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 30 -extfile apiserver.ext -out apiserver.crt
	new_key accounts.key
}

# NAME [GROUP]
make_user() {
	local token
	token=$(openssl rand -hex 16)
	echo "$token" >"tokens/$1"
	echo "$token,$1,$1,\"${2:-}\"" >>tokens.csv
}

# FILE NAME
write_kubeconfig() {
	cat >"$1" <<-END
		apiVersion: v1
		kind: Config
		current-context: test
		clusters:
		- name: test
		  cluster: {server: "https://127.0.0.1:$port", certificate-authority-data: $(base64 <ca.crt | tr -d '\n')}
		users:
		- name: $2
		  user: {token: $(cat "tokens/$2")}
		contexts:
		- name: test
		  context: {cluster: test, user: $2, namespace: default}
	END
}

umask 077
mkdir tokens
make_keys >keys.log 2>&1 || { cat keys.log >&2; fail "openssl could not make the keys"; }
make_user admin system:masters
for user in $limited_users; do make_user "$user"; done

# --- servers --------------------------------------------------------------------------------------------------
# Each server reads a pipe whose other end only this script holds (4 and 5): it is stopped when this script
# ends, even by SIGKILL.

stop() {
	trap - EXIT TERM INT
	# The API server first: without etcd it would wait and complain.
	[ -z "${apiserver:-}" ] || { exec 5>&-; wait "$apiserver" || true; }
	[ -z "${etcd:-}" ] || { exec 4>&-; wait "$etcd" || true; }
}
trap stop EXIT
trap 'exit 0' TERM INT

# Sockets in DIR: no ports to choose, and no other user of the machine can write to this etcd.
start_etcd() {
	"$here/guard.sh" "$assets/etcd" --data-dir=etcd --unsafe-no-fsync --log-level=warn \
		--listen-client-urls=unix://etcd.sock:0 --advertise-client-urls=unix://etcd.sock:0 \
		--listen-peer-urls=unix://peer.sock:0 --initial-advertise-peer-urls=unix://peer.sock:0 \
		--initial-cluster=default=unix://peer.sock:0 <etcd.stdin >etcd.log 2>&1 &
	etcd=$!
	exec 4>etcd.stdin
}

start_apiserver() {
	"$here/guard.sh" "$assets/kube-apiserver" --etcd-servers=unix://etcd.sock:0 \
		--bind-address=127.0.0.1 --advertise-address=127.0.0.1 --secure-port="$port" \
		--service-cluster-ip-range=10.0.0.0/24 --endpoint-reconciler-type=none \
		--tls-cert-file=apiserver.crt --tls-private-key-file=apiserver.key --token-auth-file=tokens.csv \
		--service-account-issuer=https://kubernetes.default.svc \
		--service-account-key-file=accounts.key --service-account-signing-key-file=accounts.key \
		--authorization-mode=RBAC --allow-privileged=true --disable-admission-plugins=ServiceAccount \
		--enable-priority-and-fairness=false --profiling=false ${APISERVER_FLAGS:-} <apiserver.stdin >kube-apiserver.log 2>&1 4>&- 5>&- &
	apiserver=$!
	exec 5>apiserver.stdin
}

answers() { HOME=$dir "$assets/kubectl" --kubeconfig=kubeconfig --request-timeout=5s get --raw /readyz >/dev/null 2>readyz.log; }

mkfifo etcd.stdin apiserver.stdin
start_etcd
# Below the ports that the system itself hands out; who binds it first has it, the other one tries again.
# Another server on the port is never taken for ours: its certificate would be another one's.
for _ in 1 2 3 4 5 6 7 8 9 10; do
	port=$((20000 + RANDOM % 12000))
	write_kubeconfig kubeconfig admin
	start_apiserver
	deadline=$((SECONDS + 120))
	until answers; do
		if ! kill -0 "$apiserver" 2>/dev/null; then
			grep -q "address already in use" kube-apiserver.log && continue 2
			tail -n 5 kube-apiserver.log etcd.log >&2
			fail "kube-apiserver ended before it was ready; its log is $dir/kube-apiserver.log"
		fi
		if [ $SECONDS -ge $deadline ]; then
			cat readyz.log >&2
			tail -n 5 kube-apiserver.log etcd.log >&2
			fail "kube-apiserver is not ready after two minutes; its log is $dir/kube-apiserver.log"
		fi
		sleep 0.1
	done
	break
done
for user in $limited_users; do write_kubeconfig "$user.kubeconfig" "$user"; done
echo "ready $dir/kubeconfig"

# --- until standard input closes ------------------------------------------------------------------------------

exec 3<&0
cat <&3 >/dev/null 2>&1 4>&- 5>&- &
holder=$!
exec 3<&- 0</dev/null
wait -n "$holder" "$apiserver" "$etcd" || true
for server in "$apiserver" "$etcd"; do
	kill -0 "$server" 2>/dev/null || { tail -n 5 kube-apiserver.log etcd.log >&2; fail "a server ended by itself; the logs are in $dir"; }
done
