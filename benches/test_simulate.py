"""Simulated tickets a second, and how many times Ciw's on the same model in the same run.

    make bench ARGS="-k simulate"

`cargo bench -p csroute-sim` has the core alone. Here: arrivals made, rows taken, figures counted. The model shared with
Ciw is M/M/20 at 90 %, first come, first served; Ciw's own records are made, and not read. The Double-11 day is played
whole; of the raw day a stretch, whose rate says how long the day would take.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import ciw
from pytest_benchmark.fixture import BenchmarkFixture

from csroute import simulate

AGENTS, HANDLE_S, BUSY = 20, 60.0, 0.9
RATE = BUSY * AGENTS / HANDLE_S


def timed(benchmark: BenchmarkFixture, what: Callable[[], Any], rounds: int = 1) -> Any:
    return benchmark.pedantic(what, rounds=rounds)  # type: ignore[no-untyped-call] # without types


def test_ratio_to_ciw(benchmark: BenchmarkFixture) -> None:
    def theirs(tickets: int) -> float:
        network = ciw.create_network(
            arrival_distributions=[ciw.dists.Exponential(RATE)],
            service_distributions=[ciw.dists.Exponential(1 / HANDLE_S)],
            number_of_servers=[AGENTS],
        )
        simulation = ciw.Simulation(network)
        started = time.process_time()
        simulation.simulate_until_max_time(tickets / RATE)
        return tickets / (time.process_time() - started)

    def ours(tickets: int) -> float:
        model = simulate.queue(arrivals_per_s=RATE, handle_s=HANDLE_S, agents=AGENTS, hours=tickets / RATE / 3600)
        started = time.process_time()
        found = simulate.run(*model, seed=1)
        return found.replications[0].tickets / (time.process_time() - started)

    other = theirs(1_000 if benchmark.disabled else 10_000)
    rate = timed(benchmark, lambda: ours(2_000 if benchmark.disabled else 200_000), 3)
    benchmark.extra_info |= {
        "tickets_per_s": round(rate),
        "ciw_tickets_per_s": round(other),
        "ratio": round(rate / other, 1),
    }
    print(f"\n{rate:,.0f} tickets/s, Ciw {other:,.0f}: {rate / other:.0f} times")


def test_a_double11_day(benchmark: BenchmarkFixture) -> None:
    scale = 0.01 if benchmark.disabled else 1.0

    def day() -> simulate.Result:
        return simulate.run("double11", simulate.double11(scale), simulate.double11_roster(scale), keep_rows=False)

    started = time.process_time()
    found = timed(benchmark, day)
    seconds = time.process_time() - started
    tickets, agents = found.replications[0].tickets, len(found.scene.roster.agents)
    benchmark.extra_info |= {"tickets": tickets, "agents": agents, "cpu_s": round(seconds, 1)}
    print(f"\n{tickets:,} tickets, {agents:,} agents: {seconds:.1f} s of CPU time")


def test_a_stretch_of_the_raw_day(benchmark: BenchmarkFixture) -> None:
    people = simulate.double11_roster(3.0)
    minutes = replace(simulate.double11_raw(), length_s=2.0 if benchmark.disabled else 120.0)

    def stretch() -> simulate.Result:
        return simulate.run("double11", minutes, people, keep_rows=False)

    started = time.process_time()
    found = timed(benchmark, stretch)
    rate = found.replications[0].tickets / (time.process_time() - started)
    benchmark.extra_info |= {"tickets_per_s": round(rate)}
    print(f"\n{rate:,.0f} tickets/s: the raw day's 306 million would take {306e6 / rate / 60:.0f} min")
