"""The built-in sample crawl."""
