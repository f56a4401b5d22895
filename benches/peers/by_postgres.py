"""The reduced work by Postgres 15: two PL/pgSQL functions, each taking a block a call and a transaction, SKIP LOCKED.

What waits is found by a partial index over (class, due, id), with a lateral look at each of the agent's skills; who is
free by an index over since when. One connection, so that the order is the order sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from benches.peers.reduced import Block, World
    from benches.peers.servers import Psql

__all__ = ["Postgres"]

_SCHEMA = """
create table agent (id int primary key, skills int[] not null, freed bigint);
create index agent_free on agent (freed, id) where freed is not null;
create table ticket (id bigint primary key, class int not null, due bigint not null, agent int, waits boolean not null);
create index ticket_waits on ticket (class, due, id) where waits;

create function submit(ids bigint[], classes int[], dues bigint[])
  returns table (t bigint, a int) language plpgsql as $$
begin
  for i in 1 .. array_length(ids, 1) loop
    select id into a from agent where freed is not null and classes[i] = any(skills)
      order by freed, id limit 1 for update skip locked;
    insert into ticket values (ids[i], classes[i], dues[i], a, a is null);
    if a is not null then
      update agent set freed = null where id = a;
      t := ids[i];
      return next;
    end if;
  end loop;
end $$;

create function complete(ids bigint[], at_us bigint) returns table (t bigint, a int) language plpgsql as $$
declare who agent;
begin
  for i in 1 .. array_length(ids, 1) loop
    delete from ticket where id = ids[i] returning agent into a;
    select * into who from agent where id = a;
    select head.id into t from unnest(who.skills) as skill cross join lateral (
        select id, due from ticket where waits and class = skill order by due, id limit 1 for update skip locked
      ) as head order by head.due, head.id limit 1;
    if t is not null then
      update ticket set agent = a, waits = false where id = t;
      return next;
    else
      update agent set freed = at_us where id = a;
    end if;
  end loop;
end $$;
"""


class Postgres:
    """One connection at a time."""

    def __init__(self, psql: Psql, world: World) -> None:
        self._psql = psql
        agents = enumerate(world.skills_of())
        rows = ",".join(f"({agent},'{{{','.join(map(str, skills))}}}',0)" for agent, skills in agents)
        psql(_SCHEMA + f"insert into agent values {rows}; analyze agent;")

    def prepare(self, blocks: Iterable[Block], file: Path) -> Path:
        """A script of these blocks: a call and a transaction each."""
        file.write_text("\n".join(map(_statement, blocks)))
        return file

    def run(self, script: Path) -> list[tuple[int, int]]:
        """Who got what."""
        lines: Sequence[str] = self._psql.run(script).split()
        return [(int(ticket), int(agent)) for ticket, agent in (line.split("|") for line in lines)]


def _statement(block: Block) -> str:
    def column(values: Iterable[int]) -> str:
        return "'{" + ",".join(map(str, values)) + "}'"

    tickets = column(item.ticket for item in block.items)
    if block.kind == "complete":
        return f"select * from complete({tickets}, {block.now_us});"
    kinds, dues = column(item.kind for item in block.items), column(item.due_us for item in block.items)
    return f"select * from submit({tickets}, {kinds}, {dues});"
