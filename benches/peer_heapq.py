"""A peer, for scale: the matching alone, in pure Python, as one would write it with heapq and bisect.

    python benches/peer_heapq.py [waiting …]

10,000 agents in 300 profiles, 1,000 classes, each served by 15 % of the profiles; an agent holds one ticket. A
lifecycle is submit + match + complete. A heap a class holds what waits, by deadline; the heads of all classes stand in
one sorted list, which is walked from the most urgent until a class is served by the freed agent's profile. There are no
ids, no offers, no events, no clocks, no steps, no limits: it shows what the language costs, and is no router.
"""

from __future__ import annotations

import heapq
import random
import statistics
import sys
import time
from bisect import bisect_left, insort
from collections import deque

AGENTS, PROFILES, CLASSES, SERVED = 10_000, 300, 1_000, 0.15
ROUNDS, LIFECYCLES = 7, 100_000


class Matcher:
    """Who gets which ticket."""

    def __init__(self, seed: int = 11) -> None:
        rng = random.Random(seed)
        self.profiles_of = [rng.sample(range(PROFILES), round(PROFILES * SERVED)) for _ in range(CLASSES)]
        self.served = [bytearray(CLASSES) for _ in range(PROFILES)]
        for number, profiles in enumerate(self.profiles_of):
            for profile in profiles:
                self.served[profile][number] = 1
        self.idle: list[deque[int]] = [deque() for _ in range(PROFILES)]
        for agent in range(AGENTS):
            self.idle[agent % PROFILES].append(agent)
        self.lines: list[list[tuple[int, int]]] = [[] for _ in range(CLASSES)]
        self.heads: list[tuple[int, int]] = []  # (deadline, class) of each class that has anyone waiting
        self.busy: deque[int] = deque()

    def submit(self, ticket_class: int, deadline: int, ticket: int) -> None:
        """Gives it to a free agent, or lets it wait."""
        for profile in self.profiles_of[ticket_class] if len(self.busy) < AGENTS else ():
            if self.idle[profile]:
                self.busy.append(self.idle[profile].popleft())
                return
        line = self.lines[ticket_class]
        if line and deadline < line[0][0]:
            del self.heads[bisect_left(self.heads, (line[0][0], ticket_class))]
        if not line or deadline < line[0][0]:
            insort(self.heads, (deadline, ticket_class))
        heapq.heappush(line, (deadline, ticket))

    def complete(self) -> None:
        """The agent busy longest is free: gets the most urgent ticket that its profile serves."""
        agent = self.busy.popleft()
        served = self.served[agent % PROFILES]
        for place, (_, ticket_class) in enumerate(self.heads):
            if served[ticket_class]:
                del self.heads[place]
                line = self.lines[ticket_class]
                heapq.heappop(line)
                if line:
                    insort(self.heads, (line[0][0], ticket_class))
                self.busy.append(agent)
                return
        self.idle[agent % PROFILES].append(agent)


def lifecycles_per_s(waiting: int, seed: int = 11) -> list[float]:
    """Rates of some rounds, with about so many tickets waiting throughout."""
    rng = random.Random(seed)
    matcher = Matcher(seed)
    targets = [rng.choice((60_000, 180_000, 3_600_000, 10_800_000)) for _ in range(CLASSES)]
    coming = [rng.randrange(CLASSES) for _ in range(LIFECYCLES)]
    ticket = 0
    while ticket < waiting + (AGENTS if waiting else 0):
        matcher.submit(ticket_class := coming[ticket % LIFECYCLES], ticket + targets[ticket_class], ticket)
        ticket += 1
    rates = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        for ticket_class in coming:
            matcher.submit(ticket_class, ticket + targets[ticket_class], ticket)
            matcher.complete()
            ticket += 1
        rates.append(LIFECYCLES / (time.perf_counter() - begun))
    return rates


def main() -> None:
    """Prints min, median and max of each."""
    for waiting in [int(argument) for argument in sys.argv[1:]] or [0, 100_000, 1_000_000]:
        rates = lifecycles_per_s(waiting)
        low, middle, high = (f"{rate / 1e6:.3f}" for rate in (min(rates), statistics.median(rates), max(rates)))
        print(f"{waiting:>9,} waiting: {low} / {middle} / {high} M lifecycles/s (min / median / max of {ROUNDS})")


if __name__ == "__main__":
    main()
