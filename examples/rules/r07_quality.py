"""R7: a dispute about quality goes to an inspector, or the brand's own expert."""

from csroute import AgentSpec, Router
from csroute import Ticket as New
from csroute.policy import *
from csroute.presets.double11 import CHANNELS, Ticket


class S(Skills):
    inspector: Skill
    general: Skill
    brand: Family[str] = family(keys_max=500)  # any brand; so many at most


class Maker(Ticket):
    brand: Attr[str] = optional()


class Who(Layer):
    branded = Rule(Ticket.topic.is_("quality") & Maker.brand.present(), needs=S.inspector | S.brand[Maker.brand])
    quality = Rule(Ticket.topic.is_("quality"), needs=S.inspector)
    general = Otherwise(needs=S.general)


policy = Policy("r07", attributes=Maker, skills=S, layers=[Who], channels=CHANNELS)
policy.case(Maker(channel="chat", topic="quality", brand="acme")).gets(Who.branded)


def play(router: Router) -> None:
    router.upsert_agents([AgentSpec("zeta", skills={"brand[zeta]": 1}), AgentSpec("acme", skills={"brand[acme]": 1})])
    router.login("desk", "zeta")
    router.login("desk", "acme")
    assert router.route(New("t1", "chat", attributes={"topic": "quality", "brand": "acme"})).agent == "acme"
