/** The name under which the folder for secrets is handed from the main step to the post step. */
export const FOLDER_STATE = "folder";

/** The same for the namespaces of probes that are still to be removed. */
export const PROBE_STATE = "probe";

/** The same for the name by which a run holds the clusters' Leases. */
export const HOLDER_STATE = "holder";
