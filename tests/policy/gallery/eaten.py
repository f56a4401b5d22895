"""A reserve that opens for one queue, and that ordinary tickets may use up.

Says:
16: warning: Who.everyone: reserves: spare opens for Who.vip, and tickets of Who.everyone can use it up: take it from Who.everyone, or measure all that name it, without of=
"""

from tests.policy.gallery.shop import *


class Reserves:
    spare = Reserve(S.spare, open=oldest_wait(over=seconds(60), until=seconds(20), of=lambda: [Who.vip]))


class Who(Layer):
    vip: Rule = Rule(VIP, needs=S.senior, reserves=[Reserves.spare])
    everyone = Otherwise(needs=S.general, reserves=[Reserves.spare])


policy = Policy("shop", layers=[Who], reserves=Reserves, **SHOP)
