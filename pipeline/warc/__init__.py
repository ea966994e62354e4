"""From bytes to text: archives to records, records to pages, pages to text.

Law: pure. Nothing here opens a file or knows of stages; streams come in, values go out.
"""
