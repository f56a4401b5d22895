// A client in Node, from the protos alone: does what every client of the conformance suite does, prints what it saw.
//
//   node client.js ADDRESS PREFIX PROTOS
"use strict";

const grpc = require("@grpc/grpc-js");
const loader = require("@grpc/proto-loader");
const [address, prefix, protos] = process.argv.slice(2);

const files = ["routing_service", "agent_service", "admin_service"].map((name) => `csroute/v1/${name}.proto`);
const options = { keepCase: true, longs: Number, enums: String, defaults: true, oneofs: true };
const definitions = loader.loadSync(files, { ...options, includeDirs: [protos] });
const v1 = grpc.loadPackageDefinition(definitions).csroute.v1;
const [routing, agents, admin] = [v1.RoutingService, v1.AgentService, v1.AdminService].map(
  (Service) => new Service(address, grpc.credentials.createInsecure()),
);
const DEADLINE = Date.now() + 20_000;

const call = (client, method, request, metadata = new grpc.Metadata()) =>
  new Promise((resolve, reject) =>
    client[method](request, metadata, { deadline: DEADLINE }, (no, reply) => (no ? reject(no) : resolve(reply))),
  );
const ticket = (name, more = {}) => ({ id: prefix + name, channel: "chat", source: prefix, ...more });
const state = (name) => name.replace("TICKET_STATE_", "");
const once = (stream, event) => new Promise((resolve) => stream.once(event, resolve));

// Messages as they come: `for await` over a call that ends badly throws.
const messages = (stream) => stream[Symbol.asyncIterator]();

// --- google.rpc.Status, by hand: three messages of a few fields -------------------------------------------------------

function* fields(bytes) {
  let at = 0;
  const varint = () => {
    let value = 0;
    for (let shift = 1; ; shift *= 128) {
      const byte = bytes[at++];
      value += (byte & 127) * shift;
      if (byte < 128) return value;
    }
  };
  while (at < bytes.length) {
    const tag = varint();
    if ((tag & 7) === 0) yield [tag >> 3, varint()];
    else {
      const length = varint();
      yield [tag >> 3, bytes.subarray(at, (at += length))];
    }
  }
}

const all = (bytes, field) => [...fields(bytes)].filter(([number]) => number === field).map(([, value]) => value);

function refusal(no) {
  const seen = [no.code];
  for (const detail of all(no.metadata.get("grpc-status-details-bin")[0], 3)) {
    const [[kind], [value]] = [all(detail, 1), all(detail, 2)];
    if (kind.toString().endsWith("ErrorInfo")) {
      const entries = all(value, 3).map((entry) => [all(entry, 1).toString(), all(entry, 2).toString()]);
      seen.push(all(value, 1).toString(), Object.fromEntries(entries).code);
    } else {
      const delay = all(value, 1)[0];
      seen.push((all(delay, 1)[0] || 0) * 1000 + (all(delay, 2)[0] || 0) / 1e6);
    }
  }
  return seen;
}

const refused = (...asked) => call(...asked).then(() => "not refused", refusal);

// --- what every client does -------------------------------------------------------------------------------------------

async function life() {
  const waiting = await call(routing, "Route", { ticket: ticket("life") });
  const agent = { id: `${prefix}ana`, skills: [{ skill: "general", level: 3 }] };
  await call(agents, "UpsertAgents", { agents: [agent] });
  await call(agents, "OpenSession", { session: prefix, lease_ms: 60_000 });
  await call(agents, "Login", { session: prefix, agent: agent.id });
  const taken = await call(routing, "GetTicket", { id: `${prefix}life` });
  const again = await call(routing, "Route", { ticket: ticket("life") });
  return [state(waiting.state), state(taken.state), taken.agent === agent.id, again.replayed];
}

async function work() {
  const stream = agents.Work({ deadline: DEADLINE });
  const incoming = messages(stream);
  stream.write({ session: prefix });
  const { opening } = (await incoming.next()).value;
  const complete = { ticket: `${prefix}life`, attempt: 1, outcome: "solved" };
  const stale = { ticket: `${prefix}life`, attempt: 9 };
  stream.write({ actions: [{ complete, tag: 11 }, { accept: stale, tag: 12 }] });
  const [results, kinds] = [[], new Set()];
  while (results.length < 2 || !kinds.has("closed")) {
    const reply = (await incoming.next()).value;
    results.push(...reply.results.map((result) => [result.tag, result.result === "reply"]));
    reply.events.forEach((event) => kinds.add(event.kind));
  }
  stream.end();
  while (!(await incoming.next()).done);
  return [opening.agents.length, opening.work.length, results, kinds.has("completed"), true];
}

async function batch() {
  const tickets = [ticket("batch"), ticket("fax", { channel: "fax" }), { channel: "chat" }];
  const reply = await call(routing, "RouteBatch", { tickets, tag: 7 });
  return [reply.tag, ...reply.results.map((result) => result.result === "reply")];
}

async function stream() {
  const calls = routing.RouteStream({ deadline: DEADLINE });
  for (let tag = 0; tag < 20; tag++) calls.write({ tickets: [ticket(`stream-${tag}`)], tag });
  calls.end();
  const tags = [];
  for await (const reply of calls) tags.push(reply.tag);
  return [tags.length, tags.every((tag, at) => tag === at), true];
}

async function watch() {
  const source = `${prefix}watched`;
  const stream = routing.Watch({ sources: [source] }, { deadline: DEADLINE });
  stream.on("error", () => {}); // it is cancelled at the end
  await once(stream, "metadata"); // it stands
  await call(routing, "Route", { ticket: ticket("watched", { source }) });
  await call(routing, "Cancel", { id: `${prefix}watched`, reason: "left" });
  const kinds = [];
  const incoming = messages(stream);
  while (!kinds.includes("cancelled")) {
    kinds.push(...(await incoming.next()).value.events.map((event) => event.kind));
  }
  stream.cancel();
  return kinds;
}

async function refusals() {
  const other = new grpc.Metadata();
  other.set("csroute-tenant", `${prefix}other`);
  other.set("csroute-caller", "conformance");
  const seen = [
    await refused(routing, "Route", {}),
    await refused(routing, "GetTicket", { id: "nobody" }),
    await refused(agents, "Complete", { ticket: `${prefix}batch`, attempt: 9 }),
    await refused(routing, "GetTicket", { id: `${prefix}batch` }, other),
  ];
  await call(admin, "Drain", { on: true });
  seen.push(await refused(routing, "Route", { ticket: ticket("drained") }));
  await call(admin, "Drain", { on: false });
  return seen;
}

async function main() {
  const seen = [await life(), await work()];
  await call(agents, "CloseSession", { session: prefix });
  seen.push(await batch(), await stream(), await watch(), await refusals());
  console.log(JSON.stringify(seen));
  [routing, agents, admin].forEach((client) => client.close());
}

main();
