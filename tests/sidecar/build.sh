#!/bin/sh
# Fetches Cassandra and the parts of the sidecar from Maven Central, compiles Sidecar.java, makes a Python environment
# that speaks CQL and serves S3, and prints the folder that holds it all. Nothing is made twice: the folder is named
# after the pins.
#
#   CASSGATE_CACHE   where it is kept (default: $XDG_CACHE_HOME/cassgate or ~/.cache/cassgate)
#
# In the folder: cassandra/*.jar, sidecar/*.jar, classes/ (Sidecar), python/bin/python, python/bin/moto_server.
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
	echo "java is version $java: Cassandra 5.0 and this sidecar run on 17. Put a JDK 17 first in PATH." >&2
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
echo "fetching Cassandra and the sidecar's parts once (about 350 MB) into $cache" >&2
copy=org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies
for part in cassandra sidecar; do
	mvn -B -ntp -q -Dstyle.color=never -f "$here/$part.pom.xml" "$copy" -DoutputDirectory="$cache/$part" -DincludeScope=runtime >&2
done
# -proc:none: some jars bring annotation processors that are none of our business.
javac -proc:none -nowarn -d "$cache/classes" -cp "$cache/sidecar/guava-28.1-jre.jar:$cache/sidecar/*" "$here/Sidecar.java" >&2
python3 -m venv "$cache/python" >&2
"$cache/python/bin/python" -m pip install --quiet --only-binary=:all: --no-deps --require-hashes -r "$here/requirements.txt" >&2
touch "$cache/complete"
echo "$cache"
