"""A goal that asks less than the target.

Says:
12: warning: goal most: reply within 10 min for 90 % asks less than the clock's own targets do, at most 3 min: a goal is at most its clock's target
"""

from tests.policy.gallery.shop import *


class Promises:
    reply = Clock(starts="arrival", stops="first_reply")
    most = Goal(reply, share=0.9, within=minutes(10))


class Who(Layer):
    everyone = Otherwise(needs=S.general, clocks=[Promises.reply.within(minutes(3))])


policy = Policy("shop", layers=[Who], **(SHOP | {"clocks": Promises}))
