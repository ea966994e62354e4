"""The robots whose rules count as a word about training, and who runs them.

Invariants: crawlers that fetch pages to train language models, and names that exist only to refuse that; not crawlers of search
engines, nor of assistants that fetch a page for one user. The list is a default: recipes may give their own.
"""

AGENTS: dict[str, str] = {
    "CCBot": "Common Crawl, https://commoncrawl.org/ccbot",
    "GPTBot": "OpenAI, https://platform.openai.com/docs/bots",
    "Google-Extended": "Google, https://developers.google.com/search/docs/crawling-indexing/google-common-crawlers",
    "anthropic-ai": "Anthropic, in use until 2024",
    "ClaudeBot": "Anthropic, https://support.anthropic.com/articles/8896518",
    "Applebot-Extended": "Apple, https://support.apple.com/119829",
    "Bytespider": "ByteDance",
    "meta-externalagent": "Meta, https://developers.facebook.com/docs/sharing/webmasters/web-crawlers",
    "FacebookBot": "Meta, the same page, for speech and language models",
    "cohere-training-data-crawler": "Cohere",
    "AI2Bot": "Allen Institute for AI, https://allenai.org/crawler",
    "Diffbot": "Diffbot, https://docs.diffbot.com",
    "omgili": "Webz.io, https://webz.io/bot.html",
    "Timpibot": "Timpi",
    "PanguBot": "Huawei",
}
"""Robots by name, each with its operator and, where there is one, the page that describes it. Names as in the list that
https://github.com/ai-robots-txt/ai.robots.txt keeps."""
