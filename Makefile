# Start with `make demo` and `make test`; both download and build what they need.

CARGO ?= cargo
DENY_VERSION := 0.20.2
CACHE := $(if $(CASSGATE_CACHE),$(CASSGATE_CACHE),$(if $(XDG_CACHE_HOME),$(XDG_CACHE_HOME),$(HOME)/.cache)/cassgate)
DENY := $(CACHE)/cargo-deny-$(DENY_VERSION)/bin/cargo-deny

# Fuzzing needs a nightly rustc, because of the sanitizers. FUZZ_SECONDS is the run time of each target, FUZZ_LENGTH the
# maximum length of an input: a schedule is read up to 4096 bytes, and tests/properties covers longer ones.
FUZZ_TOOLCHAIN ?= nightly
FUZZ_SECONDS ?= 600
FUZZ_LENGTH ?= 4200
FUZZ_VERSION := 0.13.2
FUZZ_BIN := $(CACHE)/cargo-fuzz-$(FUZZ_VERSION)/bin
FUZZ := PATH="$(FUZZ_BIN):$$PATH" $(CARGO) +$(FUZZ_TOOLCHAIN) fuzz
FUZZ_TARGETS := $(sort $(patsubst fuzz/fuzz_targets/%.rs,%,$(wildcard fuzz/fuzz_targets/*.rs)))

.PHONY: demo test e2e bench soak soak-properties soak-histories soak-oldest soak-hostile soak-kills soak-slots soak-nodes reproducible fuzz \
	$(addprefix fuzz-,$(FUZZ_TARGETS)) corpus lint crds \
	policy rules reference servers cert-manager tools nodes fmt doc deny

# Shows the main use case with a real etcd, kube-apiserver, cassgate and kubectl. KEEP=1 leaves them running.
demo: servers
	$(CARGO) build --locked
	KEEP=$(KEEP) tests/demo.sh

# All tests except e2e. Those on the real kube-apiserver are in tests/kube.
test: servers cert-manager tools
	$(CARGO) test --locked --doc
	$(CARGO) test --locked --lib --tests

# Tests on real Cassandra nodes with real sidecars. RINGS is the number of rings at a time; each uses 2.3 GB of memory. The
# first run downloads the nodes from Maven Central and PyPI. .ci/run empties E2E_TESTS, which leaves out the tests that
# take longest.
RINGS ?= 4
E2E_TESTS ?= --include-ignored
e2e: servers nodes
	$(CARGO) test --locked --test e2e -- --test-threads=$(RINGS) $(E2E_TESTS)

# Benchmarks of rules, schedules, check, reviews and runs. The latencies need h2load (Debian's package nghttp2-client).
# docs/performance.md has the figures.
bench: servers
	$(CARGO) bench --locked --bench rules
	$(CARGO) bench --locked --bench schedule
	$(CARGO) bench --locked --bench check
	$(CARGO) bench --locked --bench review
	$(CARGO) bench --locked --bench review -- latency
	$(CARGO) bench --locked --bench runs

# Tests that take too long for every change: property tests with many cases, random histories of a million reconciles and
# two hundred on the real kube-apiserver, tests/kube on the oldest supported API server, ten thousand hostile connections, a
# kill at every action of the reconciler, a year of schedules, a thousand restarts, ten thousand scheduled backups, kills on
# real nodes in every phase, two release builds, and every fuzz target for ten minutes. Run it before you close an issue.
soak: soak-properties soak-histories soak-oldest soak-hostile soak-kills soak-slots soak-nodes reproducible fuzz

soak-properties: servers
	PROPTEST_CASES=20000 $(CARGO) test --locked --release --lib --test properties
	CASSGATE_TEST_YAML=20000 $(CARGO) test --locked --release --test check -- kubectl

# Random histories of a backup and its restores: first of the planner, until HISTORY_STEPS reconciles are played, and then
# KUBE_HISTORIES of the whole reconciler on the real kube-apiserver, which is killed at random instants. CASSGATE_SEED replays
# one of each.
HISTORY_STEPS ?= 1000000
KUBE_HISTORIES ?= 200
soak-histories: servers
	CASSGATE_TEST_HISTORY_STEPS=$(HISTORY_STEPS) $(CARGO) test --locked --release --lib -- histories --nocapture
	CASSGATE_TEST_KUBE_HISTORIES=$(KUBE_HISTORIES) $(CARGO) test --locked --test kube -- histories --nocapture

# Runs tests/kube on Kubernetes 1.33; .ci/run uses 1.35.
soak-oldest: cert-manager
	assets=$$(tests/servers/build.sh kubernetes-1.33) && \
		KUBEBUILDER_ASSETS=$$assets $(CARGO) test --locked --test kube

# Each connection needs a file descriptor in the client, hence ulimit.
soak-hostile: servers
	ulimit -n 20000 && CASSGATE_TEST_CONNECTIONS=10000 $(CARGO) test --locked --test kube -- hostile --nocapture
	CASSGATE_TEST_LARGE_REVIEWS=12000 $(CARGO) test --locked --test kube -- large_reviews --nocapture

# Kills the reconciler, or drops the response to it, at every write and request of a backup and of a restore; .ci/run
# uses every fourth one.
soak-kills: servers
	CASSGATE_TEST_ALL_KILLS=1 $(CARGO) test --locked --test kube -- kills --nocapture

# A leap year of three times as many schedules, a thousand restarts, and ten thousand scheduled backups in a hundred
# namespaces. .ci/run uses a part of the schedules, fifty restarts, and five hundred backups in twenty namespaces.
soak-slots: servers
	CASSGATE_TEST_ALL_SLOTS=1 $(CARGO) test --locked --test kube -- every_slot --nocapture --test-threads=1

# Kills cassgate, a sidecar and Cassandra on real nodes, during the backup and in every phase of a restore; one ring for
# each of the three. `make e2e` covers the most dangerous moments only.
soak-nodes: servers nodes
	CASSGATE_TEST_ALL_KILLS=1 $(CARGO) test --locked --test e2e -- --test-threads=3 --nocapture kills::

# Builds the binary of the image in two folders and compares the results.
reproducible:
	tests/image/twice.sh

# Runs with AddressSanitizer, because some dependencies contain unsafe code. New inputs go to fuzz/target/corpus. A crash
# ends the run and writes its input to fuzz/artifacts.
fuzz: $(addprefix fuzz-,$(FUZZ_TARGETS))

$(addprefix fuzz-,$(FUZZ_TARGETS)): fuzz-%: $(FUZZ_BIN)/cargo-fuzz
	mkdir -p fuzz/target/corpus/$* fuzz/target/kept/$*
	tar -xf fuzz/corpus/$*.tar -C fuzz/target/kept/$*
	$(FUZZ) run $* fuzz/target/corpus/$* fuzz/target/kept/$* fuzz/seeds/$* -- -dict=fuzz/dict/$*.dict \
		-max_len=$(FUZZ_LENGTH) -max_total_time=$(FUZZ_SECONDS) -timeout=10 -print_final_stats=1

# Adds the inputs that fuzz runs have found to the corpora, and minimizes them without loss of coverage. tests/fuzz.rs
# replays them. Move an input that crashed to fuzz/seeds by hand, with a descriptive name.
# The archive of the same inputs always has the same bytes.
corpus: $(FUZZ_BIN)/cargo-fuzz
	for target in $(FUZZ_TARGETS); do \
		kept=fuzz/target/kept/$$target; \
		rm -rf $$kept && mkdir -p $$kept && tar -xf fuzz/corpus/$$target.tar -C $$kept || exit; \
		cp -n fuzz/target/corpus/$$target/* $$kept/; \
		$(FUZZ) cmin $$target $$kept -- -use_counters=0 -max_len=$(FUZZ_LENGTH) || exit; \
		(cd $$kept && tar --format=ustar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --mode=0644 \
			-cf - *) >fuzz/target/$$target.tar && mv fuzz/target/$$target.tar fuzz/corpus/ || exit; \
	done

# Builds etcd, kube-apiserver and kubectl once from pinned Go modules, unless KUBEBUILDER_ASSETS names a folder with them.
servers:
	@tests/servers/build.sh >/dev/null

# Builds cert-manager's controller and cainjector once, for the tests of certificates.
cert-manager:
	@tests/servers/build.sh cert-manager >/dev/null

# Builds the programs that check the manifests: helm, Argo CD's Lua and promtool.
tools:
	@tests/servers/tool.sh helm >/dev/null
	@tests/servers/tool.sh argo-lua >/dev/null
	@tests/servers/promtool.sh >/dev/null

# Downloads and builds the parts of the Cassandra nodes of tests/e2e.
nodes:
	@tests/sidecar/build.sh >/dev/null

# Regenerates manifests/crds, and the list of fields that the rule field-unknown knows.
crds:
	$(CARGO) run --locked --quiet -- crds --dir manifests/crds
	UPDATE_PAGES=1 $(CARGO) test --locked --quiet --lib -- the_list_has_the_fields_of_the_crds

# Regenerates the overlay static-policy and the lists in docs/static-policy.md.
policy:
	$(CARGO) run --locked --quiet -- policy --dir manifests/overlays/static-policy
	UPDATE_PAGES=1 $(CARGO) test --locked --quiet --test rules

# Regenerates the heads of docs/rules.
rules:
	UPDATE_PAGES=1 $(CARGO) test --locked --quiet --test rules

# Regenerates docs/reference.
reference:
	UPDATE_PAGES=1 $(CARGO) test --locked --quiet --test manifests reference

fmt:
	$(CARGO) fmt --all

lint: deny
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --all-targets -- -D warnings

doc:
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps

# The fuzz targets are a separate workspace; the last line checks that its lock file is up to date.
deny: $(DENY)
	$(DENY) --locked check bans licenses sources
	$(CARGO) metadata --locked --format-version 1 --manifest-path fuzz/Cargo.toml >/dev/null

$(DENY):
	$(CARGO) install cargo-deny --locked --version $(DENY_VERSION) --no-default-features --root $(CACHE)/cargo-deny-$(DENY_VERSION)

$(FUZZ_BIN)/cargo-fuzz:
	$(CARGO) install cargo-fuzz --locked --version $(FUZZ_VERSION) --root $(CACHE)/cargo-fuzz-$(FUZZ_VERSION)
