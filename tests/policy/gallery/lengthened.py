"""A scene that lengthens what the law caps.

Says:
19: scene failure: Law.everyone: clocks: legal is hard, 3 min by Law.everyone, and the scene makes it 30 min: keep legal at 3 min or less
"""

from tests.policy.gallery.shop import *


class Who(Layer):
    everyone = Otherwise(needs=S.general)


class Law(Layer):
    everyone = Otherwise(clocks=[Clocks.legal.within(minutes(3))])


class Scenes:
    failure = Scene(change(Law.everyone, clocks=[Clocks.legal.within(minutes(30))]))


policy = Policy("shop", layers=[Who, Law], scenes=Scenes, **SHOP)
