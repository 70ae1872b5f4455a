#!/usr/bin/env bash
# The Snakefile of the small sweep, read and run by Snakemake with two jobs at once, against a plain run.
# Usage: tests/spread/snakemake.sh SIDA. Where pip does not provide Snakemake, it says so and passes.
set -euo pipefail
cd "$(dirname "$0")/../.."
PATH="$(cd "$(dirname "$1")" && pwd):$PATH"
tools=$PWD/target/snakemake
if ! "$tools/bin/snakemake" --version >/dev/null 2>&1; then
  if ! { python3 -m venv "$tools" && "$tools/bin/pip" install --quiet snakemake; } >target/snakemake.log 2>&1; then
    echo "left out: pip does not provide Snakemake here (target/snakemake.log)"
    exit 0
  fi
fi
pipelines=$PWD/tests/pipelines
sweep=$pipelines/sweep-small.yaml
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
snakemake() { "$tools/bin/snakemake" --cores 2 --jobs 2 "$@"; }

sida plan "$sweep" --runs runs --format snakemake >Snakefile
snakemake -n --quiet all
snakemake --quiet all
# All is done: only the last rule, which shows the table, is left.
snakemake -n >again
grep -qx 'all  *1' again && grep -qx 'total  *1' again

sida -q run "$sweep" --runs plain >/dev/null
results() { "$tools/bin/python" -c 'import json, sys; print({**json.load(sys.stdin), "provenance": None})' <"$1/sweep-small/sweep.json"; }
test "$(results runs)" = "$(results plain)"
weights=0
for file in plain/_store/*/*.safetensors; do
  cmp "$file" "runs/${file#plain/}"
  weights=$((weights + 1))
done
echo "Snakemake made the same $weights networks and the same table"

# Other people's text stays text, and an expectation that is not met spoils no result.
ln -s "$(dirname "$pipelines")/../datasets" datasets
cat >hostile.yaml <<END
base: $pipelines/quickstart-small.yaml
axes:
  "'\"\$(touch pwned){x}":
    paths: [stages.table.report.caption]
    values: ["\ntouch pwned\nrule x:\n    shell: 'touch pwned'\n", "{input} \`touch pwned\` \"\"\" \u2028touch pwned"]
END
set='stages.sida_scores.evaluate.expect=[{ metric: fd_pixels_200, "at_most": 0 }] # $(touch pwned) {threads}'
sida plan hostile.yaml --runs runs --format snakemake --set "$set" >Snakefile
snakemake -n --quiet all
if snakemake --quiet all; then
  echo "an expectation that is not met has to be said"
  exit 1
fi
test -s runs/hostile/sweep.json
test ! -e pwned
echo "nothing that somebody wrote was obeyed"
