#!/usr/bin/env bash
# The written procedure as a person pastes it: kubectl and istioctl, one command and one cluster after the other. It is
# what the action is measured against, so it does what the procedure does, in its order, and no more than a person must
# add to make it work: the namespace, which the procedure takes for granted, a second try where a webhook may not serve
# yet, `|| true` where a command fails on a second run, and at the end the waits that tell when the mesh is there.
#
#   KUBECONFIGS      kubeconfig files, separated by colons: one for each cluster, in order
#   CONTEXTS         optional: their contexts, separated by spaces, in the same order
#   ISTIO_VERSION    X.Y.Z
#   ISTIOCTL         optional: path of istioctl
set -euo pipefail

IFS=: read -ra KUBECONFIGS <<<"${KUBECONFIGS:?kubeconfig files, separated by colons}"
read -ra CONTEXTS <<<"${CONTEXTS:-}"
: "${ISTIO_VERSION:?the Istio version, X.Y.Z}"
ISTIOCTL=${ISTIOCTL:-istioctl}
CLUSTERS=$(seq "${#KUBECONFIGS[@]}")

# on N COMMAND...: the command against cluster N
on() {
  local i=$(($1 - 1)) program=$2
  shift 2
  local where=(--kubeconfig "${KUBECONFIGS[$i]}")
  [ -n "${CONTEXTS[$i]:-}" ] && where+=(--context "${CONTEXTS[$i]}")
  "$program" "$@" "${where[@]}"
}

# within SECONDS COMMAND...: the command again and again until it succeeds
within() {
  local deadline=$((SECONDS + $1))
  shift
  until "$@"; do
    [ "$SECONDS" -lt "$deadline" ] || { echo "gave up: $*" >&2; return 1; }
    sleep 1
  done
}

istio() {
  cat <<YAML
apiVersion: sailoperator.io/v1
kind: Istio
metadata:
  name: default
spec:
  version: v${ISTIO_VERSION}
  namespace: istio-system
  values:
    global:
      meshID: mesh1
      network: network$1
      multiCluster:
        clusterName: cluster$1
YAML
}

# The east-west gateway of network N: the objects of the procedure's manifest.
gateway() {
  local labels="{app: istio-eastwestgateway, istio: eastwestgateway, topology.istio.io/network: network$1}"
  cat <<YAML
apiVersion: v1
kind: ServiceAccount
metadata: {name: istio-eastwestgateway-service-account, namespace: istio-system, labels: $labels}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: istio-eastwestgateway-sds, namespace: istio-system, labels: $labels}
rules:
  - {apiGroups: [""], resources: [secrets], verbs: [get, watch, list]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: istio-eastwestgateway-sds, namespace: istio-system, labels: $labels}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: istio-eastwestgateway-sds}
subjects:
  - {kind: ServiceAccount, name: istio-eastwestgateway-service-account}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: istio-eastwestgateway, namespace: istio-system, labels: $labels}
spec:
  selector:
    matchLabels: {app: istio-eastwestgateway, istio: eastwestgateway, topology.istio.io/network: network$1}
  template:
    metadata:
      labels: {app: istio-eastwestgateway, istio: eastwestgateway, topology.istio.io/network: network$1, sidecar.istio.io/inject: "true"}
      annotations: {inject.istio.io/templates: gateway, sidecar.istio.io/inject: "true"}
    spec:
      serviceAccountName: istio-eastwestgateway-service-account
      securityContext: {runAsUser: 1337, runAsGroup: 1337, runAsNonRoot: true}
      containers:
        - name: istio-proxy
          image: auto
          env:
            - {name: ISTIO_META_REQUESTED_NETWORK_VIEW, value: network$1}
            - {name: ISTIO_META_UNPRIVILEGED_POD, value: "true"}
          ports:
            - {containerPort: 15021}
            - {containerPort: 15443}
            - {containerPort: 15012}
            - {containerPort: 15017}
            - {containerPort: 15090, name: http-envoy-prom}
          resources:
            requests: {cpu: 100m, memory: 128Mi}
            limits: {cpu: "2", memory: 1Gi}
          securityContext:
            allowPrivilegeEscalation: false
            capabilities: {drop: [ALL]}
            privileged: false
            readOnlyRootFilesystem: true
          volumeMounts:
            - {name: ingressgateway-certs, mountPath: /etc/istio/ingressgateway-certs, readOnly: true}
            - {name: ingressgateway-ca-certs, mountPath: /etc/istio/ingressgateway-ca-certs, readOnly: true}
      volumes:
        - {name: ingressgateway-certs, secret: {secretName: istio-ingressgateway-certs, optional: true}}
        - {name: ingressgateway-ca-certs, secret: {secretName: istio-ingressgateway-ca-certs, optional: true}}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: istio-eastwestgateway, namespace: istio-system, labels: $labels}
