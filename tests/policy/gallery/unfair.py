"""Head starts that add up to more than is promised.

Says:
20: fairness: Rank.vip + Rank.parcels can go before a plain ticket that came 5 min earlier; promised is 4 min at most: lower head starts, fits and boosts, or promise less
"""

from tests.policy.gallery.shop import *


class Who(Layer):
    everyone = Otherwise(needs=S.general)


class Rank(Layer, every=True):
    vip = Rule(VIP, head_start=minutes(3))
    parcels = Rule(PARCEL, head_start=minutes(2))
    ordinary = Otherwise()


policy = Policy("shop", layers=[Who, Rank], fairness=Fairness(overtaken_max=minutes(4)), **SHOP)
