"""A class that nobody in the roster can ever serve.

Says:
13: warning: Who.vip: nobody in the roster can ever serve vip@chat and 1 more: nobody has senior>=3
17: warning: channel phone: a phone ticket costs 100 units, and all who take it are open for chat too: one kept busy with those never has so many free: give phone seats of its own
"""

from csroute import AgentSpec
from tests.policy.gallery.shop import *


class Who(Layer):
    vip = Rule(VIP, needs=S.senior.at_least(4), steps=[After(seconds(30), needs=S.senior.at_least(3))])
    everyone = Otherwise(needs=S.general)


policy = Policy("shop", layers=[Who], **SHOP)
roster = [AgentSpec("ana", skills={"general": 3}), AgentSpec("bo", skills={"general": 1, "senior": 2})]
