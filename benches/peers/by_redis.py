"""The reduced work by Redis 7: two Lua scripts, each taking many commands a call; sent as bytes made before the clock.

Keys: `wait:skill` a sorted set by due time; `free:skill` one of agents, by since when (whoever is busy by now is passed
over: cheaper than taking an agent out of each of its sets); `free` a set, `hold` a hash, `skills:agent` a list.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from benches.peers.reduced import Block, World

__all__ = ["Redis"]

_SUBMIT = """
local matches = {}
for i = 1, #ARGV, 3 do
  local ticket, skill, got = ARGV[i], ARGV[i + 1], false
  while not got do
    local agent = redis.call('ZPOPMIN', 'free:' .. skill)[1]
    if not agent then break end
    if redis.call('SREM', 'free', agent) == 1 then
      redis.call('HSET', 'hold', ticket, agent)
      matches[#matches + 1] = ticket
      matches[#matches + 1] = agent
      got = true
    end
  end
  if not got then redis.call('ZADD', 'wait:' .. skill, ARGV[i + 2], ticket) end
end
return matches
"""
_COMPLETE = """
local matches = {}
for i = 2, #ARGV do
  local agent = redis.call('HGET', 'hold', ARGV[i])
  redis.call('HDEL', 'hold', ARGV[i])
  local skills = redis.call('LRANGE', 'skills:' .. agent, 0, -1)
  local best, due, from
  for _, skill in ipairs(skills) do
    local head = redis.call('ZRANGE', 'wait:' .. skill, 0, 0, 'WITHSCORES')
    if head[1] then
      local at = tonumber(head[2])
      if not best or at < due or (at == due and head[1] < best) then best, due, from = head[1], at, skill end
    end
  end
  if best then
    redis.call('ZREM', 'wait:' .. from, best)
    redis.call('HSET', 'hold', best, agent)
    matches[#matches + 1] = best
    matches[#matches + 1] = agent
  else
    redis.call('SADD', 'free', agent)
    for _, skill in ipairs(skills) do redis.call('ZADD', 'free:' .. skill, ARGV[1], agent) end
  end
end
return matches
"""


def _command(*parts: str) -> bytes:
    encoded = [part.encode() for part in parts]
    return b"*%d\r\n" % len(encoded) + b"".join(b"$%d\r\n%b\r\n" % (len(part), part) for part in encoded)


class Redis:
    """One connection, pipelined."""

    def __init__(self, path: Path, world: World) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(str(path))
        self._in = self._socket.makefile("rb")
        self._scripts = {
            "submit": str(self._ask("SCRIPT", "LOAD", _SUBMIT)),
            "complete": str(self._ask("SCRIPT", "LOAD", _COMPLETE)),
        }
        for agent, skills in enumerate(world.skills_of()):
            self._ask("RPUSH", f"skills:{agent:06d}", *map(str, skills))
            self._ask("SADD", "free", f"{agent:06d}")
            for skill in skills:
                self._ask("ZADD", f"free:{skill}", "0", f"{agent:06d}")

    def close(self) -> None:
        """Ends the connection."""
        self._in.close()
        self._socket.close()

    def requests(self, block: Block, size: int) -> list[bytes]:
        """A block as script calls of at most so many commands."""
        return [
            _command("EVALSHA", self._scripts[block.kind], "0", *_arguments(block, at, size))
            for at in range(0, len(block.items), size)
        ]

    def run(self, requests: Sequence[bytes], in_flight: int) -> list[tuple[int, int]]:
        """Sends all, so many calls under way at a time; who got what."""
        sent = answered = 0
        matches: list[tuple[int, int]] = []
        while answered < len(requests):
            if sent - answered <= in_flight // 2 and sent < len(requests):
                many = requests[sent : answered + in_flight]
                self._socket.sendall(b"".join(many))
                sent += len(many)
            reply = self._reply()
            answered += 1
            if not isinstance(reply, list):
                raise TypeError(f"Redis said {reply!r}")
            matches += [(int(str(reply[at])), int(str(reply[at + 1]))) for at in range(0, len(reply), 2)]
        return matches

    def _ask(self, *parts: str) -> object:
        self._socket.sendall(_command(*parts))
        return self._reply()

    def _reply(self) -> object:
        line = self._in.readline()
        kind, rest = line[:1], line[1:-2]
        if kind == b"*":
            return [self._reply() for _ in range(int(rest))]
        if kind == b"$":
            text = self._in.read(int(rest) + 2)[:-2]
            return text.decode()
        if kind == b"-":
            raise RuntimeError(f"Redis said {rest.decode()}")
        return rest.decode()


def _arguments(block: Block, at: int, size: int) -> Iterator[str]:
    if block.kind == "complete":
        yield str(block.now_us)
    for item in block.items[at : at + size]:
        yield f"{item.ticket:012d}"
        if block.kind == "submit":
            yield str(item.kind)
            yield str(item.due_us)


def all_requests(redis: Redis, blocks: Iterable[Block], size: int) -> list[bytes]:
    """Of several blocks."""
    return [request for block in blocks for request in redis.requests(block, size)]
