"""Two targets for one moment: which wins?

Says:
11: warning: Who.parcels: clocks: reply: 5 min against 3 min of legal (Law.everyone), which is hard and wins: give reply 3 min or less, or turn one of them off
"""

from tests.policy.gallery.shop import *


class Who(Layer):
    parcels = Rule(PARCEL, needs=S.parcels, clocks=[Clocks.reply.within(minutes(5))])
    everyone = Otherwise(needs=S.general)


class Law(Layer):
    everyone = Otherwise(clocks=[Clocks.legal.within(minutes(3))])


policy = Policy("shop", layers=[Who, Law], **SHOP)
