// Writes a cluster's CA, and sees to it that every istiod goes by it.
import { ISTIOD, namesOfRunning, revisionOf } from "../checks/istiod.ts";
import { isActive } from "../checks/pods.ts";
import {
  annotationOf,
  digestOf,
  filesOf,
  oldRoots,
  type RootNote,
  type SecretRoots,
  sameRoots,
} from "../checks/root-change.ts";
import type { Look } from "../cluster/cluster.ts";
import { readInjectors } from "../facts/injectors.ts";
import { proxyOf } from "../facts/proxies.ts";
import { readSigner } from "../facts/signer.ts";
import { sameAuthority } from "../mesh/certificates/chain.ts";
import { info, readableIn } from "../mesh/certificates/pem.ts";
import type { RootCa } from "../mesh/certificates/root.ts";
import { Failure } from "../mesh/failure.ts";
import type { KubernetesObject } from "../mesh/objects/object.ts";
import { cacerts } from "../mesh/objects/secrets.ts";
import type { RootMove } from "../mesh/root-change.ts";
import type { Deployment } from "../mesh/shapes/deployment.ts";
import type { Pod } from "../mesh/shapes/pod.ts";
import { restartIstiods } from "./restart.ts";
import type { View } from "./root-view.ts";
import type { Step } from "./step.ts";

/** Makes a move in a cluster. @param old SHA-256 of the roots that are to go in all of them */
export async function act(
  step: Step,
  view: View,
  does: RootMove["does"],
  root: RootCa,
  old: readonly string[] = [],
): Promise<void> {
  if (does !== "serve") await writeFiles(step, view, does as RootNote["wrote"], root, old);
  await serve(step, view);
}

/** Writes what a move asks for, where the Secret is as it was read. */
async function writeFiles(
  step: Step,
  view: View,
  does: RootNote["wrote"],
  root: RootCa,
  others: readonly string[],
): Promise<void> {
  const { mesh, member, fresh } = view;
  const { cluster, spec } = member;
  const seen = await view.secrets();
  const now = filesOf(seen.secret);
  const old = oldRoots(seen, fresh);
  const files = { ...now };
  switch (does) {
    case "trust": {
      const before = seen.plugged ? now["root-cert.pem"] : now["ca-cert.pem"];
      files["root-cert.pem"] = `${before.trimEnd()}\n${root.certificate}`;
      // The root that istiod made itself becomes one that is given to it: same certificate, same key.
      if (!seen.plugged) files["cert-chain.pem"] = now["ca-cert.pem"];
      break;
    }
    case "sign": {
      const { issueIntermediate } = await import("../mesh/certificates/issue.ts");
      const issued = await issueIntermediate(root, spec.name, mesh.namespace);
      // To the byte: istiod takes up a new intermediate while it runs where the roots are the same.
      Object.assign(files, { ...issued, "root-cert.pem": now["root-cert.pem"] });
      break;
    }
    case "forget": {
      const stay = seen.roots.filter((each) => !old.some((gone) => sameAuthority(each, gone)));
      files["root-cert.pem"] = stay.map((each) => `${each.toString().trim()}\n`).join("");
      break;
    }
  }
  const note: RootNote = {
    to: info(fresh).sha256,
    from: [...new Set([...(seen.note?.from ?? []), ...old.map((each) => info(each).sha256), ...others])],
    wrote: does,
    digest: digestOf(files),
  };
  const wanted = cacerts(mesh, files);
  const noted = annotationOf(note);
  if (!seen.plugged && seen.secret.metadata.name !== "cacerts") {
    await step.create(cluster, { ...wanted, metadata: { ...wanted.metadata, annotations: noted } });
    return;
  }
  const { name, namespace } = wanted.metadata;
  const { apiVersion, kind, data } = wanted;
  // Whose it is stays as it is: only what istiod reads is written, and the note.
  const patch = {
    apiVersion,
    kind,
    metadata: { name, ...(namespace ? { namespace } : {}), annotations: noted },
    data: { ...data, ...(seen.plugged ? {} : { "istio-generated": null }) },
  };
  await step.update(cluster, patch as unknown as KubernetesObject, seen.secret);
}

