#!/usr/bin/env bash
# Everything that `make test` runs, in order, each step with its minutes. Goes on after a failure, so
# that one run shows all of them, and ends with the sum of what passed and failed.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
log=target/test-logs
mkdir -p "$log"
started=$SECONDS
failed_steps=()
skipped=()
summary=()

step() { # name, command…
  local name=$1 from=$SECONDS
  shift
  printf '\n── %s\n' "$name"
  if "$@" 2>&1 | tee "$log/$name.log"; then local how=ok; else
    local how=FAILED
    failed_steps+=("$name")
  fi
  summary+=("$(printf '%-12s %6s  %d min %02d s' "$name" "$how" $(((SECONDS - from) / 60)) $(((SECONDS - from) % 60)))")
}

page() {
  (cd ui && npm ci --no-audit --no-fund && npm run check && npm test && npm run build)
}
deny() {
  target/tools/bin/cargo-deny --all-features check --hide-inclusion-graph bans licenses sources
}
advisories() {
  # The advisory database is a Git repository: where it can't be reached, that is said, not hidden.
  if timeout 60 target/tools/bin/cargo-deny fetch db >/dev/null 2>&1; then
    step advisories target/tools/bin/cargo-deny check advisories
  else
    skipped+=("advisories: the advisory database can't be reached from here")
  fi
}

step setup tests/support/setup.sh test
step stages cargo run --quiet --locked -p retrotap-host --features build --bin build-stages
step page page
step format cargo fmt --all --check
step clippy cargo clippy --locked --workspace --all-targets --all-features -- -D warnings
step deny deny
advisories
# The tests use the binaries that the whole workspace was built with.
export RETROTAP_BINARY=$PWD/target/debug/retrotap
export RETROTAP_LAKE_BINARY=$PWD/target/debug/retrotap-lake
step build cargo build --locked --workspace --all-features
step deploy tests/support/check-deploy.sh
step tests cargo test --locked --workspace --all-features --no-fail-fast
step browser node ui/e2e/run.mjs
package() {
  gateway/package/build.sh arm64 dev && gateway/package/build.sh amd64 dev &&
    BUILT_HERE=dev tests/support/package.sh target/package/*_amd64.deb target/package/*_arm64.deb
}
step package package

printf '\n── minutes\n'
printf '%s\n' "${summary[@]}"
printf 'all together %d min\n' $(((SECONDS - started) / 60))
for line in "${skipped[@]:-}"; do [ -z "$line" ] || printf 'skipped: %s\n' "$line"; done

# `cargo test` prints one line per binary; the checks of docker/, the browser and the package a closing one:
# these are their sum.
sum() {
  local logs=("$log"/{tests,deploy,browser,package}.log)
  grep -hoE "[0-9]+ $1" "${logs[@]}" 2>/dev/null | awk '{n += $1} END {print n + 0}'
}
failed=$(($(sum failed) > ${#failed_steps[@]} ? $(sum failed) : ${#failed_steps[@]}))
[ ${#failed_steps[@]} -eq 0 ] || printf 'failed: %s\n' "${failed_steps[*]}"
printf '%d passed, %d failed, %d skipped\n' "$(sum passed)" "$failed" ${#skipped[@]}
[ ${#failed_steps[@]} -eq 0 ]
