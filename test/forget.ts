// Before each file of tests: what one has made known as secret is none to the next, which shares its process.
import { forgetSecrets } from "../src/mesh/redact.ts";

forgetSecrets();
