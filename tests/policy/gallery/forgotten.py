"""An owner remembered, of a customer whom nobody names.

Says:
11: Who.everyone: affinity: owner: customers are remembered: declare `customer: Attr[str] = optional()` in Ticket
"""

from tests.policy.gallery.shop import *


class Who(Layer):
    everyone = Otherwise(needs=S.general, affinity=Affinity(seconds(15), owner=hours(24)))


policy = Policy("shop", layers=[Who], **SHOP)
