"""A ticket that costs all of an agent whom cheaper ones keep busy.

Says:
15: warning: channel phone: a phone ticket costs 100 units, and all who take it are open for chat too: one kept busy with those never has so many free: give phone seats of its own
"""

from csroute import AgentSpec
from tests.policy.gallery.shop import *


class Who(Layer):
    everyone = Otherwise(needs=S.general)


policy = Policy("shop", layers=[Who], **SHOP)
roster = [AgentSpec("ana", skills={"general": 3}), AgentSpec("bo", skills={"general": 1})]
