#!/usr/bin/env bash
# Shows the main use case with a real etcd, kube-apiserver, cassgate and kubectl. Prints every kubectl command with its
# answer, and fails if an answer is not the expected one.
#
#   KEEP=1 tests/demo.sh    leaves everything running, and prints how to continue and how to stop it
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

# Background processes end with this script, however it ends: they exit when the fifo on their standard input, which the
# script holds open, is closed. With KEEP they hold it open themselves, and the command printed at the end stops them.
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

# background NAME COMMAND...: starts the command. Output goes to NAME.log and NAME.out, its standard input is NAME.stdin.
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

# wait_for NAME TEXT FILE: waits until FILE contains TEXT; fails if the process has ended.
wait_for() {
	until grep -q "$2" "$3" 2>/dev/null; do
		kill -0 "${started[-1]}" 2>/dev/null || fail "$1 ended: $(tail -n 3 "$work"/*.log)"
		sleep 0.1
	done
}

# retry MESSAGE COMMAND...: repeats the command until it succeeds; fails with the message after a minute.
retry() {
	for ((tries = 600; tries > 0; tries--)); do
		"${@:2}" && return
		sleep 0.1
	done
	fail "$1"
}

not() { ! "$@"; }

background servers "$here/servers/up.sh" "$work/servers"
[ -n "$keep" ] || exec 8>"$work/servers.stdin"
wait_for "the API server" '^ready' "$work/servers.out"
export KUBECONFIG="$work/servers/kubeconfig" HOME="$work" PATH="$assets:$PATH"

# --- the scenes ----------------------------------------------------------------------------------------------

title() { printf '\n# %s\n' "$*"; }

# shown COMMAND...: prints a command, runs it, and prints its answer.
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

# expect CODE TEXT...: fails unless the last command had this exit code and its answer contains the texts.
expect() {
	[ "$code" -eq "$1" ] || fail "the exit code was $code, not $1"
	shift
	for text in "$@"; do
		[[ $answer == *"$text"* ]] || fail "the answer does not contain: $text"
	done
}

cd "$here/demo"

title "CassKop's kinds, with status subresource and short names; a cluster and a Secret"
shown kubectl apply -f "$root/manifests/crds/cassandrabackups.yaml" -f "$root/manifests/crds/cassandrarestores.yaml" -f "$here/casskop/crds/cassandraclusters.yaml"
expect 0 "cassandrabackups.db.orange.com created"
kubectl wait --for=condition=Established --timeout=30s crd/cassandraclusters.db.orange.com crd/cassandrabackups.db.orange.com >/dev/null
shown kubectl apply -f cluster.yaml
expect 0 "cassandracluster.db.orange.com/music created"

title "cassgate, and its webhooks as manifests/base ships them, with a URL instead of the Service"
background cassgate "$here/servers/guard.sh" "$cassgate" run --tls dev --tls-dir "$work/tls" --listen 127.0.0.1:0 \
	--admin-listen 127.0.0.1:0 --shutdown-delay 0s --executor none --log-format json
[ -n "$keep" ] || exec 9>"$work/cassgate.stdin"
wait_for cassgate "admin listening" "$work/cassgate.log"
address() { sed -n "s/.*\"message\":\"$1 listening\".*\"address\":\"\([^\"]*\)\".*/\1/p;s/.*\"address\":\"\([^\"]*\)\".*\"message\":\"$1 listening\".*/\1/p" "$work/cassgate.log" | head -n 1; }
webhook=$(address webhook) admin=$(address admin)
ready() { curl --silent --fail --noproxy '*' "http://$admin/readyz" >"$work/readyz"; }
retry "cassgate is not ready" ready
ca=$(base64 <"$work/tls/ca.crt" | tr -d '\n')
awk -v url="https://$webhook" -v ca="$ca" '
	/^    service:$/ { inside = 1; next }
	inside && /^      path:/ { print "    url: " url $2; print "    caBundle: " ca; next }
	inside && /^      / { next }
	{ inside = 0; print }
' "$root/manifests/base/webhooks.yaml" >"$work/webhooks.yaml"
shown kubectl apply -f "$work/webhooks.yaml"
expect 0 "validatingwebhookconfiguration.admissionregistration.k8s.io/cassgate created"
# The API server calls a new webhook within milliseconds; wait until it does.
called() { ! kubectl create --dry-run=server -f bad-backup.yaml >/dev/null 2>&1; }
retry "the webhook is not called" called

