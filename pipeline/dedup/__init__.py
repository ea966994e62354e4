"""What has been seen before: filters and signatures over hashes.

Law: pure; arrays in, arrays out.
"""
