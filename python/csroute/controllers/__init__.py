"""Controllers: Python that steers a policy at human speed while Rust decides at machine speed. Needs numpy.

A controller is called once a period with the live state as numpy arrays, and returns new head starts, slopes or fit
weights for rules, within the ranges that it declares. They become whole numbers and go through the journal; they lapse
when it falls silent. It runs in a process of its own, so nothing that it does can hold routing up.

>>> import numpy as np
>>> from csroute.controllers import Range, State, Steering, controller
>>> @controller({"Who.logistics": Range(slope=(1, 5))})
... def surge(state: State) -> Steering:
...     return Steering(slope=state.clip("slope", 1 + state.waiting() / 100))

`csroute serve --controller night.py:surge` runs it beside a server; `InProcess(router, surge).step()` on a `Router`.
"""

from csroute.controllers.inprocess import InProcess
from csroute.controllers.rules import FixedQueueRatio, GeneralisedCMu, late, power, quadratic
from csroute.controllers.state import FIGURES, LINES, PROFILES, Controller, Range, State, Steering, controller
from csroute.tuning import NonsenseError

__all__ = [
    "FIGURES",
    "LINES",
    "PROFILES",
    "Controller",
    "FixedQueueRatio",
    "GeneralisedCMu",
    "InProcess",
    "NonsenseError",
    "Range",
    "State",
    "Steering",
    "controller",
    "late",
    "power",
    "quadratic",
]
