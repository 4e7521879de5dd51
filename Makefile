# The front door. `make demo` shows it, `make test` proves it.
.DEFAULT_GOAL := help
.PHONY: help build demo test test-chaos test-influxd test-mutants test-full lake-chart bench bench-lake package stages page setup clean

help:      ## this list
	@grep -E '^[a-z-]+: .*##|^[a-z-]+:  *##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 15

demo: build ## builds all of it, then runs a simulated robot, a broker and the dashboard
	target/release/retrotap demo

build: setup stages page ## stages, page and target/release/retrotap
	RETROTAP_COMMIT=$$(git describe --always --dirty 2>/dev/null) cargo build --release --locked -p retrotap

test:      ## installs what the tests need and runs them all
	@tests/support/run.sh

test-chaos: ## ten seeds of the chaos test, three minutes of faults each: half an hour to an hour
	@tests/support/setup.sh test
	RETROTAP_CHAOS_SECONDS=$${RETROTAP_CHAOS_SECONDS:-180} RETROTAP_CHAOS_SEEDS=$${RETROTAP_CHAOS_SEEDS:-1-10} \
		cargo test --locked --workspace --all-features --test chaos

test-mutants: ## each rule taken out must turn the chaos test red
	@tests/support/setup.sh test
	@tests/support/mutants.sh

test-influxd: ## the chaos test into a real InfluxDB, which is built for it
	@tests/support/setup.sh test
	@tests/support/influxd/build.sh
	RETROTAP_INFLUXD=$(CURDIR)/target/tools/influxd/influxd \
		cargo test --locked --workspace --all-features --test chaos

lake-chart: ## two robots into a real InfluxDB, the broker killed in between; draws docs/lake.png
	@tests/support/setup.sh test
	@tests/support/influxd/build.sh
	cargo build --locked --workspace --all-features --bins
	RETROTAP_INFLUXD=$(CURDIR)/target/tools/influxd/influxd RETROTAP_BINARY=$(CURDIR)/target/debug/retrotap \
		RETROTAP_LAKE_BINARY=$(CURDIR)/target/debug/retrotap-lake \
		target/debug/lake-chart target/lake-chart.json
	cd ui && npm ci --no-audit --no-fund --loglevel=error
	node tests/support/lake-chart.mjs target/lake-chart.json docs/lake.png

test-full: test test-chaos test-influxd lake-chart test-mutants ## all of it

bench: build ## what this machine can carry, each figure beside its budget
	target/release/retrotap bench

bench-lake: stages page ## the same from a line to the database, with real servers and beside peers
	@tests/support/setup.sh test
	@tests/support/peers.sh
	RETROTAP_COMMIT=$$(git describe --always --dirty 2>/dev/null) \
		cargo build --release --locked -p retrotap -p retrotap-lake -p retrotap-tests \
		--bin retrotap --bin retrotap-lake --bin bench-lake
	RETROTAP_BINARY=$(CURDIR)/target/release/retrotap RETROTAP_LAKE_BINARY=$(CURDIR)/target/release/retrotap-lake \
		target/release/bench-lake

package:   ## Debian packages for amd64 and arm64 in target/package, looked at as their users would
	@tests/support/setup.sh package
	@$(MAKE) --no-print-directory stages page
	nice gateway/package/build.sh amd64
	nice gateway/package/build.sh arm64
	tests/support/package.sh target/package/*_amd64.deb target/package/*_arm64.deb

setup:
	@tests/support/setup.sh build

stages:
	cargo run --quiet --locked -p retrotap-host --features build --bin build-stages

page:
	cd ui && npm ci --no-audit --no-fund --loglevel=error && npm run build

clean:     ## what was built
	cargo clean
	rm -rf ui/dist ui/node_modules
