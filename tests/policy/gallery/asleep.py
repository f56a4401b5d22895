"""A dormant rule that no scene wakes.

Says:
11: Who.crisis: it is dormant, and no scene wakes it: wake it in a scene, or leave out dormant=True
"""

from tests.policy.gallery.shop import *


class Who(Layer):
    crisis = Rule(PARCEL, needs=S.senior, dormant=True)
    everyone = Otherwise(needs=S.general)


policy = Policy("shop", layers=[Who], **SHOP)
