"""Two scenes that say different things of one rule.

Says:
16: warning: scene crisis: surge changes needs of Who.everyone too; while both are on, this one wins
"""

from tests.policy.gallery.shop import *


class Who(Layer):
    everyone = Otherwise(needs=S.general)


class Scenes:
    surge = Scene(change(Who.everyone, needs=S.general | S.parcels))
    crisis = Scene(change(Who.everyone, needs=S.senior, cost=50))


policy = Policy("shop", layers=[Who], scenes=Scenes, **SHOP)
