"""A step at a clock that starts when somebody has the ticket.

Says:
11: warning: Who.everyone: steps[0]: talk starts at assignment, and steps are taken by tickets that wait: take a clock that starts on arrival, or an age
"""

from tests.policy.gallery.shop import *


class Who(Layer):
    everyone = Otherwise(
        needs=S.general, clocks=[Clocks.talk.within(minutes(20))], steps=[At(Clocks.talk, 0.5, alert="lead")]
    )


policy = Policy("shop", layers=[Who], **SHOP)
