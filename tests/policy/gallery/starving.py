"""Tickets that grow more urgent at different speeds.

Says:
11: warning: Who.vip: slope: slopes differ between tickets, so that in overload the flatter ones can wait without end: head starts bound how long anyone is overtaken
"""

from tests.policy.gallery.shop import *


class Who(Layer):
    vip = Rule(VIP, needs=S.general, urgency=weighted(3))
    everyone = Otherwise(needs=S.general)


policy = Policy("shop", layers=[Who], **SHOP)
