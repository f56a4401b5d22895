"""A condition that cannot end.

Says:
11: Who.everyone: overlays[0]: it is on from 100, and off only at 100: let `until` be less than `over`, so that it can end
"""

from tests.policy.gallery.shop import *


class Who(Layer):
    everyone = Otherwise(
        needs=S.general, overlays=[While(queue_length(over=100, until=100), needs=S.general | S.parcels)]
    )


policy = Policy("shop", layers=[Who], **SHOP)
