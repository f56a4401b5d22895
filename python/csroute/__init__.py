"""A low-latency router for customer-service tickets.

Rust decides, Python explains the rules to it. The package holds the policy language (`csroute.policy`), the same
node in process (`Router`), the clients (`Client`, `AsyncClient`), the gRPC server, and the generated wire
(`csroute.v1`).
"""

__all__: list[str] = []
