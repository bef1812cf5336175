#!/usr/bin/env bash
# Runs one half of a Cassandra node in the foreground: the process is the server itself, so its parent can stop it by
# its id. Both halves of a node share a file system like the containers of a pod: DIR/volume is their /var/lib.
#
#   run.sh cassandra DIR ADDRESS JMX_PORT SEED
#   run.sh sidecar   DIR ADDRESS JMX_PORT
#
# ADDRESS is a loopback address of the node's own: Cassandra takes its ports 7000 and 9042, the sidecar 4567. JMX is
# bound to 127.0.0.1.
#
#   DATACENTER    the node's datacenter (dc1)
#   CLUSTER       the name of the Cassandra cluster (cassgate test)
#   TOKENS        the node's four tokens, separated by commas; Cassandra chooses random ones without it
#   RING_DELAY    milliseconds for which a joining node waits for the ring and its schema (1000)
#   REPLACES      the address of a dead node whose tokens and data this node takes over at its first start
#   ICARUS        1: Cassandra 4.0 with the engine of Icarus 1.1.3; 2: Cassandra 5.0 with that of Icarus 2.0.4 (2)
#   HEAP          Cassandra's memory (384M)
#   EXPIRATION    seconds for which the sidecar remembers finished operations (3600)
#   FIRST_LOOK    milliseconds until the sidecar first polls for completion; by default one to five seconds, as in Icarus
#   KUBECONFIG    the API server from which the sidecar reads Secrets; without it the sidecar assumes that it runs
#                 outside of Kubernetes
set -euo pipefail

fail() {
	echo "run.sh: $*" >&2
	exit 1
}

here=$(cd "$(dirname "$0")" && pwd)

# Runs in its own mount namespace: as root, or as root of a user namespace where the system allows one.
if [ -z "${INSIDE:-}" ]; then
	export INSIDE=yes
	[ "$(id -u)" = 0 ] && exec unshare --mount -- "$0" "$@"
	unshare --map-root-user --mount true 2>/dev/null ||
		fail "this user may not have a mount namespace, and every node needs a /var/lib of its own: run as root, or allow user namespaces (sysctl kernel.unprivileged_userns_clone=1, kernel.apparmor_restrict_unprivileged_userns=0)"
	exec unshare --map-root-user --mount -- "$0" "$@"
fi

[ $# -ge 4 ] || fail "usage: run.sh cassandra|sidecar DIR ADDRESS JMX_PORT [SEED]"
half=$1 address=$3 jmx=$4
icarus=${ICARUS:-2}
case $icarus in
1) version=1.1.3 ;;
2) version=2.0.4 ;;
*) fail "the generations of Icarus are 1 and 2, not $icarus" ;;
esac
parts=$("$here/build.sh")/$icarus
mkdir -p "$2"
dir=$(cd "$2" && pwd)
mkdir -p "$dir/volume/cassandra" "$dir/$half"
home=/var/lib/cassandra
run=$dir/$half
mount --make-rprivate /
mount --bind "$dir/volume" /var/lib

cat >"$run/logback.xml" <<END
<configuration>
  <appender name="file" class="ch.qos.logback.core.FileAppender">
    <file>$run/log</file>
    <encoder><pattern>%date %-5level %logger{20} %msg%n%ex{20}</pattern></encoder>
  </appender>
  <root level="INFO"><appender-ref ref="file"/></root>
</configuration>
END

