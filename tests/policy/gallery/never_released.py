"""A reserve that no rule names.

Says:
11: reserve spare: it is never released: no rule names it, so that nobody ever gets these agents: name it, like reserves=[spare], in a rule or in the defaults
"""

from tests.policy.gallery.shop import *


class Reserves:
    spare = Reserve(S.spare, open=oldest_wait(over=seconds(60), until=seconds(20)))


class Who(Layer):
    everyone = Otherwise(needs=S.general)


policy = Policy("shop", layers=[Who], reserves=Reserves, **SHOP)
