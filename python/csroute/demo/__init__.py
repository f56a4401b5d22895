"""The demo: the Double-11 night through real gRPC, from client processes against a server of their own.

    csroute demo --seconds 10 --json demo.json

Two halves, never mixed, since people cannot serve a million tickets a minute: *routing throughput*, with agents who
complete at once; and *service levels*, 00:00–00:15 with people who need their time, at most 60 times faster than life.
Every client process keeps a ledger; in the end the ledgers are compared with the server's word, ticket by ticket.

`plan` says what will be played, `play` and `conduct` play it, `crew` and `child` are the two ends of a client process,
`throughput` and `night` are what those do, `ledger` the reckoning, `figures` the measuring, `screen` what one sees.
"""
