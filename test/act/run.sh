#!/usr/bin/env bash
# run.sh [WORKFLOW [EVENT]]: runs ./mesh.yml, or a workflow of examples/, with act (github.com/nektos/act) on this machine, without
# containers, on the two clusters of E2E_KUBECONFIGS; see test/e2e/settings.ts for the variables. The kubeconfigs are the
# workflow's secrets, and nothing of their credentials may be in the log. dist must be current.
#
# An example is run in a copy of this repository that has taken it, with this machine's Istio; what it uploads, and what it asks
# GitHub for, is only told.
set -euo pipefail
cd "$(dirname "$0")/../.."

workflow=${1:-test/act/mesh.yml} event=${2:-workflow_dispatch}
IFS=: read -r east west _ <<<"${E2E_KUBECONFIGS:?two kubeconfig files with a colon between}"
EAST_KUBECONFIG=$(cat "$east") WEST_KUBECONFIG=$(cat "$west")
export EAST_KUBECONFIG WEST_KUBECONFIG
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
log=$work/log
# What act runs Node actions with.
PATH=$work/bin:$PWD/node_modules/node/bin:$PATH
mkdir "$work/bin"

flags=()
if [ -n "${LOOPBACK_ONLY:-}" ]; then flags+=(--env "NODE_OPTIONS=--import=$PWD/test/loopback-only.mjs"); fi
if [[ $workflow == examples/* ]]; then
  copy=$work/copy
  mkdir -p "$copy/.github/workflows" "$work/upload"
  cp -r action.yml dist "$copy/"
  git init --quiet "$copy"
  git -C "$copy" -c user.name=act -c user.email=act@localhost commit --quiet --allow-empty --message "as it is"
  # Each of our steps gets the version and the download that this machine has.
  for example in examples/*.yml; do
    awk '
      /^ +istio-version:/ { next }
      /^ +(- )?uses: \.\/$/ { ours = 1 }
      { print }
      ours && /^ +with:$/ {
        pad = $0; sub(/with:/, "  ", pad)
        print pad "istio-version: ${{ vars.ISTIO_VERSION }}\n" pad "istioctl-mirror: ${{ vars.ISTIOCTL_MIRROR }}\n" pad "istioctl-path: ${{ vars.ISTIOCTL_PATH }}"
        ours = 0
      }' "$example" > "$copy/.github/workflows/${example##*/}"
  done
  cat > "$work/upload/action.yml" <<'YAML'
name: what would be uploaded
inputs: { name: {}, path: {}, overwrite: {} }
runs:
  using: composite
  steps:
    - { shell: bash, run: 'echo "would upload $NAME: $FILES"; ls -l $FILES', env: { NAME: "${{ inputs.name }}", FILES: "${{ inputs.path }}" } }
YAML
  printf '#!/bin/sh\necho "gh $*" >&2\n' > "$work/bin/gh"
  chmod +x "$work/bin/gh"
  while read -r uses; do flags+=(--local-repository "${uses#uses: }=$work/upload"); done \
    < <(grep -ohE 'uses: actions/upload-artifact@[0-9a-f]+' examples/*.yml | sort -u)
  # A pull request of this repository's own, and what somebody who removes a mesh has typed.
  printf '{"inputs": {"mesh-id": "mesh1", "scope": "all"}, "pull_request": {"number": 1, "head": {"sha": "abc", "repo": {"full_name": "o/n"}}}, "repository": {"full_name": "o/n", "default_branch": "main"}}' > "$work/event.json"
  flags+=(--directory "$copy" --eventpath "$work/event.json" --env GITHUB_REPOSITORY=o/n)
  workflow=$copy/.github/workflows/${workflow##*/}
fi

code=0
act "$event" --workflows "$workflow" --platform ubuntu-latest=-self-hosted "${flags[@]}" \
  --secret EAST_KUBECONFIG --secret WEST_KUBECONFIG \
  --var "ISTIO_VERSION=${E2E_ISTIO_VERSION:?}" --var "IMAGE=${E2E_SAMPLE_IMAGE:-}" \
  --var "ISTIOCTL_MIRROR=${E2E_ISTIOCTL_MIRROR:-https://github.com/istio/istio/releases/download}" \
  --var "ISTIOCTL_PATH=${E2E_ISTIOCTL:-}" \
  --var "KUBECONFIGS=$east:$west" 2>&1 | tee "$log" || code=$?

for kubeconfig in "$east" "$west"; do
  sed -n 's/^ *\(client-key-data\|token\|password\): *//p' "$kubeconfig" | while read -r secret; do
    # Of a key also a line of what it decodes to.
    for text in "${secret:0:60}" "$(base64 -d <<<"$secret" 2>/dev/null | sed -n 2p)"; do
      if [ -n "$text" ] && grep -qF -- "$text" "$log"; then
        echo "A credential of $kubeconfig is in the log."
        exit 1
      fi
    done
  done
done
if [ "$code" -eq 0 ] && ! grep -q 'Job succeeded' "$log"; then
  echo "No job of $workflow was run."
  exit 1
fi
exit "$code"
