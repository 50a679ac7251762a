/** How long the RSA keys are that are generated within a test's own process; the built action's are as they are. */
export const keySize = { bits: 1024 };
