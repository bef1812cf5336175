"""Runs CQL for the tests: one statement a line on standard input, one line of JSON (a list of rows) for each that gives
rows. Every write and every read asks all replicas.

    cql.py ADDRESS
"""

import json
import sys

from cassandra import ConsistencyLevel
from cassandra.cluster import Cluster, ExecutionProfile, EXEC_PROFILE_DEFAULT
from cassandra.policies import WhiteListRoundRobinPolicy

address = sys.argv[1]
profile = ExecutionProfile(
    load_balancing_policy=WhiteListRoundRobinPolicy([address]),
    consistency_level=ConsistencyLevel.ALL,
    request_timeout=60,
)
cluster = Cluster(
    [address],
    protocol_version=4,
    connect_timeout=30,
    control_connection_timeout=30,
    execution_profiles={EXEC_PROFILE_DEFAULT: profile},
)
session = cluster.connect()
for line in sys.stdin:
    rows = session.execute(line.strip())
    if rows.column_names:
        print(json.dumps([list(row) for row in rows]))
cluster.shutdown()
