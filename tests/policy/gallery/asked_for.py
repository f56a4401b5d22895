"""A rule that asks for the very agents that a reserve keeps from it.

Says:
20: warning: Rank.parcels: needs: it asks for spare, which the reserve spare keeps from its tickets: name the reserve, like reserves=[spare], or ask for somebody else
"""

from tests.policy.gallery.shop import *


class Reserves:
    spare = Reserve(S.spare, open=queue_length(over=100, until=50))


class Who(Layer):
    vip = Rule(VIP, needs=S.senior, reserves=[Reserves.spare])
    everyone = Otherwise(needs=S.general)


class Rank(Layer):
    parcels = Rule(PARCEL, steps=[After(minutes(1), needs=S.spare)])
    unsure = Rule(Ticket.topic.missing())
    everyone = Otherwise()


policy = Policy("shop", layers=[Who, Rank], reserves=Reserves, **SHOP)
