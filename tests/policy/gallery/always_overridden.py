"""A target that another layer always beats.

Says:
11: warning: Who.parcels: clocks: reply: 5 min never counts: every rule of Promise sets reply anew, or shorter: remove it
"""

from tests.policy.gallery.shop import *


class Who(Layer):
    parcels = Rule(PARCEL, needs=S.parcels, clocks=[Clocks.reply.within(minutes(5))])
    everyone = Otherwise(needs=S.general)


class Promise(Layer):
    vip = Rule(VIP, clocks=[Clocks.reply.within(minutes(1))])
    everyone = Otherwise(clocks=[Clocks.reply.within(minutes(3))])


policy = Policy("shop", layers=[Who, Promise], **SHOP)
