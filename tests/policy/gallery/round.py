"""Moves that come round.

Says:
12: Who.vip: steps[0]: move: moves come round: Who.vip → Who.parcels → Who.vip: let one of them end it
13: Who.parcels: steps[0]: move: moves come round: Who.parcels → Who.vip → Who.parcels: let one of them end it
"""

from tests.policy.gallery.shop import *


class Who(Layer):
    vip = Rule(VIP, needs=S.senior, steps=[After(seconds(30), move=lambda: Who.parcels)])
    parcels: Rule = Rule(PARCEL, needs=S.parcels, steps=[After(seconds(60), move=vip)])
    everyone = Otherwise(needs=S.general)


policy = Policy("shop", layers=[Who], **SHOP)
