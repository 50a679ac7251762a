import type { KubernetesObject } from "../mesh/objects/object.ts";
import { orUndefined } from "./errors.ts";
import type { Transport } from "./transport.ts";

interface MetadataList {
  items: KubernetesObject[] | null;
}

/** What an API server serves, as its discovery says. */
interface ApiGroups {
  groups: { preferredVersion: { groupVersion: string }; versions: { groupVersion: string }[] }[];
}
interface ApiResource {
  name: string;
  kind: string;
  namespaced: boolean;
  verbs: string[];
}

/** Asks for the objects' metadata alone; an extension API that does not know how gives them whole. */
const METADATA_ONLY = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json";

/** Everything that is stored in a namespace, of whatever kind, by its metadata. */
export async function contentsOf(transport: Transport, namespace: string): Promise<KubernetesObject[]> {
  const what = `list what is in namespace ${namespace}`;
  const kinds = (await served(transport, what)).filter(({ namespaced, verbs }) => namespaced && verbs.includes("list"));
  const lists = await Promise.all(
    kinds.map(async ({ apiVersion, path, name, kind }) => {
      const url = `${path}/namespaces/${encodeURIComponent(namespace)}/${name}`;
      const list = await orUndefined(
        transport.json<MetadataList>(`${what}: ${name}`, "GET", url, { accept: METADATA_ONLY }),
      );
      return (list?.items ?? []).map(({ metadata }): KubernetesObject => ({ apiVersion, kind, metadata }));
    }),
  );
  // What has no UID is computed (metrics, say), not stored; and some kinds are served by two groups.
  const byUid = new Map(
    lists
      .flat()
      .reverse()
      .map((object) => [object.metadata.uid, object]),
  );
  byUid.delete(undefined);
  return [...byUid.values()];
}

/** Every kind that is served, each once, in its group's preferred version where that has it. */
async function served(
  transport: Transport,
  what: string,
): Promise<(ApiResource & { apiVersion: string; path: string })[]> {
  const { groups } = await transport.json<ApiGroups>(what, "GET", "/apis");
  const read = async (apiVersion: string, path: string) => {
    // An extension API that is down stays so for a while: then it is not known what is there.
    const { resources } = await transport.json<{ resources: ApiResource[] }>(
      `${what}: read ${apiVersion}`,
      "GET",
      path,
      { passedOn: true },
    );
    return resources.map((resource) => ({ ...resource, apiVersion, path }));
  };
  const ofGroup = async ({ preferredVersion, versions }: ApiGroups["groups"][number]) => {
    const names = new Set([preferredVersion, ...versions].map(({ groupVersion }) => groupVersion));
    const served = await Promise.all([...names].map((version) => read(version, `/apis/${version}`)));
    // Reversed, for of two with one name the Map keeps the later one.
    return [
      ...new Map(
        served
          .flat()
          .reverse()
          .map((each) => [each.name, each]),
      ).values(),
    ];
  };
  return (await Promise.all([read("v1", "/api/v1"), ...groups.map(ofGroup)])).flat();
}
