"""Try it before the night: the engine that will serve, under a virtual clock.

    result = simulate.run("mine.py", simulate.double11(), simulate.double11_roster(), seed=1)
    result.summary()["service_level"]       # Estimate(mean=…, half_width=…)

`run` takes a policy, a `Workload` (what comes) and a `Roster` (who works). Distributions are in `draws`; simple models,
`queue` and `network`, take a line. The n-th ticket is the same under every policy, so policies can be compared.

>>> from csroute import simulate
>>> result = simulate.run(*simulate.queue(arrivals_per_s=1 / 60, handle_s=180.0, agents=5, hours=24.0), seed=1)
>>> result.summary()["occupancy"].holds(0.6)
True
"""

from csroute.errors import RejectedError
from csroute.router import policy_bytes
from csroute.simulate.arrays import ARRIVAL, OUTCOMES, ROW, arrivals
from csroute.simulate.compare import Comparison, compare
from csroute.simulate.draws import Empirical, Exponential, Fixed, LogNormal, Never, Weibull
from csroute.simulate.estimate import Estimate, estimate
from csroute.simulate.journal import from_journal
from csroute.simulate.models import CHANNEL, Class, Model, network, queue
from csroute.simulate.presets import WORKLOADS, double11, double11_raw, double11_roster
from csroute.simulate.result import Replication, Result
from csroute.simulate.roster import AgentPlan, Conduct, Roster, team
from csroute.simulate.run import run
from csroute.simulate.workload import Again, Kind, Workload

__all__ = [
    "ARRIVAL",
    "CHANNEL",
    "OUTCOMES",
    "ROW",
    "WORKLOADS",
    "Again",
    "AgentPlan",
    "Class",
    "Comparison",
    "Conduct",
    "Empirical",
    "Estimate",
    "Exponential",
    "Fixed",
    "Kind",
    "LogNormal",
    "Model",
    "Never",
    "RejectedError",
    "Replication",
    "Result",
    "Roster",
    "Weibull",
    "Workload",
    "arrivals",
    "compare",
    "double11",
    "double11_raw",
    "double11_roster",
    "estimate",
    "from_journal",
    "network",
    "policy_bytes",
    "queue",
    "run",
    "team",
]
