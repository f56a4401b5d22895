"""What happens if the reserve comes in earlier? Two policies on the same customers, and a model from a textbook.

    python examples/simulate_release.py
"""

from csroute import simulate

# A textbook's call centre: Erlang C says that 11 of 100 callers wait.
calls = simulate.queue(arrivals_per_s=0.1, handle_s=180.0, agents=25, hours=200.0)
print(simulate.run(*calls, seed=1, warmup_s=3600.0).summary()["p_wait"])

# Two groups; the second may help the first, at once or never.
few, many = simulate.Exponential(120.0), simulate.Exponential(240.0)
patience = simulate.Exponential(300.0)


def crew(helpers: list[str]) -> simulate.Model:
    classes = {
        "orders": simulate.Class(0.20, few, ["front", *helpers], patience),
        "parcels": simulate.Class(0.05, many, ["parcels"], patience),
    }
    return simulate.network(classes, {"front": 22, "parcels": 16}, hours=100.0)


alone, together = (simulate.run(*crew(helpers), seed=1, warmup_s=3600.0) for helpers in ([], ["parcels"]))
print(together)
print(simulate.compare(together, alone).sentence())
