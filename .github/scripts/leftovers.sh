#!/usr/bin/env bash
# leftovers.sh KUBECONFIG:KUBECONFIG...: fails where something that the action makes, or a control plane, is still there.
set -euo pipefail

IFS=: read -ra kubeconfigs <<<"$1"
failed=0
for kubeconfig in "${kubeconfigs[@]}"; do
  ours=$(kubectl --kubeconfig "$kubeconfig" get -A --ignore-not-found -o name -l app.kubernetes.io/managed-by=istio-mesh-action \
    namespaces,clusterrolebindings,secrets,serviceaccounts,services,deployments,configmaps)
  planes=$(kubectl --kubeconfig "$kubeconfig" get -A --ignore-not-found -o name deployments -l app=istiod)
  # Where there is an operator, there are its kinds.
  if kubectl --kubeconfig "$kubeconfig" api-resources --api-group=sailoperator.io -o name | grep -q .; then
    planes+=$'\n'$(kubectl --kubeconfig "$kubeconfig" get --ignore-not-found -o name istios.sailoperator.io,istiorevisions.sailoperator.io)
  fi
  secrets=$(kubectl --kubeconfig "$kubeconfig" get -A --ignore-not-found -o name secrets -l istio/multiCluster=true)
  left=$(printf '%s\n' "$ours" "$planes" "$secrets" | sed '/^$/d')
  if [ -n "$left" ]; then
    echo "::error::${kubeconfig##*/} still has: ${left//$'\n'/, }"
    failed=1
  else
    echo "${kubeconfig##*/}: nothing is left"
  fi
done
exit "$failed"
