// Loaded before the program that is tested, with `node --import`: nothing that it sends leaves this machine. An embedded
// cluster tells of addresses at which others would reach it, and there is nobody: a network may all the same have a machine
// at such an address, or something that answers in everybody's place.
import { BlockList, isIP, Socket } from "node:net";

const loopback = new BlockList();
loopback.addSubnet("127.0.0.0", 8, "ipv4");
loopback.addAddress("::1", "ipv6");

const connect = Socket.prototype.connect;
Socket.prototype.connect = function (...args) {
  // Node's own callers hand over what they have taken apart already: the options, in an array.
  const [first] = args;
  const options = Array.isArray(first) ? first[0] : first;
  const family = isIP(options?.host ?? "");
  if (family === 0 || loopback.check(options.host, family === 6 ? "ipv6" : "ipv4")) return connect.apply(this, args);
  const error = new Error(`connect ECONNREFUSED ${options.host}:${options.port}`);
  Object.assign(error, { code: "ECONNREFUSED", syscall: "connect", address: options.host, port: options.port });
  this.connecting = true;
  process.nextTick(() => this.destroy(error));
  return this;
};
