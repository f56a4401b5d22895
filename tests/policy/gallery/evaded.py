"""A guard that a missing value evades.

Says:
15: warning: Guard.parcels: needs: it is not asked where Ticket.topic is missing: say what holds then, by a rule with Ticket.topic.missing()
"""

from tests.policy.gallery.shop import *


class Who(Layer):
    everyone = Otherwise(needs=S.general)


class Guard(Layer):
    parcels = Rule(PARCEL, needs=S.parcels)
    everyone = Otherwise()


policy = Policy("shop", layers=[Who, Guard], **SHOP)
