"""Exits 0 if the server at the address given says SERVING, by the standard gRPC health protocol.

python healthcheck.py 127.0.0.1:7700
"""

import sys

import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse


def main() -> int:
    with grpc.insecure_channel(sys.argv[1]) as channel:
        check = channel.unary_unary(
            "/grpc.health.v1.Health/Check", HealthCheckRequest.SerializeToString, HealthCheckResponse.FromString
        )
        try:
            reply = check(HealthCheckRequest(), timeout=2)
        except grpc.RpcError as error:
            print(error, file=sys.stderr)
            return 1
    return 0 if reply.status == HealthCheckResponse.SERVING else 1


if __name__ == "__main__":
    raise SystemExit(main())
