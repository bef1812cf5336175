"""Runs CQL for the tests: one statement a line on standard input, one line of JSON (a list of rows) for each that gives
rows. Every write and every read asks all replicas; where one is not there it is waited for, since on a busy machine a
node believes for seconds that another one is down.

    cql.py ADDRESS
"""

import json
import sys
import time

from cassandra import ConsistencyLevel, ReadTimeout, Unavailable, WriteTimeout
from cassandra.cluster import Cluster, ExecutionProfile, EXEC_PROFILE_DEFAULT
from cassandra.policies import FallthroughRetryPolicy, WhiteListRoundRobinPolicy
from cassandra.util import SortedSet

PATIENCE_SECONDS = 120

address = sys.argv[1]
profile = ExecutionProfile(
    load_balancing_policy=WhiteListRoundRobinPolicy([address]),
    consistency_level=ConsistencyLevel.ALL,
    retry_policy=FallthroughRetryPolicy(),
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
deadline = time.monotonic() + PATIENCE_SECONDS


def run(statement):
    while True:
        try:
            return session.execute(statement)
        except (Unavailable, ReadTimeout, WriteTimeout):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)


def plain(value):
    """Returns what JSON has for a value of Cassandra: a list for a set and for a value of a user's type."""
    return sorted(value) if isinstance(value, (set, SortedSet)) else str(value)


for line in sys.stdin:
    rows = run(line.strip())
    if rows.column_names:
        print(json.dumps([list(row) for row in rows], default=plain))
cluster.shutdown()