cassandra() {
	mkdir -p "$home/tmp"
	cat >"$run/cassandra-rackdc.properties" <<-END
		dc=${DATACENTER:-dc1}
		rack=rack1
	END
	cat >"$run/cassandra.yaml" <<-END
		cluster_name: ${CLUSTER:-cassgate test}
		num_tokens: 4
		${TOKENS:+initial_token: $TOKENS}
		partitioner: org.apache.cassandra.dht.Murmur3Partitioner
		seed_provider: [{class_name: org.apache.cassandra.locator.SimpleSeedProvider, parameters: [{seeds: "$1"}]}]
		commitlog_sync: periodic
		endpoint_snitch: GossipingPropertyFileSnitch
		listen_address: $address
		rpc_address: $address
		native_transport_port: 9042
		storage_port: 7000
		data_file_directories: [$home/data]
		commitlog_directory: $home/commitlog
		saved_caches_directory: $home/saved_caches
		hints_directory: $home/hints
		cdc_raw_directory: $home/cdc_raw
		phi_convict_threshold: 16
	END
	local more=() jvm=(@"$here/jvm17.args")
	case $icarus in
	1)
		cat >>"$run/cassandra.yaml" <<-END
			commitlog_sync_period_in_ms: 10000
			memtable_heap_space_in_mb: 64
			memtable_offheap_space_in_mb: 64
			commitlog_segment_size_in_mb: 8
			commitlog_total_space_in_mb: 128
			key_cache_size_in_mb: 4
			file_cache_size_in_mb: 32
			enable_materialized_views: true
		END
		jvm+=(@"$here/jvm17-cassandra4.args")
		;;
	2)
		cat >>"$run/cassandra.yaml" <<-END
			commitlog_sync_period: 10000ms
			storage_compatibility_mode: CASSANDRA_4
			uuid_sstable_identifiers_enabled: false
			memtable_heap_space: 64MiB
			memtable_offheap_space: 64MiB
			commitlog_segment_size: 8MiB
			commitlog_total_space: 128MiB
			key_cache_size: 4MiB
			file_cache_size: 32MiB
			materialized_views_enabled: true
		END
		;;
	esac
	[ -z "${REPLACES:-}" ] || more+=("-Dcassandra.replace_address_first_boot=$REPLACES")
	exec java "${jvm[@]}" "-Xms${HEAP:-384M}" "-Xmx${HEAP:-384M}" -Xss384k \
		-XX:+UseSerialGC -XX:-UsePerfData -XX:TieredStopAtLevel=1 \
		-javaagent:"$(echo "$parts"/cassandra/jamm-*.jar)" -Djava.io.tmpdir="$home/tmp" \
		-Dlogback.configurationFile="file://$run/logback.xml" \
		-Dcassandra.config="file://$run/cassandra.yaml" \
		-Dcassandra-rackdc.properties="file://$run/cassandra-rackdc.properties" \
		-Dcassandra.storagedir="$home" -Dcassandra.logdir="$home/log" -Dcassandra-foreground=yes \
		-Dcassandra.jmx.local.port="$jmx" "-Dcassandra.ring_delay_ms=${RING_DELAY:-1000}" \
		-Dcassandra.skip_wait_for_gossip_to_settle=0 -Dcassandra.superuser_setup_delay_ms=0 \
		-Dcassandra.initial_token_allocate_disabled=true -Dcassandra.broadcast_interval_ms=1000 "${more[@]}" \
		-cp "$parts/cassandra/*" org.apache.cassandra.service.CassandraDaemon >>"$run/out" 2>&1
}

sidecar() {
	local more=("-Dicarus.version=$version")
	[ -z "${KUBECONFIG:-}" ] || more+=(-Dkubernetes.client=true)
	[ -z "${FIRST_LOOK:-}" ] || more+=("-Dfirst.look=$FIRST_LOOK")
	# A request for a machine role to an address without a server takes half a minute.
	export AWS_EC2_METADATA_DISABLED=true
	cd "$run"
	# Esop keeps manifests below its home and in the folder for temporary files while it uploads them. Two nodes that
	# share these write each other's tokens into a backup of one tag (seen); pods have their own.
	mkdir -p "$run/home" "$run/tmp"
	# Two Guavas: the one in Esop's jar is too new for the server library.
	HOME=$run/home exec java -Xmx128m -XX:+UseSerialGC -XX:-UsePerfData -XX:TieredStopAtLevel=1 \
		-Duser.home="$run/home" -Djava.io.tmpdir="$run/tmp" \
		--add-opens java.base/java.lang=ALL-UNNAMED -Dlogback.configurationFile="$run/logback.xml" "${more[@]}" \
		-cp "$parts/sidecar/guava-28.1-jre.jar:$parts/classes:$parts/sidecar/*" \
		Sidecar "$address:4567" "127.0.0.1:$jmx" "${EXPIRATION:-3600}" >>"$run/out" 2>&1
}

case $half in
cassandra) cassandra "${5:-$address}" ;;
sidecar) sidecar ;;
*) fail "a node has a cassandra and a sidecar, and no $half" ;;
esac
