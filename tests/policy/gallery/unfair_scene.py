"""Fair in the calm, and not in one scene.

Says:
23: scene gala: fairness: Rank.vip can go before a plain ticket that came 10 min earlier; promised is 4 min at most: lower head starts, fits and boosts, or promise less
"""

from tests.policy.gallery.shop import *


class Who(Layer):
    everyone = Otherwise(needs=S.general)


class Rank(Layer):
    vip = Rule(VIP, head_start=minutes(3))
    ordinary = Otherwise()


class Scenes:
    gala = Scene(change(Rank.vip, head_start=minutes(10)))


policy = Policy("shop", layers=[Who, Rank], scenes=Scenes, fairness=Fairness(overtaken_max=minutes(4)), **SHOP)
