"""A fuzz over every public door of fastnn: mostly valid calls with one or two odd arguments.

``python -m tests.fuzz --minutes 10`` runs it, ``python -m tests.fuzz --seed N`` replays a case.

* `odd`: the odd values, each with what must become of it
* `doors`, `estimators`, `files`: valid calls, drawn from a seed
* `judge`: runs a case on each engine and says what is wrong with what came
* `driver`: the process that runs cases, and the one that watches it for crashes and hangs
"""
