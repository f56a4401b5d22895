"""A warning after its deadline.

Says:
11: Who.everyone: clocks: reply: its warning at 1 min 30 s is not before its deadline, 1 min: warn earlier
"""

from tests.policy.gallery.shop import *


class Who(Layer):
    everyone = Otherwise(needs=S.general, clocks=[Clocks.reply.within(minutes(1), warn=[seconds(90)])])


policy = Policy("shop", layers=[Who], **SHOP)
