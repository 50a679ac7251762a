#!/usr/bin/env bash
# traffic.sh KUBECONFIG:KUBECONFIG...: a workload of its own in every cluster, and a request from each to each. It shares
# nothing with the action: what the action calls a mesh must carry this.
#
# The image needs an HTTP server and a client. The defaults are for Kubernetes' own test image.
set -euo pipefail

IFS=: read -ra kubeconfigs <<<"$1"
IMAGE=${IMAGE:-registry.k8s.io/e2e-test-images/agnhost:2.53}
SERVER=${SERVER:-'["/agnhost", "netexec", "--http-port=5000"]'}
CLIENT=${CLIENT:-curl --silent --show-error --max-time 5}
ANSWER=${ANSWER:-hostname}
namespace=traffic-test
at() { kubectl --kubeconfig "${kubeconfigs[$1]}" "${@:2}"; }
count=${#kubeconfigs[@]}

for ((i = 0; i < count; i++)); do
  # Every cluster has every Service; server-N has endpoints in cluster N only, so an answer has come from there.
  services=
  for ((j = 0; j < count; j++)); do
    services+="
---
apiVersion: v1
kind: Service
metadata: { name: server-$j, namespace: $namespace }
spec: { selector: { app: server-$j }, ports: [{ name: http, port: 5000 }] }"
  done
  at "$i" apply -f - <<YAML
apiVersion: v1
kind: Namespace
metadata: { name: $namespace, labels: { istio-injection: enabled } }
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: server-$i, namespace: $namespace }
spec:
  selector: { matchLabels: { app: server-$i } }
  template:
    metadata: { labels: { app: server-$i } }
    spec:
      containers:
        - name: server
          image: $IMAGE
          command: $SERVER
          env: [{ name: VERSION, value: server-$i }]
          ports: [{ containerPort: 5000 }]
$services
YAML
done
for ((i = 0; i < count; i++)); do
  at "$i" -n "$namespace" rollout status "deployment/server-$i" --timeout=180s
done

failed=0
for ((i = 0; i < count; i++)); do
  for ((j = 0; j < count; j++)); do
    answer=
    # Endpoints of another cluster are on their way for some seconds after the mesh is joined.
    for _ in $(seq 30); do
      # shellcheck disable=SC2086 # the client is a program with its arguments
      answer=$(at "$i" -n "$namespace" exec "deployment/server-$i" -c server -- $CLIENT \
        "http://server-$j.$namespace:5000/$ANSWER" 2>&1) || true
      if [[ $answer == *server-$j* ]]; then break; fi
      sleep 2
    done
    if [[ $answer == *server-$j* ]]; then
      echo "cluster $((i + 1)) → cluster $((j + 1)): $answer"
    else
      echo "::error::cluster $((i + 1)) → cluster $((j + 1)) got no answer: $answer"
      failed=1
    fi
  done
done
exit "$failed"
