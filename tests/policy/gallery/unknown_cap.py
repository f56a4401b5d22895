"""A cap for a value that there is not.

Says:
15: limits: caps[0]: Ticket.tier is never 'gold': it is one of vip, ordinary
"""

from tests.policy.gallery.shop import *


class Who(Layer):
    everyone = Otherwise(needs=S.general)


CAPS = [Cap(Ticket.tier, waiting_max=1000, of={"gold": 5000})]
policy = Policy("shop", layers=[Who], limits=Limits(caps=CAPS), **SHOP)
