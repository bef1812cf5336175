#!/bin/sh
# Fetches Cassandra and the parts of the sidecar from Maven Central, compiles Sidecar.java, makes a Python environment
# that speaks CQL and serves S3, and prints the folder that holds it all. Nothing is made twice: the folder is named
# after the pins.
#
#   CASSGATE_CACHE   where it is kept (default: $XDG_CACHE_HOME/cassgate or ~/.cache/cassgate)
#
# In the folder: 1/ and 2/, the parts of the oldest and of the newest generation of Icarus that the tests run, each with
# cassandra/*.jar, sidecar/*.jar and classes/ (Sidecar); python/bin/python, python/bin/moto_server.
set -eu

here=$(cd "$(dirname "$0")" && pwd)

need() {
	command -v "$1" >/dev/null 2>&1 && return
	echo "$1 is not installed: the tests on a real Cassandra need it. Install $2." >&2
	exit 1
}
need java "a JDK of version 17 (Debian: openjdk-17-jdk-headless)"
need javac "a JDK of version 17, not only its runtime (Debian: openjdk-17-jdk-headless)"
need mvn "Maven (Debian: maven)"
need python3 "Python 3 with venv (Debian: python3-venv)"
java=$(java -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p' | head -n 1)
if [ "$java" != 17 ]; then
	echo "java is version $java: Cassandra and this sidecar run on 17. Put a JDK 17 first in PATH." >&2
	exit 1
fi

pins=$(cat "$here/cassandra.pom.xml" "$here/sidecar.pom.xml" "$here/Sidecar.java" "$here/requirements.txt" "$here/build.sh" |
	sha256sum | cut -c1-16)
cache=${CASSGATE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/cassgate}/sidecar-$pins
if [ -e "$cache/complete" ]; then
	echo "$cache"
	exit 0
fi

mkdir -p "$(dirname "$cache")"
# One builder at a time: the second one waits and finds the work done.
exec 9>"$cache.lock"
flock 9
if [ -e "$cache/complete" ]; then
	echo "$cache"
	exit 0
fi

# Made where it stays: a Python environment cannot be moved.
rm -rf "$cache"
mkdir "$cache"
echo "fetching Cassandra and the sidecar's parts once (about 500 MB) into $cache" >&2
copy=org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies
# GENERATION CASSANDRA ESOP SIDECAR_COMMON: Icarus 1.1.3 and 2.0.4 are made of these engines and server libraries. The
# engine of 1.1.3 cannot read the disk of Cassandra 4.1 and later.
generation() {
	for part in cassandra sidecar; do
		mvn -B -ntp -q -Dstyle.color=never -f "$here/$part.pom.xml" "-Dcassandra.version=$2" "-Desop.version=$3" \
			"-Dsidecar-common.version=$4" "$copy" -DoutputDirectory="$cache/$1/$part" -DincludeScope=runtime >&2
	done
	# -proc:none: some jars bring annotation processors that are none of our business.
	javac -proc:none -nowarn -d "$cache/$1/classes" -cp "$cache/$1/sidecar/guava-28.1-jre.jar:$cache/$1/sidecar/*" \
		"$here/Sidecar.java" >&2
}
generation 1 4.0.18 1.1.4 1.3.16
generation 2 5.0.9 2.0.4 1.3.18
python3 -m venv "$cache/python" >&2
"$cache/python/bin/python" -m pip install --quiet --only-binary=:all: --no-deps --require-hashes -r "$here/requirements.txt" >&2
touch "$cache/complete"
echo "$cache"