title "A good backup"
shown cat backup.yaml
shown kubectl apply -f backup.yaml
expect 0 "cassandrabackup.db.orange.com/nightly created"

title "Its missing fields were filled in"
shown kubectl get cassandrabackup nightly -o "jsonpath={.spec.snapshotTag} {.spec.concurrentConnections}"
expect 0 "autosnap-" " 10"
shown kubectl diff -f backup.yaml
expect 0

title "A careless backup: all mistakes at once"
shown cat bad-backup.yaml
shown kubectl apply -f bad-backup.yaml
expect 1 'The CassandraBackup "careless" is invalid' "[cassgate datacenter-unknown]" "[cassgate storage-provider-unsupported]" \
	"[cassgate schedule-malformed]" "[cassgate entities-mixed]" "[cassgate secret-not-found]"

title "A careless restore, which would have emptied tables"
shown cat bad-restore.yaml
shown kubectl apply -f bad-restore.yaml
expect 1 'The CassandraRestore "careless" is invalid' "[cassgate cluster-not-found]" "[cassgate cluster-mismatch]" \
	"[cassgate entities-wider-than-backup]" "[cassgate entities-outside-backup]" "[cassgate entities-system]"

title "The explanation of a rule"
shown "$cassgate" explain entities-wider-than-backup
expect 0 "What it denies would destroy data."

title "A warning"
shown kubectl apply -f own-credentials.yaml
expect 0 "Warning: spec.secret: " "[cassgate secret-absent]" "cassandrabackup.db.orange.com/by-role created"

title "A server-side dry run of a backup whose cluster does not exist yet, and the same without dry run"
shown kubectl apply --dry-run=server -f next-week.yaml
expect 0 "[cassgate cluster-not-found]" "cassandrabackup.db.orange.com/next-week created (server dry run)"
shown kubectl apply -f next-week.yaml
expect 1 "[cassgate cluster-not-found]" "[cassgate secret-not-found]"

title "A manifest of a restore that is applied again after its time"
shown kubectl apply --dry-run=server -f restore.yaml
expect 1 "this time has passed" "[cassgate restore-expired]"

title "A dry run of a restore of a schedule without a recorded run"
soon=$(TZ=UTC printf '%(%Y-%m-%dT%H:%M:%SZ)T' "$(($(date +%s) + 3600))")
sed "s/2026-01-01T00:00:00Z/$soon/" restore.yaml >"$work/restore.yaml"
shown cat "$work/restore.yaml"
shown kubectl apply --dry-run=server -f "$work/restore.yaml"
expect 0 "Warning: " "no run of backup nightly is recorded" "[cassgate backup-not-restorable]"

title "The backup has run (an executor writes its status); a good restore gets its entities and Secret"
shown kubectl patch cassandrabackup nightly --subresource=status --type=merge -p '{"status":{"condition":{"type":"COMPLETED"}}}'
expect 0 "nightly patched"
shown kubectl apply -f "$work/restore.yaml"
expect 0 "cassandrarestore.db.orange.com/monday created"
shown kubectl get cassandrarestore monday -o "jsonpath={.spec}"
expect 0 '"entities":"albums.songs,users.accounts"' '"secret":"bucket"'

title "The backup cannot be deleted while the restore needs it"
deletable() { kubectl delete cassandrabackup nightly --dry-run=server >/dev/null 2>&1; }
retry "the restore is not seen" not deletable
shown kubectl delete cassandrabackup nightly
expect 1 "restore monday has not ended" "[cassgate backup-in-use]"

title "The restore has run; it cannot run again by accident"
shown kubectl patch cassandrarestore monday --subresource=status --type=merge -p '{"status":{"condition":{"type":"COMPLETED"},"progress":"100%"}}'
expect 0 "monday patched"
shown kubectl patch cassandrarestore monday --type=merge -p '{"spec":{"entities":"albums.songs"}}'
expect 1 "Error from server (Forbidden)" "[cassgate restore-started]"
shown kubectl get cassandra
expect 0 "COMPLETED"

if [ -n "$keep" ]; then
	title "Everything is still running. Continue by hand:"
	echo "export KUBECONFIG=$KUBECONFIG PATH=$assets:\$PATH"
	echo
	echo "cassgate: https://$webhook, http://$admin (log: $work/cassgate.log). To stop it all:"
	echo "kill ${started[1]}; kill ${started[0]}; rm -r $work"
else
	title "Everything is stopped."
fi