spec:
  minAvailable: 1
  selector: {matchLabels: {app: istio-eastwestgateway, istio: eastwestgateway}}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: istio-eastwestgateway, namespace: istio-system, labels: $labels}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: istio-eastwestgateway}
  minReplicas: 1
  maxReplicas: 5
  metrics:
    - {type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 80}}}
---
apiVersion: v1
kind: Service
metadata: {name: istio-eastwestgateway, namespace: istio-system, labels: $labels}
spec:
  type: LoadBalancer
  selector: {app: istio-eastwestgateway, istio: eastwestgateway, topology.istio.io/network: network$1}
  ports:
    - {name: status-port, port: 15021, targetPort: 15021}
    - {name: tls, port: 15443, targetPort: 15443}
    - {name: tls-istiod, port: 15012, targetPort: 15012}
    - {name: tls-webhook, port: 15017, targetPort: 15017}
YAML
}

exposure() {
  cat <<YAML
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: cross-network-gateway}
spec:
  selector: {istio: eastwestgateway}
  servers:
    - port: {number: 15443, name: tls, protocol: TLS}
      tls: {mode: AUTO_PASSTHROUGH}
      hosts: ["*.local"]
YAML
}

apply() { "$2" "$1" | on "$1" kubectl apply "${@:3}" -f -; }

remote_secret() { # from observer
  on "$1" "$ISTIOCTL" create-remote-secret --name="cluster$1" --create-service-account=false | on "$2" kubectl apply -f -
}

addressed() {
  on "$1" kubectl get service istio-eastwestgateway -n istio-system -o jsonpath='{.status.loadBalancer.ingress[*]}' | grep -q .
}

# A line for each remote cluster; the local one has no secret.
synced() {
  [ "$(on "$1" "$ISTIOCTL" remote-clusters 2>/dev/null | grep -c 'istio-remote-secret-.*synced')" -ge "$((${#KUBECONFIGS[@]} - 1))" ]
}

for n in $CLUSTERS; do
  on "$n" kubectl create namespace istio-system 2>/dev/null || true
  apply "$n" istio
  on "$n" kubectl wait --for condition=Ready istio/default --timeout=3m
  apply "$n" gateway
  within 60 apply "$n" exposure -n istio-system
done

for n in $CLUSTERS; do
  on "$n" kubectl create serviceaccount istio-reader-service-account -n istio-system || true
done
for n in $CLUSTERS; do
  on "$n" kubectl create clusterrolebinding cluster-reader-istio-reader-sa \
    --clusterrole=cluster-reader \
    --serviceaccount=istio-system:istio-reader-service-account || true
done

for target in $CLUSTERS; do
  for observer in $CLUSTERS; do
    [ "$target" = "$observer" ] || remote_secret "$target" "$observer"
  done
done

for n in $CLUSTERS; do
  on "$n" kubectl rollout status deployment/istio-eastwestgateway -n istio-system --timeout=5m
  within 120 addressed "$n"
  within 120 synced "$n"
done
