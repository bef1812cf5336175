#!/usr/bin/env bash
# The main job on real parts: a real etcd and kube-apiserver, cassgate in front of them, and kubectl.
# Prints every kubectl command with its answer as it came, and fails when an answer is not what it should be.
#
#   KEEP=1 tests/demo.sh    leaves everything running and says how to go on and how to stop it
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$here")
cassgate=${CARGO_TARGET_DIR:-$root/target}/debug/cassgate
keep=${KEEP:-}

fail() {
	echo "demo: $*" >&2
	exit 1
}

[ -x "$cassgate" ] || fail "$cassgate is not built; \`make demo\` builds it"
command -v curl >/dev/null || fail "curl is not installed; install the package \"curl\""
assets=$("$here/servers/build.sh")
work=$(mktemp -d "${TMPDIR:-/tmp}/cassgate-demo.XXXXXX")

# What runs in the background ends with this script, however it ends: it holds the other end of each `stdin` pipe. With
# KEEP it holds that end itself, and the line printed at the end stops it.
mkfifo "$work/servers.stdin" "$work/cassgate.stdin"
started=()
finish() {
	local code=$?
	trap - EXIT
	if [ -n "$keep" ] && [ $code -eq 0 ]; then return; fi
	for ((at = ${#started[@]} - 1; at >= 0; at--)); do
		kill -TERM "${started[$at]}" 2>/dev/null || true
		wait "${started[$at]}" 2>/dev/null || true
	done
	[ $code -eq 0 ] || tail -n 20 "$work"/*.log >&2 || true
	rm -rf "$work"
	exit $code
}
trap finish EXIT
trap 'exit 1' INT TERM

# background NAME COMMAND...: its output goes to NAME.log and NAME.out, its standard input is NAME.stdin.
background() {
	local name=$1
	shift
	if [ -n "$keep" ]; then
		setsid "$@" <>"$work/$name.stdin" >"$work/$name.out" 2>"$work/$name.log" 8>&- 9>&- &
	else
		"$@" <"$work/$name.stdin" >"$work/$name.out" 2>"$work/$name.log" 8>&- 9>&- &
	fi
	started+=($!)
}

# wait_for NAME TEXT FILE: until TEXT stands in FILE, or what should write it has ended.
wait_for() {
	until grep -q "$2" "$3" 2>/dev/null; do
		kill -0 "${started[-1]}" 2>/dev/null || fail "$1 ended: $(tail -n 3 "$work"/*.log)"
		sleep 0.1
	done
}

# patiently COMPLAINT COMMAND...: until the command succeeds, for a minute at most.
patiently() {
	for ((tries = 600; tries > 0; tries--)); do
		"${@:2}" && return
		sleep 0.1
	done
	fail "$1"
}

refuses() { ! "$@"; }

background servers "$here/servers/up.sh" "$work/servers"
[ -n "$keep" ] || exec 8>"$work/servers.stdin"
wait_for "the API server" '^ready' "$work/servers.out"
export KUBECONFIG="$work/servers/kubeconfig" HOME="$work" PATH="$assets:$PATH"

# --- what is shown --------------------------------------------------------------------------------------------

title() { printf '\n# %s\n' "$*"; }

# Runs a command and shows it with its answer.
answer=
shown() {
	printf '$'
	for word; do
		[[ $word =~ ^[A-Za-z0-9_./:=,@%+-]+$ ]] || word="'$word'"
		printf ' %s' "$word"
	done
	printf '\n'
	set +e
	answer=$("$@" 2>&1)
	code=$?
	set -e
	[ -z "$answer" ] || printf '%s\n' "$answer"
}

# promise CODE TEXT...: the last answer had this exit code and these texts.
promise() {
	[ "$code" -eq "$1" ] || fail "the exit code was $code, not $1"
	shift
	for text in "$@"; do
		[[ $answer == *"$text"* ]] || fail "the answer has not: $text"
	done
}

cd "$here/demo"

title "CassKop's kinds, with status subresource and short names; a cluster and a Secret"
shown kubectl apply -f "$root/manifests/crds/cassandrabackups.yaml" -f "$root/manifests/crds/cassandrarestores.yaml" -f "$here/casskop/crds/cassandraclusters.yaml"
promise 0 "cassandrabackups.db.orange.com created"
kubectl wait --for=condition=Established --timeout=30s crd/cassandraclusters.db.orange.com crd/cassandrabackups.db.orange.com >/dev/null
shown kubectl apply -f cluster.yaml
promise 0 "cassandracluster.db.orange.com/music created"

title "cassgate, and its webhooks as manifests/base ships them, with a URL instead of the Service"
background cassgate "$here/servers/guard.sh" "$cassgate" run --tls dev --tls-dir "$work/tls" --listen 127.0.0.1:0 \
	--admin-listen 127.0.0.1:0 --shutdown-delay 0s --executor none --log-format json
[ -n "$keep" ] || exec 9>"$work/cassgate.stdin"
wait_for cassgate "admin listening" "$work/cassgate.log"
address() { sed -n "s/.*\"message\":\"$1 listening\".*\"address\":\"\([^\"]*\)\".*/\1/p;s/.*\"address\":\"\([^\"]*\)\".*\"message\":\"$1 listening\".*/\1/p" "$work/cassgate.log" | head -n 1; }
webhook=$(address webhook) admin=$(address admin)
ready() { curl --silent --fail --noproxy '*' "http://$admin/readyz" >"$work/readyz"; }
patiently "cassgate is not ready" ready
ca=$(base64 <"$work/tls/ca.crt" | tr -d '\n')
awk -v url="https://$webhook" -v ca="$ca" '
	/^    service:$/ { inside = 1; next }
	inside && /^      path:/ { print "    url: " url $2; print "    caBundle: " ca; next }
	inside && /^      / { next }
	{ inside = 0; print }
' "$root/manifests/base/webhooks.yaml" >"$work/webhooks.yaml"
shown kubectl apply -f "$work/webhooks.yaml"
promise 0 "validatingwebhookconfiguration.admissionregistration.k8s.io/cassgate created"
# The API server learns of a webhook within milliseconds: it is there once it refuses.
called() { ! kubectl create --dry-run=server -f bad-backup.yaml >/dev/null 2>&1; }
patiently "the webhook is not called" called

title "A good backup"
shown cat backup.yaml
shown kubectl apply -f backup.yaml
promise 0 "cassandrabackup.db.orange.com/nightly created"

title "What it left out was filled in"
shown kubectl get cassandrabackup nightly -o "jsonpath={.spec.snapshotTag} {.spec.concurrentConnections}"
promise 0 "autosnap-" " 10"
shown kubectl diff -f backup.yaml
promise 0

title "A careless backup: everything that is wrong with it, at once"
shown cat bad-backup.yaml
shown kubectl apply -f bad-backup.yaml
promise 1 'The CassandraBackup "careless" is invalid' "[datacenter-unknown]" "[storage-provider-unsupported]" \
	"[schedule-malformed]" "[entities-mixed]" "[secret-not-found]"

title "A careless restore: it would have emptied tables"
shown cat bad-restore.yaml
shown kubectl apply -f bad-restore.yaml
promise 1 'The CassandraRestore "careless" is invalid' "[cluster-not-found]" "[cluster-mismatch]" \
	"[entities-wider-than-backup]" "[entities-outside-backup]" "[entities-system]"

title "What a rule is about"
shown "$cassgate" explain entities-wider-than-backup
promise 0 "What it refuses destroys data."

title "A warning"
shown kubectl apply -f own-credentials.yaml
promise 0 "Warning: spec.secret: " "[secret-absent]" "cassandrabackup.db.orange.com/by-role created"

title "A server-side dry-run of a backup whose cluster is not there yet; the same for real"
shown kubectl apply --dry-run=server -f next-week.yaml
promise 0 "[cluster-not-found]" "cassandrabackup.db.orange.com/next-week created (server dry run)"
shown kubectl apply -f next-week.yaml
promise 1 "[cluster-not-found]" "[secret-not-found]"

title "A restore of a schedule of which no run is recorded, as a dry run"
shown kubectl apply --dry-run=server -f restore.yaml
promise 0 "Warning: " "no run of backup nightly is recorded" "[backup-not-restorable]"

title "It has run (an executor writes its status); a good restore says itself what it will do"
shown kubectl patch cassandrabackup nightly --subresource=status --type=merge -p '{"status":{"condition":{"type":"COMPLETED"}}}'
promise 0 "nightly patched"
shown kubectl apply -f restore.yaml
promise 0 "cassandrarestore.db.orange.com/monday created"
shown kubectl get cassandrarestore monday -o "jsonpath={.spec}"
promise 0 '"entities":"albums.songs,users.accounts"' '"secret":"bucket"'

title "While it is not over nobody takes its backup away"
taken() { kubectl delete cassandrabackup nightly --dry-run=server >/dev/null 2>&1; }
patiently "the restore is not seen" refuses taken
shown kubectl delete cassandrabackup nightly
promise 1 "restore monday is not over" "[backup-in-use]"

title "It has run too; now nobody runs it again by accident"
shown kubectl patch cassandrarestore monday --subresource=status --type=merge -p '{"status":{"condition":{"type":"COMPLETED"},"progress":"100%"}}'
promise 0 "monday patched"
shown kubectl patch cassandrarestore monday --type=merge -p '{"spec":{"entities":"albums.songs"}}'
promise 1 "Error from server (Forbidden)" "[restore-started]"
shown kubectl get cassandra
promise 0 "COMPLETED"

if [ -n "$keep" ]; then
	title "Everything is left running. Go on by hand:"
	echo "export KUBECONFIG=$KUBECONFIG PATH=$assets:\$PATH"
	echo
	echo "cassgate: https://$webhook, http://$admin (log: $work/cassgate.log). To stop it all:"
	echo "kill ${started[1]}; kill ${started[0]}; rm -r $work"
else
	title "Everything is stopped."
fi
