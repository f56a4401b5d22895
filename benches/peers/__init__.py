"""The same matching by others, for scale: Redis with Lua, Postgres with SKIP LOCKED, heapq in pure Python.

What all of them do, and csroute with a policy that says the same (`reduced.py`):

- A ticket has an id, a class and a due time; a class needs one skill; an agent has a set of skills, and one ticket at
  a time.
- A new ticket goes to the agent free longest among those with the skill (of two free since one time, the one that came
  first); else it waits.
- An agent that completes gets, of what waits for any of its skills, the ticket due first, then the one that came first.
- In a batch, one command after the other; each is answered with who got which ticket.

What csroute does besides, and nobody here asks of the peers: ids that may be sent again, offers, clocks that warn and
breach, events, steps, limits, presence, reasons. Each peer listens on a unix socket; `servers.py` starts and stops it.
"""
