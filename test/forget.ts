// Before each file of tests: what one has made known as secret is none to the next, which shares its process; and the keys
// of most tests are short ones, for others take longer to find than all else of a test.
import { vi } from "vitest";
import { forgetSecrets } from "../src/mesh/redact.ts";
import { keySize } from "./key-size.ts";

vi.mock("../src/mesh/certificates/key-size.ts", () => ({
  get RSA_BITS() {
    return keySize.bits;
  },
}));

forgetSecrets();
keySize.bits = 1024;
