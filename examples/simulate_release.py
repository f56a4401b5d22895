"""What happens on Double 11 if the reserve is released at 60 s instead of 120 s?

    python examples/simulate_release.py

A hundredth of the people and of their customers, six hours of the day's plateau, five times. The whole day:
`csroute simulate double11 --set release=60s --against double11 --html release.html`.
"""

from dataclasses import replace

from csroute import simulate
from csroute.policy import preset, seconds

# A textbook's call centre first: Erlang C says that 8.3 of 100 callers wait.
calls = simulate.queue(arrivals_per_s=0.1, handle_s=180.0, agents=25, hours=400.0)
waiting = simulate.run(*calls, seed=1, warmup_s=3600.0).summary()["p_wait"]
print(f"{100 * waiting.mean:.1f} % of callers wait, ± {100 * waiting.half_width:.1f}")

# `release` is declared in the preset: `RELEASE = parameter("release", seconds(120), low=…, high=…)`.
FROM, TO = 10 * 3600.0, 16 * 3600.0  # one shift of the plateau
day, roster = simulate.double11(0.01), simulate.double11_roster(0.01)
rate = next(rate for start, rate in day.curve if start == FROM)
plateau = replace(day, curve=[(0.0, rate)], length_s=TO - FROM)
there = [replace(one, shifts=[(0.0, TO - FROM)]) for one in roster.agents if one.shifts[0][0] <= FROM < one.shifts[0][1]]
present = replace(roster, agents=there)

as_it_is = simulate.run(preset("double11"), plateau, present, seed=1, replications=5)
sooner = simulate.run(
    preset("double11", release=seconds(60)), plateau, present, seed=1, replications=5, label="double11, release=60s"
)
print(sooner)
print(simulate.compare(sooner, as_it_is).sentence())
