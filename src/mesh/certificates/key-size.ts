/**
 * Roots and intermediates alike. Istio's own tooling (tools/certs/common.mk) takes 4096, which take four times as long to find
 * and everybody longer to sign with; 3072 have the 128 bits of strength that are enough beyond 2030 (NIST SP 800-57).
 */
export const RSA_BITS = 3072;
