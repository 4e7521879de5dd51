#!/usr/bin/env bash
# Takes one rule out of the sources at a time and lets the chaos test loose on it: each must turn it red,
# or the test proves nothing. A mutant is a patch in tests/scenarios/chaos/mutants.
#   mutants.sh             all of them
#   mutants.sh NAME…       only these
# RETROTAP_CHAOS_SECONDS and RETROTAP_CHAOS_SEEDS as for the chaos test itself.
set -euo pipefail
cd "$(dirname "$0")/../.."
patches=tests/scenarios/chaos/mutants
copy=target/mutants/sources
export RETROTAP_CHAOS_SEEDS=${RETROTAP_CHAOS_SEEDS:-7}

say() { printf 'mutants: %s\n' "$*"; }

names=("$@")
[ ${#names[@]} -gt 0 ] || for patch in "$patches"/*.patch; do names+=("$(basename "$patch" .patch)"); done

# The judge and its servers are those of this working copy; only gateway and lake are mutants.
say "building the chaos test"
cargo test --locked --workspace --all-features --no-run --test chaos 2>&1 | tail -1

# A copy of the sources with a target folder of its own, which begins with the dependencies of this one:
# Cargo knows crates of a registry again wherever they are used.
mkdir -p "$copy" target/mutants/target
[ -d target/mutants/target/debug ] || cp -a --reflink=auto target/debug target/mutants/target/debug

failed=()
for name in "${names[@]}"; do
  say "$name"
  # Times are kept, so that only what a patch touches is compiled again.
  git ls-files -z --cached --others --exclude-standard |
    tar --null --files-from=- --create --file=- | tar --extract --file=- --directory="$copy"
  mkdir -p "$copy/target" "$copy/ui"
  rm -rf "$copy/target/stages" "$copy/ui/dist"
  cp -a target/stages "$copy/target/stages"
  cp -a ui/dist "$copy/ui/dist"
  if ! patch --quiet --strip=1 --directory="$copy" <"$patches/$name.patch"; then
    say "$name: the patch doesn't fit any more; make it anew"
    failed+=("$name")
    continue
  fi
  if ! CARGO_TARGET_DIR=$PWD/target/mutants/target cargo build --quiet --locked \
    --manifest-path "$copy/Cargo.toml" -p retrotap -p retrotap-lake; then
    say "$name: it doesn't compile; make it anew"
    failed+=("$name")
    continue
  fi
  log=target/mutants/$name.log
  if RETROTAP_BINARY=$PWD/target/mutants/target/debug/retrotap \
    RETROTAP_LAKE_BINARY=$PWD/target/mutants/target/debug/retrotap-lake \
    cargo test --locked --workspace --all-features --test chaos >"$log" 2>&1; then
    say "$name: the chaos test stayed GREEN; $log"
    failed+=("$name")
  elif grep -q '^chaos: seed [0-9]* RED' "$log"; then
    # Red by what the judge found, and not because something didn't start.
    say "$name: red, as it must be:"
    grep -E -m 3 '^  (Lost|Doubled|Altered|Invented|Unexplained|Miscounted|Restart):|^  RED' "$log" | cut -c 1-200
  else
    say "$name: failed before the judge came; $log"
    failed+=("$name")
  fi
done
if [ ${#failed[@]} -gt 0 ]; then
  say "not proven: ${failed[*]}"
  exit 1
fi
say "${#names[@]} mutants, all of them red"