/** Sees to it that every replica of istiod serves what the Secret holds, and notes since when. */
async function serve(step: Step, view: View): Promise<void> {
  const { mesh, member } = view;
  const { cluster, spec } = member;
  const { namespace } = mesh;
  const seen = await view.secrets();
  // Whole seconds, as certificates have them.
  const end = Math.floor(seen.issuer.certificate.validToDate.getTime() / 1000);
  const query = { apiVersion: "v1", kind: "Pod", namespace, labelSelector: ISTIOD };
  const replicas = async () => (await cluster.list(query)) as unknown as Pod[];

  /** Which replica does not sign by what the Secret holds, or is of before; `undefined`: all do. */
  const lagging = async (before: ReadonlySet<string>): Promise<string | undefined> => {
    const running = namesOfRunning(await replicas());
    if (running.length === 0) return "no istiod runs";
    const old = running.find((name) => before.has(name));
    if (old) return `${old} runs still`;
    for (const name of running)
      if (((await readSigner(cluster, namespace, name)).chainEnds?.getTime() ?? 0) !== end * 1000)
        return `${name} signs by another certificate still`;
    return undefined;
  };
  const allServe = (before: ReadonlySet<string>, within?: number) =>
    cluster.poll(
      `every istiod to sign by what Secret ${namespace}/cacerts holds`,
      async (): Promise<Look<void>> => {
        const why = await lagging(before).catch((error: unknown) => {
          if (error instanceof Failure) return error.message;
          throw error;
        });
        return why ? { seen: why } : { done: undefined };
      },
      within,
    );

  let taken = false;
  if (seen.note?.wrote === "sign") {
    step.say(`waiting until istiod of ${spec.name} takes the new intermediate up by itself`);
    taken = await allServe(new Set(), view.times.reload).then(
      () => true,
      (error: unknown) => {
        if (error instanceof Failure) return false;
        throw error;
      },
    );
  }
  if (!taken) {
    const why = "it takes up the roots in the Secret cacerts when it starts";
    const running = (await replicas()).filter((pod) => isActive(pod));
    await allServe(await restartIstiods(step, namespace, member, running, why));
  }
  if (seen.note?.wrote !== "sign") await inAllNamespaces(view, seen);
  const note = { ...(seen.note ?? unnoted(seen, view)), served: new Date().toISOString() };
  const now = await view.secrets();
  if (digestOf(filesOf(now.secret)) !== note.digest)
    throw new Failure(
      `The Secret ${namespace}/cacerts was changed by somebody else while it was being taken up.`,
      "Find out who writes it, and run again: it goes on by what is there.",
    );
  const patch = {
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name: "cacerts", namespace, annotations: annotationOf(note) },
  };
  await step.update(cluster, patch, now.secret);
}

/** What is noted of a Secret that somebody else has brought so far. */
function unnoted(seen: SecretRoots, { fresh }: View): RootNote {
  const from = oldRoots(seen, fresh).map((each) => info(each).sha256);
  return { to: info(fresh).sha256, from, wrote: "trust", digest: digestOf(filesOf(seen.secret)) };
}

/** Waits until the roots are told in every namespace with proxies of the mesh: these know istiod by that. */
async function inAllNamespaces(view: View, seen: SecretRoots): Promise<void> {
  const { cluster } = view.member;
  const { source } = await view.inEffect();
  const name = /^ConfigMap [^/]+\/(.+)$/.exec(source)?.[1];
  const isMeshs = (pod: Pod) => (proxyOf(pod)?.controlPlane ?? view.mesh.namespace) === view.mesh.namespace;
  const namespaces = async () =>
    new Set(
      (await view.pods())
        .filter((pod) => isActive(pod) && proxyOf(pod) && isMeshs(pod))
        .map(({ metadata }) => metadata.namespace),
    );
  const query = { apiVersion: "apps/v1", kind: "Deployment", namespace: view.mesh.namespace, labelSelector: ISTIOD };
  const revisions = (await cluster.list<Deployment>(query)).map(revisionOf);
  await cluster.poll(
    `the roots in Secret ${view.mesh.namespace}/cacerts to be told everywhere`,
    async (): Promise<Look<void>> => {
      const { pem } = await view.inEffect();
      const deaf = (await readInjectors(cluster)).find(
        ({ revision, namespace, roots }) =>
          namespace === view.mesh.namespace &&
          revisions.includes(revision) &&
          roots !== "" &&
          !sameRoots(readableIn(roots), seen.roots),
      );
      if (deaf) return { seen: `the webhook of revision ${deaf.revision} is known by other roots still` };
      if (!sameRoots(readableIn(pem ?? ""), seen.roots)) return { seen: `${source} has other roots still` };
      if (!name) return { done: undefined };
      const query = { apiVersion: "v1", kind: "ConfigMap", fieldSelector: `metadata.name=${name}` };
      const [maps, wanted] = await Promise.all([
        cluster.list<KubernetesObject & { data?: Record<string, string> }>(query),
        namespaces(),
      ]);
      const late = [...wanted].filter((namespace) => {
        const found = maps.find(({ metadata }) => metadata.namespace === namespace);
        return !sameRoots(readableIn(found?.data?.["root-cert.pem"] ?? ""), seen.roots);
      });
      return late.length > 0
        ? { seen: `ConfigMap ${name} in ${late.join(", ")} has other roots still` }
        : { done: undefined };
    },
  );
}
