#!/usr/bin/env bash
# run.sh [WORKFLOW]: runs ./mesh.yml with act (github.com/nektos/act) on this machine, without containers, on the two clusters
# of E2E_KUBECONFIGS; see test/e2e/settings.ts for the variables. The kubeconfigs are the workflow's secrets, and nothing of
# their credentials may be in the log. dist must be current.
set -euo pipefail
cd "$(dirname "$0")/../.."

IFS=: read -r east west _ <<<"${E2E_KUBECONFIGS:?two kubeconfig files with a colon between}"
EAST_KUBECONFIG=$(cat "$east") WEST_KUBECONFIG=$(cat "$west")
export EAST_KUBECONFIG WEST_KUBECONFIG
# What act runs Node actions with.
PATH=$PWD/node_modules/node/bin:$PATH
log=$(mktemp)
trap 'rm -f "$log"' EXIT

code=0
act workflow_dispatch --workflows "${1:-test/act/mesh.yml}" --platform ubuntu-latest=-self-hosted \
  --secret EAST_KUBECONFIG --secret WEST_KUBECONFIG \
  --var "ISTIO_VERSION=${E2E_ISTIO_VERSION:?}" --var "IMAGE=${E2E_SAMPLE_IMAGE:?}" \
  --var "ISTIOCTL_MIRROR=${E2E_ISTIOCTL_MIRROR:-https://github.com/istio/istio/releases/download}" \
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
exit "$code"
