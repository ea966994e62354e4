"""Pages of our own with known text and every kind of container: the part of the quality gate that runs everywhere."""

from tests.extraction import Known

PARAGRAPHS = (
    "The river bends twice below the old bridge, and in each bend the water slows enough to let go of what it carries.",
    "Sand falls first, then gravel, and the heaviest grains of all lie under both of them, close to the rock of the bed.",
    "Whoever wants to find them has to know where the water was slow a hundred years ago, and seldom where it is slow now.",
    "The surveyors measured the depth of the gravel every spring, and wrote the results down in tables like the next one.",
)
ROWS = (("Year", "Depth in feet", "Ounces found"), ("1897", "12", "310"), ("1898", "", "1,204"), ("1899", "17", "96"))
CODE = "def worth(ounces, price):\n    if ounces < 0:\n        raise ValueError(ounces)\n    return ounces * price"
ITEMS = (
    "Fill the pan with gravel and water.",
    "Shake it until the heavy grains sink.",
    "Let the light sand wash over the rim.",
)
FORMULA = r"v = \sqrt{2gh}"
COMMENTS = (
    "I panned there last summer and found two flakes in a week.",
    "The bridge was closed when we came there last year.",
    "Thank you for this article, which I enjoyed.",
)
MENU = ("Home", "News", "Maps", "Shop", "About us", "Contact", "Sign in")
LAYOUTS = (
    "<header><nav><ul>{menu}</ul></nav></header><main><article>{article}</article></main><footer>{foot}</footer>",
    '<div id="nav"><ul>{menu}</ul></div><div class="content post">{article}</div><div class="footer">{foot}</div>',
    '<div class="wrapper"><div class="sidebar"><ul>{menu}</ul></div><div class="entry">{article}</div></div><div>{foot}</div>',
    '<nav role="navigation"><ul>{menu}</ul></nav><section class="main">{article}</section><div id="footer">{foot}</div>',
    '<div class="menu">{links}</div><div class="article-body">{article}</div><div class="copyright">{foot}</div>',
)


def made_pages() -> list[Known]:
    """A page per layout; comments are not part of the known text, and neutral."""
    rows = "".join(
        "<tr>" + "".join(f"<{'td' if n else 'th'}>{cell}</{'td' if n else 'th'}>" for cell in row) + "</tr>"
        for n, row in enumerate(ROWS)
    )
    article = (
        f"<h1>Where the river leaves its gold</h1><p>{PARAGRAPHS[0]}</p><p>{PARAGRAPHS[1]}</p><p>{PARAGRAPHS[3]}</p>"
        f"<table>{rows}</table><p>{PARAGRAPHS[2]}</p><ol>{''.join(f'<li>{item}</li>' for item in ITEMS)}</ol>"
        f"<p>{PARAGRAPHS[0]}</p><pre><code>{CODE}</code></pre><p>{PARAGRAPHS[1]} "
        f'<math><semantics><mi>v</mi><annotation encoding="application/x-tex">{FORMULA}</annotation></semantics></math></p>'
    )
    truth = [
        "Where the river leaves its gold", PARAGRAPHS[0], PARAGRAPHS[1], PARAGRAPHS[3], *(" ".join(row) for row in ROWS),
        PARAGRAPHS[2], *ITEMS, PARAGRAPHS[0], CODE, PARAGRAPHS[1], FORMULA,
    ]  # fmt: skip
    thread = "".join(f'<li class="comment"><b>Reader {n}</b><p>{text}</p></li>' for n, text in enumerate(COMMENTS, 1))
    menu = "".join(f'<li><a href="/{n}">{name}</a></li>' for n, name in enumerate(MENU))
    links = " ".join(f'<a href="/{n}">{name}</a>' for n, name in enumerate(MENU))
    foot = 'Copyright 2026 <a href="/terms">Terms of use</a> <a href="/privacy">Privacy</a>'
    neutral = " ".join(f"Reader {n} {text}" for n, text in enumerate(COMMENTS, 1)) + " 1 2 3"
    pages = []
    for layout in LAYOUTS:
        body = layout.format(menu=menu, links=links, article=article, foot=foot)
        body = body.replace("<footer>", f'<ol class="commentlist">{thread}</ol><footer>')
        html = f"<!doctype html><html><head><title>Gold</title></head><body>{body}</body></html>"
        pages.append(Known("made", html, "\n".join(truth), neutral=neutral))
    return pages
