# The two commands that a newcomer needs are `make demo` and `make test`; both fetch and build what they need.

CARGO ?= cargo
DENY_VERSION := 0.20.2
CACHE := $(if $(CASSGATE_CACHE),$(CASSGATE_CACHE),$(if $(XDG_CACHE_HOME),$(XDG_CACHE_HOME),$(HOME)/.cache)/cassgate)
DENY := $(CACHE)/cargo-deny-$(DENY_VERSION)/bin/cargo-deny

# Fuzzing: sanitizers need flags that only a nightly rustc takes. How long each target runs, and how long an input may
# be (a schedule is read up to 4096 bytes; what is longer is the business of tests/properties).
FUZZ_TOOLCHAIN ?= nightly
FUZZ_SECONDS ?= 600
FUZZ_LENGTH ?= 4200
FUZZ_VERSION := 0.13.2
FUZZ_BIN := $(CACHE)/cargo-fuzz-$(FUZZ_VERSION)/bin
FUZZ := PATH="$(FUZZ_BIN):$$PATH" $(CARGO) +$(FUZZ_TOOLCHAIN) fuzz
FUZZ_TARGETS := $(sort $(patsubst fuzz/fuzz_targets/%.rs,%,$(wildcard fuzz/fuzz_targets/*.rs)))

.PHONY: demo test e2e bench soak soak-properties soak-oldest soak-hostile soak-kills soak-slots soak-nodes reproducible fuzz \
	$(addprefix fuzz-,$(FUZZ_TARGETS)) corpus lint crds \
	policy rules servers cert-manager tools nodes fmt doc deny

# The main job on real parts: etcd, kube-apiserver, cassgate, kubectl. KEEP=1 leaves it running.
demo: servers
	$(CARGO) build --locked
	KEEP=$(KEEP) tests/demo.sh

# All tests. Those on the real kube-apiserver are in tests/kube.
test: servers cert-manager tools
	$(CARGO) test --locked --doc
	$(CARGO) test --locked --lib --tests

# On real Cassandra nodes with real sidecars, so many rings at a time, each with 2.3 GB of memory. The first time it
# fetches them from Maven Central and PyPI.
RINGS ?= 4
e2e: servers nodes
	$(CARGO) test --locked --test e2e -- --test-threads=$(RINGS)

# What a schedule costs; then ratios within one run, on one core each; then latencies, by h2load (of Debian's package
# nghttp2-client); then what runs cost, and objects at rest. The README says what was measured.
bench: servers
	$(CARGO) bench --locked --bench rules
	$(CARGO) bench --locked --bench schedule
	$(CARGO) bench --locked --bench check
	$(CARGO) bench --locked --bench review
	$(CARGO) bench --locked --bench review -- latency
	$(CARGO) bench --locked --bench runs

# What takes too long for every change: every property with many cases, every test on the oldest API server that is
# supported, ten thousand hostile connections, a reconciler that is stopped at everything it does, a year of many
# schedules, a thousand restarts and ten thousand scheduled backups, real nodes that are struck in every phase, two
# release builds, every fuzz target for ten minutes. Run it before an issue is closed.
soak: soak-properties soak-oldest soak-hostile soak-kills soak-slots soak-nodes reproducible fuzz

soak-properties:
	PROPTEST_CASES=20000 $(CARGO) test --locked --release --lib --test properties

# tests/kube on Kubernetes 1.33; .ci/run has it on 1.35.
soak-oldest: cert-manager
	assets=$$(tests/servers/build.sh kubernetes-1.33) && \
		KUBEBUILDER_ASSETS=$$assets $(CARGO) test --locked --test kube

# Each connection is a file of the client's.
soak-hostile: servers
	ulimit -n 20000 && CASSGATE_TEST_CONNECTIONS=10000 $(CARGO) test --locked --test kube -- hostile --nocapture

# The reconciler is stopped, or its answer lost, at every single write and request of a backup and of a restore;
# .ci/run tries each fourth of them.
soak-kills: servers
	CASSGATE_TEST_ALL_KILLS=1 $(CARGO) test --locked --test kube -- kills --nocapture

# A leap year of three times as many schedules, a thousand restarts, and ten thousand scheduled backups of a hundred
# namespaces; .ci/run has a part of them, fifty, and five hundred of twenty.
soak-slots: servers
	CASSGATE_TEST_ALL_SLOTS=1 $(CARGO) test --locked --test kube -- every_slot --nocapture --test-threads=1

# On real nodes: cassgate, a sidecar and Cassandra die in the backup and in every phase of a restore, one ring for each
# of the three. `make e2e` strikes where it hurts most.
soak-nodes: servers nodes
	CASSGATE_TEST_ALL_KILLS=1 $(CARGO) test --locked --test e2e -- --test-threads=3 --nocapture kills::

# Builds what the image has in two folders and compares the two binaries.
reproducible:
	tests/image/twice.sh

# With AddressSanitizer: no unsafe code is ours, but some of our dependencies' is. What it finds worth keeping goes to
# fuzz/target/corpus; a crash ends it, with its input under fuzz/artifacts.
fuzz: $(addprefix fuzz-,$(FUZZ_TARGETS))

$(addprefix fuzz-,$(FUZZ_TARGETS)): fuzz-%: $(FUZZ_BIN)/cargo-fuzz
	mkdir -p fuzz/target/corpus/$*
	$(FUZZ) run $* fuzz/target/corpus/$* fuzz/corpus/$* fuzz/seeds/$* -- -dict=fuzz/dict/$*.dict \
		-max_len=$(FUZZ_LENGTH) -max_total_time=$(FUZZ_SECONDS) -timeout=10 -print_final_stats=1

# Takes over what soaks have found: as few inputs as reach every place that all of them reach. tests/fuzz.rs replays
# them. An input that crashed goes to fuzz/seeds by hand, under a name that says what it is.
corpus: $(FUZZ_BIN)/cargo-fuzz
	for target in $(FUZZ_TARGETS); do \
		cp -n fuzz/target/corpus/$$target/* fuzz/corpus/$$target/; \
		$(FUZZ) cmin $$target fuzz/corpus/$$target -- -use_counters=0 -max_len=$(FUZZ_LENGTH) || exit; \
	done

# etcd, kube-apiserver and kubectl, built once from pinned Go modules (KUBEBUILDER_ASSETS is honoured).
servers:
	@tests/servers/build.sh >/dev/null

# The real controllers and cainjector, for the tests of certificates; built once too.
cert-manager:
	@tests/servers/build.sh cert-manager >/dev/null

# What judges the manifests: helm, Argo CD's Lua, promtool.
tools:
	@tests/servers/tool.sh helm >/dev/null
	@tests/servers/tool.sh argo-lua >/dev/null
	@tests/servers/promtool.sh >/dev/null

# What a Cassandra node of the tests consists of.
nodes:
	@tests/sidecar/build.sh >/dev/null

# Writes the generated manifests again.
crds:
	$(CARGO) run --locked --quiet -- crds --dir manifests/crds

# Writes the static rules as policies of the API server again, and what docs/static-policy.md says of them.
policy:
	$(CARGO) run --locked --quiet -- policy --dir manifests/overlays/static-policy
	UPDATE_PAGES=1 $(CARGO) test --locked --quiet --test rules

# Writes the heads of docs/rules again.
rules:
	UPDATE_PAGES=1 $(CARGO) test --locked --quiet --test rules

fmt:
	$(CARGO) fmt --all

lint: deny
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --all-targets -- -D warnings

doc:
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps

# The fuzz targets are a workspace of their own: its lock file has to follow ours, and nothing else here looks.
deny: $(DENY)
	$(DENY) --locked check bans licenses sources
	$(CARGO) metadata --locked --format-version 1 --manifest-path fuzz/Cargo.toml >/dev/null

$(DENY):
	$(CARGO) install cargo-deny --locked --version $(DENY_VERSION) --no-default-features --root $(CACHE)/cargo-deny-$(DENY_VERSION)

$(FUZZ_BIN)/cargo-fuzz:
	$(CARGO) install cargo-fuzz --locked --version $(FUZZ_VERSION) --root $(CACHE)/cargo-fuzz-$(FUZZ_VERSION)
