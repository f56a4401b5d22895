"""A case that a scene breaks.

Says:
22: case Ticket(channel='chat', topic='parcel'): it does not get Who.parcels; it gets Who.crisis
"""

from tests.policy.gallery.shop import *


class Who(Layer):
    crisis = Rule(PARCEL, needs=S.senior, dormant=True)
    parcels = Rule(PARCEL, needs=S.parcels)
    everyone = Otherwise(needs=S.general)


class Scenes:
    crisis = Scene(wake(Who.crisis))


policy = Policy("shop", layers=[Who], scenes=Scenes, **SHOP)
policy.case(Ticket(channel="chat", topic="parcel")).gets(Who.parcels)
policy.case(Ticket(channel="chat", topic="parcel"), under=[Scenes.crisis]).gets(Who.parcels)
