"""From bytes to pages: archives to records, records to HTTP responses.

Invariants: nothing here opens a file or imports a stage; functions take streams or bytes and return values.
"""
