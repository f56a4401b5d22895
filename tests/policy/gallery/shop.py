"""What the wrong policies beside this one have in common. Nothing is wrong with it."""

from typing import Any, Literal

from csroute.policy import *


class Ticket(Attributes):
    channel: Attr[Literal["chat", "phone"]]
    topic: Detected[Literal["order", "parcel"]] = detected(at=0.6)
    tier: Attr[Literal["vip", "ordinary"]] = optional()
    merchant: Attr[str] = optional()


class S(Skills):
    general: Skill
    parcels: Skill
    senior: Skill
    spare: Skill


class Clocks:
    legal = Clock(starts="arrival", stops="first_reply", hard=True)
    reply = Clock(starts="arrival", stops="first_reply")
    talk = Clock(starts="assignment", stops="completion")


PARCEL = Ticket.topic.is_("parcel")
VIP = Ticket.tier.is_("vip")
SHOP: dict[str, Any] = {
    "attributes": Ticket,
    "skills": S,
    "clocks": Clocks,
    "channels": {"chat": Channel(cost=20, limit=5), "phone": Channel(cost=100, limit=1)},
}
