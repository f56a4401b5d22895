"""A rule behind a wider one.

Says:
12: Who.vip_parcels: it never applies: where it holds, Who.vip does, above it: move it up
"""

from tests.policy.gallery.shop import *


class Who(Layer):
    vip = Rule(VIP, needs=S.senior)
    vip_parcels = Rule(VIP & PARCEL, needs=S.parcels)
    everyone = Otherwise(needs=S.general)


policy = Policy("shop", layers=[Who], **SHOP)
