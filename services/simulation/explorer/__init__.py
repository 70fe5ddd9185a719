"""Every interleaving of small worlds, with the services' own code: `enroll explore`.

A world is a few requests for a few seats. A state of it is how far those outside have published,
what each of the three databases holds, what is yet to be read of each partition, and whether the
fault may still strike. A step is one transaction of one service: its own decoding, reactions,
decisions, relay, deadlines and dead letters, on the simulated database. Every step from every
state is taken, each state is visited once, the nearest first; so what is wrong is told by a
shortest story.

Judged are every commit (the oracle of the simulator, and judging.py), every state (whoever is
confirmed has a claim and seats), and every state at rest, where nothing need happen any more
(resting.py). That all comes to rest is judged too: whatever must happen brings something nearer to
its end (Member, _is_progress), so that only worlds with states without end could go on for ever,
and these are never complete.

A crash strikes at every await of a transaction and of the relay: before the commit, after it,
between publishing and deleting; or else the commit's answer is lost. What else may strike is in
configuration.py, one kind in a configuration.

What is left out, since it comes to what is explored anyway; `is_reduced` turns most of it off,
and test_explorer.py and test_explorer_bugs.py compare:

- Contents are brought into one form (contents.py): numbers in the outbox and ids of events are
  only ever compared with each other. What comes first is kept, and how often each thing was said.
- What a transaction does depends on the contents and its messages alone, for the services keep
  nothing else; so it is run once for both. Time stands still; all that ever passes is a deadline.
- A step that leads where another one leads is not taken, if the other costs no fault that it does
  not, and must happen if it must: whatever follows it, follows the other.
- Batches have at most 2 messages, 4 in small worlds. Larger ones lead nowhere else: in the small
  worlds the states are the same for 1, 2 and 4.
- Where nobody crashes, a relay publishes one row at a time. To publish two is to do so twice.
- Two transactions at once (rivals.py) go through every order of their statements, but for what
  follows where both stand as they stood before. What one after the other comes to as well is left
  out, and nothing else than that comes of two processes: the states are the same without them. So
  all other faults strike one transaction at a time. A replay beside a batch may come to something
  else: what the batch parks behind the dead letter stays parked, and must be replayed as well.

What is not explored here: the consumer (its assignments, what it reads ahead), the worker's
retries, the SQL, a number of the outbox that is taken before another and committed after it, two
relays, a crash of the database, what cannot be read, and whatever a process remembers. The
simulator runs all of that but the SQL, which the services' own tests run on PostgreSQL; the
contract tests hold the simulated database against the real one, its locks above all.
"""
