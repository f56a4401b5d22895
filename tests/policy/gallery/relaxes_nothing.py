"""A step that asks for more, not for less.

Says:
11: warning: Who.everyone: steps[0]: needs: it relaxes nothing: whoever meets general>=2 met general | parcels before: widen it, or leave it out
"""

from tests.policy.gallery.shop import *


class Who(Layer):
    everyone = Otherwise(needs=S.general | S.parcels, steps=[After(seconds(30), needs=S.general.at_least(2))])


policy = Policy("shop", layers=[Who], **SHOP)
