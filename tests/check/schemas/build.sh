#!/bin/sh
# Fetches the published schemas of SARIF 2.1.0 and of JUnit, and validators for them, from packages: the schema of OASIS
# from the crate serde-sarif, that of Jenkins from pytest's sources, jsonschema and xmlschema from PyPI. Prints the
# folder. Nothing is fetched twice.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
cache=${CASSGATE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/cassgate}/schemas-1
if [ ! -e "$cache/done" ]; then
    rm -rf "$cache"
    mkdir -p "$cache"
    python3 -m venv "$cache/venv" >&2
    "$cache/venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt" >&2
    "$cache/venv/bin/pip" download --quiet --disable-pip-version-check --no-deps --no-binary :all: -d "$cache" pytest==8.3.5 >&2
    tar xzf "$cache/pytest-8.3.5.tar.gz" -C "$cache" --strip-components=3 pytest-8.3.5/testing/example_scripts/junit-10.xsd
    crate=$(cargo metadata --locked --format-version 1 --manifest-path "$here/Cargo.toml" |
        python3 -c 'import json,sys; print(next(p["manifest_path"] for p in json.load(sys.stdin)["packages"] if p["name"] == "serde-sarif"))')
    cp "$(dirname "$crate")/src/schema.json" "$cache/sarif-2.1.0.json"
    touch "$cache/done"
fi
echo "$cache"
