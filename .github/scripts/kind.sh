#!/usr/bin/env bash
# kind.sh CLUSTERS OPERATOR: that many kind clusters side by side, each with MetalLB and, if OPERATOR is a version, the Sail
# Operator. NODE_IMAGE is the nodes', by digest: it says which Kubernetes. LOAD names images, or archives of them, that every
# node is given by `kind load`: Docker's own registry, which it would pull them from, is hidden from it then. Writes the outputs `clusters`, for the action's input of that name, and `kubeconfigs`, paths with a colon between.
set -euo pipefail

count=$1 operator=${2:-}
METALLB=0.15.2
# Of kind 0.33.0, and of a Kubernetes that Istio 1.30 and 1.31 support.
NODE_IMAGE=${NODE_IMAGE:-kindest/node:v1.36.4@sha256:099e049362a1526b2db71494e1947aae99bd16290d7c895f2b7ea312e3cbfaed}
folder=${RUNNER_TEMP:?}/kind
mkdir -p "$folder"

# Of one platform: what Docker saves may name others, which kind does not find in it.
archives=()
for image in ${LOAD:-}; do
  archive=$image
  if [ ! -f "$image" ]; then
    archive=$folder/${image//[\/:]/-}.tar
    skopeo copy --quiet "docker://$image" "docker-archive:$archive:$image"
  fi
  archives+=("$archive")
done

create() {
  local n=$1 name=cluster$1 kubeconfig=$folder/cluster$1 archive
  kind create cluster --name "$name" --image "$NODE_IMAGE" --kubeconfig "$kubeconfig" --wait 180s
  for archive in "${archives[@]}"; do
    kind load image-archive "$archive" --name "$name"
  done
  if [ "${#archives[@]}" -gt 0 ]; then
    docker exec "$name-control-plane" sh -c 'echo "127.0.0.1 docker.io registry-1.docker.io" >>/etc/hosts'
  fi
  # Layer 2 is all that it does here: no FRR, which is for BGP.
  helm install metallb metallb --repo https://metallb.github.io/metallb --version "$METALLB" \
    --set speaker.frr.enabled=false --set frrk8s.enabled=false \
    --namespace metallb-system --create-namespace --kubeconfig "$kubeconfig" --wait --timeout 5m
  # MetalLB's webhook may not serve yet when its pods are ready.
  local tries=20
  until addresses "$n" | kubectl --kubeconfig "$kubeconfig" apply -f -; do
    tries=$((tries - 1))
    if [ "$tries" -eq 0 ]; then return 1; fi
    sleep 3
  done
  if [[ $operator == [0-9]* ]]; then
    helm install sail-operator \
      "https://github.com/istio-ecosystem/sail-operator/releases/download/$operator/sail-operator-$operator.tgz" \
      --namespace sail-operator --create-namespace --kubeconfig "$kubeconfig" --wait --timeout 5m
  fi
}

# Each cluster gives out a range of its own of the network that all nodes are on.
addresses() {
  cat <<YAML
apiVersion: metallb.io/v1beta1
kind: IPAddressPool
metadata: { name: kind, namespace: metallb-system }
spec: { addresses: ["$(prefix).$((200 + $1)).1-$(prefix).$((200 + $1)).50"] }
---
apiVersion: metallb.io/v1beta1
kind: L2Advertisement
metadata: { name: kind, namespace: metallb-system }
YAML
}

# The first two numbers of Docker's IPv4 network "kind", a /16 or wider.
prefix() {
  docker network inspect kind --format '{{range .IPAM.Config}}{{println .Subnet}}{{end}}' | grep -v : | head -1 | cut -d. -f1-2
}

# kind makes its network with the first cluster; two at once would make two.
docker network inspect kind >/dev/null 2>&1 || docker network create kind --subnet 172.30.0.0/16 >/dev/null

pids=()
for n in $(seq "$count"); do
  create "$n" > "$folder/cluster$n.log" 2>&1 &
  pids+=($!)
done
failed=0
for n in $(seq "$count"); do
  wait "${pids[n - 1]}" || failed=$n
  echo "::group::cluster$n"
  cat "$folder/cluster$n.log"
  echo "::endgroup::"
done
if [ "$failed" -ne 0 ]; then
  echo "::error::cluster$failed could not be made: its group in this log says why."
  exit 1
fi

{
  echo "clusters<<END"
  for n in $(seq "$count"); do
    echo "- { name: cluster$n, network: network$n, kubeconfig-file: $folder/cluster$n }"
  done
  echo END
  echo "kubeconfigs=$(seq -s : -f "$folder/cluster%g" "$count")"
} >> "${GITHUB_OUTPUT:?}"
