"""The report page of a run, and of two runs side by side.

Invariants:

* Everything comes from what a run has written: reports, dropped documents with rule and value, shards, markers, logs. A report
  changes nothing in a run's folder but the page itself, and needs no network.
* Cost is bounded. Counts are the run's own and exact. What needs single documents (values, hosts, samples) is read from at most
  `parts.MOST_DOCUMENTS` documents of evenly spaced shards, and the page says so.
* Text from data is shortened, made printable (`goldwash.text_output`) and escaped by the template; it is never markup.
"""
