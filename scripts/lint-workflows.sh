#!/usr/bin/env bash
# actionlint and zizmor over the workflows, the examples and action.yml, in versions that are named here. The linters come
# from the Go module proxy and from PyPI, whose checksums their own tools verify; once installed they are kept.
set -euo pipefail
cd "$(dirname "$0")/.."

ACTIONLINT=v1.7.12
ZIZMOR=1.32.0

tools=${LINT_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/lint-workflows}/$ACTIONLINT-$ZIZMOR
mkdir -p "$tools"
if [ ! -x "$tools/actionlint" ]; then
  GOBIN=$tools go install "github.com/rhysd/actionlint/cmd/actionlint@$ACTIONLINT"
fi
if [ ! -x "$tools/venv/bin/zizmor" ]; then
  python3 -m venv "$tools/venv"
  "$tools/venv/bin/pip" install --quiet --disable-pip-version-check "zizmor==$ZIZMOR"
fi

# actionlint looks into the scripts of `run:` with shellcheck, where there is one.
command -v shellcheck >/dev/null || echo "no shellcheck here: the scripts in the workflows are not looked at"
"$tools/actionlint" .github/workflows/*.yml examples/*.yml test/act/*.yml
if command -v shellcheck >/dev/null; then shellcheck scripts/*.sh .github/scripts/*.sh test/act/*.sh .ci/run; fi

# The examples are workflows that are not where GitHub keeps them.
examples=$(mktemp -d)
trap 'rm -rf "$examples"' EXIT
mkdir -p "$examples/.github/workflows"
cp examples/*.yml test/act/*.yml "$examples/.github/workflows/"
"$tools/venv/bin/zizmor" --offline --no-progress --persona=regular --config .github/zizmor.yml . "$examples"
echo "The workflows and examples are clean."
