"""The wire in Python: generated from `protos/csroute/v1` by `scripts/gen_protos.py`, one module a .proto file.

>>> from csroute.v1 import ticket_pb2
>>> ticket_pb2.TicketState.Name(ticket_pb2.TICKET_STATE_WAITING)
'TICKET_STATE_WAITING'
"""
