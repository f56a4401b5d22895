// k6 run benches/recipes/k6.js            (an arrival rate: an open loop; latency is grpc_req_duration)
import grpc from "k6/net/grpc";
import { check } from "k6";

const address = __ENV.CSROUTE || "127.0.0.1:7701";
const client = new grpc.Client();
client.load(["../../protos"], "csroute/v1/routing_service.proto");

export const options = {
  scenarios: {
    route: { executor: "constant-arrival-rate", rate: 1000, timeUnit: "1s", duration: "10s", preAllocatedVUs: 64 },
  },
  thresholds: { checks: ["rate==1"], dropped_iterations: ["count==0"] },
};

export default function () {
  if (__ITER === 0) client.connect(address, { plaintext: true });
  const ticket = { id: `k6-${__VU}-${__ITER}-${Date.now()}`, channel: "chat", attributes: [{ name: "tier", value: "vip" }] };
  const reply = client.invoke("csroute.v1.RoutingService/Route", { ticket });
  check(reply, { taken: (it) => it.status === grpc.StatusOK });
}
