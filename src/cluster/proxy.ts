import { BlockList, isIP } from "node:net";
import { Failure } from "../mesh/failure.ts";

/** A proxy by which an API server is reached. Its URL may hold a password. */
export interface ProxyServer {
  readonly url: URL;
  /** For messages: its address without a login, and who named it. */
  readonly told: string;
}

const EXPECTED = "expected an http, https or socks5 URL";
const SCHEMES = new Set(["http:", "https:", "socks5:", "socks5h:"]);

/** What is wrong with the URL of a proxy, without the URL, which may hold a password; `undefined` where it can be used. */
export function proxyProblem(url: string): string | undefined {
  if (!URL.canParse(url) || new URL(url).hostname === "") return `that is no URL; ${EXPECTED}`;
  const { protocol } = new URL(url);
  return SCHEMES.has(protocol) ? undefined : `with ${protocol}//; ${EXPECTED}`;
}

/**
 * The proxy for an API server, as kubectl has it: the kubeconfig's `proxy-url`, which nothing overrules; else HTTPS_PROXY,
 * unless NO_PROXY names the server. Throws a `Failure` where the environment names one that cannot be used. The rules are
 * those of Go's golang.org/x/net/http/httpproxy.
 */
export function proxyFor(
  server: string,
  proxyUrl: string | undefined,
  env: NodeJS.ProcessEnv,
): ProxyServer | undefined {
  if (proxyUrl) return proxy(new URL(proxyUrl), "`proxy-url` in the kubeconfig");
  const variable = ["HTTPS_PROXY", "https_proxy"].find((name) => env[name]);
  if (!variable) return undefined;
  const target = new URL(server);
  if (!usesProxy(target.hostname, target.port || "443", env.NO_PROXY || env.no_proxy || "")) return undefined;
  const value = env[variable] as string;
  // A proxy without a scheme is an HTTP proxy.
  const url = [value, `http://${value}`].find((each) => !proxyProblem(each));
  const problem = /:\/\//.test(value) ? proxyProblem(value) : url ? undefined : proxyProblem(value);
  if (problem) {
    throw new Failure(
      `The environment variable ${variable} names a proxy ${problem}.`,
      `Correct ${variable} on this runner, or name the API server's host in NO_PROXY.`,
    );
  }
  return proxy(new URL(url as string), variable);
}

function proxy(url: URL, by: string): ProxyServer {
  return { url, told: `${url.protocol}//${url.host} (${by})` };
}

/** Whether a host is to be asked through the proxy. @param host as in a URL: an IPv6 address in brackets */
function usesProxy(host: string, port: string, noProxy: string): boolean {
  const name = host.replace(/^\[|\]$/g, "").toLowerCase();
  const family = isIP(name);
  if (name === "localhost" || (family !== 0 && within(name, ["127.0.0.0/8", "::1/128"]))) return false;
  for (const each of noProxy.split(",")) {
    const rule = each.trim().toLowerCase();
    if (rule === "*") return false;
    if (rule !== "" && (family === 0 ? matchesName(name, port, rule) : matchesAddress(name, port, rule))) return false;
  }
  return true;
}

/** `example.com` is it and all below, `.example.com` and `*.example.com` all below; each may have a port. */
function matchesName(name: string, port: string, rule: string): boolean {
  const { host, port: only } = split(rule);
  if (only && only !== port) return false;
  const domain = host.startsWith("*.") ? host.slice(1) : host;
  return domain.startsWith(".") ? name.endsWith(domain) : name === domain || name.endsWith(`.${domain}`);
}

function matchesAddress(address: string, port: string, rule: string): boolean {
  if (/\/\d+$/.test(rule)) return within(address, [rule]);
  const { host, port: only } = split(rule);
  const bits = isIP(host) === 6 ? 128 : 32;
  return isIP(host) !== 0 && (!only || only === port) && within(address, [`${host}/${bits}`]);
}

/** `host`, `host:port`, an IPv6 address as it is, or in brackets with a port. */
function split(rule: string): { host: string; port: string } {
  const [, bracketed, plain, port = ""] = /^(?:\[([^\]]*)\]|([^:]*))(?::(\d+))?$/.exec(rule) ?? [];
  return { host: bracketed ?? plain ?? rule, port };
}

function within(address: string, networks: readonly string[]): boolean {
  const list = new BlockList();
  for (const network of networks) {
    const [base = "", bits] = network.split("/");
    const family = isIP(base);
    if (family === 0 || Number(bits) > (family === 6 ? 128 : 32)) continue;
    list.addSubnet(base, Number(bits), family === 6 ? "ipv6" : "ipv4");
  }
  return list.check(address, isIP(address) === 6 ? "ipv6" : "ipv4");
}
