"""A policy with two queues that one team serves, and controllers that behave badly on purpose."""

from __future__ import annotations

import ctypes
import os
import sys
import time
from typing import Literal

import numpy as np

from csroute.controllers import Range, State, Steering, controller
from csroute.policy import Attr, Attributes, Channel, Layer, Otherwise, Policy, Rule, Skill, Skills


class Facts(Attributes):
    channel: Attr[Literal["chat"]]
    kind: Attr[Literal["pay", "ask"]]


class S(Skills):
    general: Skill


class Who(Layer):
    pay = Rule(Facts.kind.is_("pay"), needs=S.general, why="money first, perhaps")
    ask = Otherwise(needs=S.general)


ONE_CHAT = {"chat": Channel(cost=100, limit=1)}
policy = Policy(
    "two", attributes=Facts, skills=S, layers=[Who], channels=ONE_CHAT
)  # fmt: skip

steered = controller({Who.pay: Range(head_start_s=(0, 60), slope=(0.5, 4))}, period_s=0.2)


@steered
def good(_: State) -> Steering:
    sys.stdout.write("on stdout, where answers go too\n")
    return Steering(head_start_s=np.array([30.0]))


@steered
def raises(_: State) -> Steering:
    raise ZeroDivisionError("a controller's own mistake")


@steered
def not_a_number(_: State) -> Steering:
    return Steering(slope=np.array([np.nan]))


@steered
def wrong_shape(_: State) -> Steering:
    return Steering(slope=np.ones((2, 2)))


@steered
def out_of_range(_: State) -> Steering:
    return Steering(head_start_s=np.array([61.0]))


@steered
def wrong_type(_: State) -> Steering:
    return "faster"  # type: ignore[return-value]


@steered
def hangs(_: State) -> Steering:
    while True:
        time.sleep(1)


@steered
def hangs_with_the_gil(_: State) -> Steering:
    ctypes.PyDLL(None).sleep(1000)  # C code that never lets go of it
    return Steering()


@steered
def dies(_: State) -> Steering:
    os._exit(7)


def no_controller(_: State) -> None:
    """Without ranges."""
