"""The content of the sample crawl's pages: prose, languages and HTML layouts.

Invariants: every text comes from the word lists below, written for this file, or from docstrings of the standard library. Every
choice comes from the `Random` that is passed in. Nothing here knows about archives or fates. The texts are data: an edit of one
changes the sample's bytes.

A `Deck` fills a template's slots (``{thing}``, ``{place}``, ...) and deals no card twice before all are dealt, because the
repetition rules drop pages that repeat their phrases. Templates have at most eight words between two slots, so that two pages
share few 13-grams.
"""

# ruff: noqa: E501 -- lists of words and questions in wide lines; Greek and Turkish letters that look like Latin ones

import importlib
import inspect
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from html import escape
from random import Random
from types import ModuleType

Headers = tuple[tuple[str, str], ...]
Section = tuple[str, tuple[str, ...]]
Layout = Callable[[str, str, str, Random], str]


@dataclass(frozen=True)
class Page:
    """A response of the sample crawl, with the fate that the baseline recipe gives it."""

    url: str
    html: bytes
    kind: str
    fate: str
    headers: Headers
    status: int = 200


@dataclass(frozen=True)
class Topic:
    """The vocabulary of one subject. A fact has four parts: observation, reason, consequence, comparison."""

    things: tuple[str, ...]
    verbs: tuple[str, ...]
    people: tuple[str, ...]
    places: tuple[str, ...]
    facts: tuple[tuple[str, str, str, str], ...]


def cards(text: str) -> tuple[str, ...]:
    """The parts of a text between bars."""
    return tuple(card.strip() for card in text.replace("\n", " ").split("|"))


def _topic(things: str, verbs: str, people: str, places: str, facts: str) -> Topic:
    rows = [line.strip().split("|") for line in facts.strip().splitlines()]
    return Topic(cards(things), cards(verbs), cards(people), cards(places), tuple((a, b, c, d) for a, b, c, d in rows))


def _exam(text: str) -> list[tuple[str, ...]]:
    return [tuple(line.strip().split("|")) for line in text.strip().splitlines()]


TOPICS = {
    "cooking": _topic(
        "cast iron pan|sourdough loaf|lemon tart|vegetable stock|bread knife|pasta machine|spice rack|apple crumble|pepper mill"
        "|roasting tin|lentil soup|copper kettle|fish stew|pastry brush",
        "taste|season|heat|chop up|serve|set aside|weigh|stir",
        "the pastry chef|an old baker|my grandmother|the fishmonger|a food critic|our head cook|the cheese maker",
        "a tiny kitchen in Porto|the covered market|a farmhouse near Siena|the harbour canteen|a bakery in Leeds|the street stalls",
        """bread dough rises|yeast turns sugar into bubbles of gas|the crumb becomes light and soft|a balloon that fills slowly
        fried onions taste sweet|gentle heat breaks starch into sugar|the sharp smell fades away|a lock that warmth can open
        egg whites turn stiff|beating unfolds the proteins inside them|air is trapped in a fine net|a fence built from loose wire
        salt keeps meat fresh|it draws water out of every cell|bacteria can no longer grow|a sponge wrung out by hand
        sauces become thick|starch grains swell in hot water|the liquid flows more slowly|a crowd that fills a corridor""",
    ),
    "gardening": _topic(
        "compost heap|greenhouse|rose bush|watering can|raised bed|apple tree|bean row|garden fork|herb pot|clay pond|seed tray"
        "|ivy wall|potting shed|pumpkin patch",
        "water|prune|dig over|plant out|mulch|weed|shade|label",
        "the head gardener|my neighbour|a retired botanist|the nursery owner|our allotment club|a keen beekeeper",
        "a walled garden in Kent|the north terrace|a sunny balcony|the village allotments|a slope above the river|the old orchard",
        """leaves are green|chlorophyll reflects the green part of light|plants use the red and blue rest|a painter who skips one colour
        roots grow downwards|special cells sense the pull of gravity|the plant finds water and a firm hold|a plumb line in the soil
        compost becomes warm|microbes give off heat while they feed|scraps rot within a few weeks|a stove fed with old salad
        tulips need cold winters|chill switches off a brake on growth|flowers open when spring arrives|an alarm clock set in autumn
        clay soil stays wet|its particles are tiny and tightly packed|water drains away only slowly|a sieve clogged with flour""",
    ),
    "travel": _topic(
        "night train|mountain hut|guide book|ferry ticket|city tram|rope bridge|coastal path|hotel lobby|rented bicycle|border post"
        "|sleeping bag|harbour wall|travel plug|cable car",
        "photograph|look for|book|walk past|remember|complain about|wait beside|share",
        "our guide|the ticket inspector|a Dutch couple|the hostel keeper|a local fisherman|the bus driver",
        "a valley in Slovenia|the port of Piraeus|a monastery above Kotor|the old quarter of Lyon|a beach on Gotland|the high pass",
        """long flights cause jet lag|the inner clock still follows home time|sleep comes at the wrong hour|a watch set to another city
        ears pop in mountains|air pressure falls faster than the ear adapts|the eardrum bends a little|a drum pressed from inside
        flights east feel shorter|strong winds high up push from behind|the plane covers ground more quickly|a swimmer in a fast river
        mountain towns are cool|thin air holds less heat|evenings need a warm coat|a thin blanket in winter
        islands have sea breezes|land warms faster than water by day|cool air flows in from the sea|a chimney that pulls a draught""",
    ),
    "history": _topic(
        "Roman road|city wall|printing press|clay tablet|church tower|salt mine|merchant ship|royal charter|stone bridge|grain store"
        "|bronze coin|market hall|canal lock|hill fort",
        "excavate|restore|copy|map|measure|date|rebuild|describe",
        "the archivist|a young historian|the museum director|two archaeologists|the town council|a local teacher",
        "the ruins outside Trier|a parish archive|the river crossing|a trench near Bergen|the county museum|the abandoned quarry",
        """old cities lie underground|every age built on the rubble before it|streets rose metre by metre|a pile of unread letters
        Rome built straight roads|armies and goods had to move quickly|distant provinces could be ruled|the veins of a large animal
        paper replaced parchment|rags were cheaper than animal skins|books spread to ordinary homes|a narrow door thrown wide open
        empires minted coins|soldiers had to be paid in every province|trade grew along the borders|a language that everybody speaks
        towns grew beside rivers|boats carried grain far more cheaply than carts|markets formed at the landing|beads on one string""",
    ),
    "physics": _topic(
        "pendulum clock|glass prism|steel spring|vacuum pump|copper coil|laser table|weather balloon|torsion balance|tuning fork"
        "|cloud chamber|bar magnet|spirit level|radio dish|heat pump",
        "calibrate|cool|switch on|lift|align|test|wire up|repair",
        "the lab technician|a doctoral student|our physics teacher|the visiting engineer|two volunteers|the night shift",
        "the basement laboratory|a school in Uppsala|the science fair|an old observatory|the test track|a workshop in Delft",
        """the sky looks blue|air scatters short waves more than long ones|blue light reaches us from everywhere|a net that stops small balls
        ice floats on water|frozen molecules stand further apart|the solid is lighter than the liquid|a crowd linking arms
        metal feels cold|it carries heat away from the skin quickly|the hand loses warmth at once|a bus that empties a queue
        satellites stay in orbit|they fall around the curve of the planet|they never reach the ground|a stone thrown beyond the horizon
        sirens change their pitch|waves bunch up ahead of a moving source|the tone drops as it passes|steps crowded on a staircase""",
    ),
    "health": _topic(
        "walking stick|blood test|knee brace|yoga mat|water bottle|sleep diary|first aid kit|health centre|hearing aid|running shoe"
        "|reading lamp|office chair|flu jab|heart monitor",
        "check|try out|put away|recommend|adjust|forget|clean|ask about",
        "the district nurse|my physiotherapist|a young doctor|the pharmacist|our swimming coach|an anxious patient",
        "the village surgery|a clinic in Turku|the hospital garden|our local pool|a community hall|the waiting room",
        """fevers help the body|heat slows germs and speeds up defence|the infection ends sooner|a kitchen too hot for thieves
        muscles ache after exercise|hard work leaves tiny tears in fibres|repair makes them stronger|a rope mended with thicker thread
        vaccines prevent illness|they show the defence a harmless part of a germ|the body answers quickly later|a fire drill at school
        we yawn when tired|the brain tries to stay awake and cool|a deep breath refreshes us|an engine that needs air
        bones need calcium|living cells rebuild the mineral frame all the time|the skeleton stays hard|a wall whose bricks are swapped""",
    ),
    "sport": _topic(
        "goal post|racing bike|tennis racket|home match|rowing boat|training camp|starting block|penalty kick|climbing rope|ice rink"
        "|relay team|changing room|league table|finish line",
        "cheer for|defend|inspect|train beside|win|talk about|replace|pay for",
        "the team captain|a veteran coach|the goalkeeper|both referees|the club secretary|a teenage sprinter",
        "the stadium in Malmo|a muddy pitch|the riverside track|an indoor hall|the regional final|the clubhouse",
        """spinning balls curve|one side drags air along faster|pressure pushes the ball sideways|a boat with a single oar
        runners lean into bends|they must push against the outward pull|their feet keep a grip on the track|a motorbike on a corner
        skates glide on ice|a thin film of water forms beneath the blade|friction almost disappears|a coin on a wet plate
        sprinters crouch at first|bent legs can push backwards with more force|they leave the line quickly|a spring pressed flat
        swimmers wear tight suits|smooth cloth lets water slip past|every stroke carries them further|a bottle without its label""",
    ),
    "music": _topic(
        "upright piano|brass band|cello part|drum kit|concert hall|church organ|second violin|demo tape|folk song|guitar string"
        "|jazz trio|music stand|final chorus|record shop",
        "tune|rehearse|record|listen to|sell|carry|applaud|write about",
        "the conductor|our bass player|a street musician|the sound engineer|my piano teacher|the choir leader",
        "a cellar in Ghent|the town bandstand|a rehearsal room|the summer festival|a studio above the bakery|the opera foyer",
        """long strings sound deep|they swing more slowly than short ones|fewer waves reach the ear each second|a heavy gate on its hinge
        flutes have finger holes|an open hole shortens the column of air|the note becomes higher|a ruler cut shorter
        halls make music echo|walls throw sound back a moment later|notes blend into each other|a ball thrown in a corridor
        chords can sound pleasant|their waves fit together in simple ratios|the ear hears one calm tone|wheels with matching teeth
        guitars have hollow bodies|the wood moves far more air than a string|quiet notes fill a room|a hand clapped on a box""",
    ),
    "animals": _topic(
        "barn owl|honey bee|red squirrel|nest box|garden pond|sheep dog|stone marten|grey heron|feeding station|hedgehog house"
        "|wild goose|bat colony|tree frog|field mouse",
        "feed|count|watch|track|photograph|rescue|ring|protect",
        "the warden|a wildlife vet|two biologists|the shepherd|our school class|the reserve manager",
        "a reed bed on the coast|the city park|a barn in Friesland|the pine forest|the estuary|a meadow behind the dunes",
        """birds fly south|food runs short when insects disappear|they spend winter where meals are plenty|guests leaving an empty table
        cats see at night|a mirror behind the eye uses light twice|dim shapes become clear|a lamp with a shiny shade
        bees dance in circles|movements tell others where flowers grow|the hive finds nectar quickly|a map drawn with footsteps
        fish breathe under water|gills take oxygen from water that streams through|the blood is refreshed|a filter in a coffee pot
        bears sleep through winter|a slow body burns very little fat|they survive without any meal|a stove on its lowest flame""",
    ),
    "money": _topic(
        "savings account|tax form|monthly budget|corner shop|rent book|pension plan|price tag|credit card|flea market|bank branch"
        "|loan offer|pay slip|shopping list|insurance letter",
        "compare|sign|cancel|work out|hide|question|file|pay off",
        "the bank clerk|a tax adviser|my flatmate|the shopkeeper|our accountant|the landlord",
        "the high street|a branch in Cork|the town hall|a stall at the market|the post office queue|an office in Basel",
        """prices rise over time|more money chases the same goods|each coin buys a little less|a cake cut into thinner slices
        banks pay interest|they lend your savings to other people|part of the fee comes back to you|a tool rented to a neighbour
        insurance costs little|many people share a rare loss|nobody is ruined by one accident|a village that rebuilds a barn
        shops hold sales|unsold stock takes up costly room|cash returns before the season ends|a tree dropping its leaves
        debts grow quickly|interest is charged on earlier interest too|small sums become large ones|a snowball on a long slope""",
    ),
}

SHARED = {
    "adj": "quiet|second-hand|reliable|crooked|brand new|wooden|surprisingly cheap|noisy|beautiful|forgotten|sturdy|narrow|famous"
    "|half-finished|old-fashioned|bright|rather heavy|plain|lovely|dusty",
    "time": "last winter|on a rainy morning|two weeks ago|early this year|after lunch|before sunrise|over the long weekend"
    "|during the holidays|late one evening|at the end of the season|one summer|just after closing time",
    "name": "Anna|Tomas|Mrs Lindqvist|Peter Okoro|Ines|Mr Baptiste|Joanna|Karim|Helena Brandt|Old Sam|Fiona|Yusuf|Maria Costa|Wei"
    "|Dr Hartmann|Lucy|Ravi|Bridget|Oleg|Nora",
    "month": "January|February|March|April|May|June|July|August|September|October|November|December",
    "day": "Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday",
    "feeling": "delighted|a bit lost|tired but happy|more than annoyed|completely calm|proud|rather nervous|speechless|curious|sorry",
}

STYLES = {
    "news": """{name} told reporters on {day} that the {thing} at {place} would close in {month}.
        About {n} visitors saw {person} {verb} the {adj} {thing}, {time}.
        The plan to {verb} the {thing} will cost {n} thousand, said {name}, who called it {adj}.
        {person} and {name} have asked for {n} more days to {verb} the {thing}.
        Police were called to {place} {time} after {name} found the {thing} missing.
        A spokesman for {place} said that {person} had left the {thing} unlocked {time}.
        The vote on the {adj} {thing} was put off until {day}, {n} {month}.
        Work at {place} began {time}, and {n} people have signed a letter against the {thing}.
        {name}, aged {n}, won the {month} prize for the {adj} {thing} that {person} had given up.
        Earlier on {day} a crowd of {n} gathered near {place} to {verb} the {thing}.
        Our correspondent {name} reports from {place}, where the {thing} has been shut since {month}.
        Officials expect {n} new jobs if {person} can {verb} the {thing} by {month}.
        The {adj} {thing} was sold {time} for {n} thousand to {name}.
        Critics such as {name} say that the {thing} is too {adj} for {place}.""",
    "blog": """So {time} I finally got to {verb} the {thing}, and I was {feeling}.
        We met {name} at {place}, {time}, and talked for {n} minutes about the {adj} {thing}.
        I know, I know, another post about the {thing}, but {name} kept asking me {time}.
        {name} says hi, by the way, and still owes me a {adj} {thing} from {month}.
        My {adj} {thing} broke {time}, so {person} lent me one from {place}.
        There were {n} of us, all {feeling}, and {person} had brought the {thing} to {place}.
        Honestly, who needs to {verb} the {adj} {thing} on a {day} in {month}?
        I took {n} pictures of the {thing} at {place}, and only {n} of them are any good.
        Then {name} dropped the {thing}, {person} laughed, and I felt {feeling} for {n} days.
        Next {day} we go back to {place} with {name}, this time without the {adj} {thing}.
        If you ever visit {place}, say hello to {person} and the {adj} {thing}.
        The kids wanted to {verb} the {thing}, but by {day} everyone was {feeling}.
        Some of you wrote to me {time} about the {thing}; thanks, {name} and {name}!
        It rained all {day}, yet {person} was {feeling} and we could {verb} the {thing} anyway.""",
    "shop": """Our {adj} {thing} ships from {place} within {n} days and comes with a free {thing}.
        Order before {day} and save {n} percent on every {adj} {thing} in the {month} sale.
        Loved by {person} and {n} other customers, this {thing} is {adj} and built to last.
        Choose the {adj} colour, add a {thing} to your basket, and have it by {day}.
        Returns of the {thing} are free for {n} days, no matter if {name} bought it at {place}.
        The {adj} model weighs {n} ounces and fits every {thing} sold since {month}.
        Customers who bought the {thing} also looked at our {adj} {thing} with {n} reviews.
        New in {month}: the {adj} {thing}, made by {person} for people who {verb} the {thing}.
        Only {n} left of the {thing}, picked by {name} from our store at {place}.
        "{adj} and good value," writes {name}, who bought the {thing} {time}.
        Gift wrap for your {thing} costs {n} cents, and {person} adds a {adj} card.
        Sign up by {day} to hear of {adj} offers on the {thing} and {n} similar items.
        Five stars from {name}: "The {thing} arrived {time}, and {person} is {feeling}."
        Visit our showroom at {place} on {day}, where {name} will {verb} the {thing} with you.""",
    "forum": """Hi all, {time} I tried to {verb} my {adj} {thing} and now it makes a noise, any ideas?
        Same here, {name}, mine did that {time} until {person} swapped the {thing}.
        You could ask {name} at {place}, he had {n} of the {adj} ones in {month}.
        Thanks {name}, will try on {day} and post a photo of the {thing}.
        Not sure it is the {thing}, my {adj} one at {place} lasted {n} years lol.
        Bump, nobody else with a {adj} {thing} from {month}, or is {name} the only one?
        I paid {n} for the {thing} {time}, and {person} said it was {adj} even then.
        Well {name}, if you {verb} the {thing} on a {day} you get what you deserve.
        Anyone going to {place} in {month}, {name} and I have {n} spare seats and a {thing}.
        Sorry to hear that {name}, {person} told me {time} never to {verb} the {thing}.
        Update from {day}: the {adj} {thing} works again, and I feel {feeling}.
        Moderator note, {name}: keep the {thing} talk in the {month} thread, please.""",
    "list": """Number {n} on our list is the {adj} {thing} that {name} found at {place}.
        Nobody at {place} will forget how {person} managed to {verb} the {thing} {time}.
        A {adj} {thing} makes a fine gift in {month}, as {name} told us {time}.
        Readers gave {n} votes to the {thing} and {person}, both seen at {place}.
        Runner-up is {place}, {adj} as ever, with {n} tables and a {thing} by the door.
        Our editor {name} picked the {adj} {thing} over {n} others, {time}.
        Skip the {thing} at {place}, unless {person} offers to {verb} the {adj} one.
        Best seen on a {day} in {month}, the {thing} left {name} {feeling}.
        It took {person} {n} years to {verb} the {thing}, and {name} was {feeling}.
        The most {adj} pick comes from {name}, who went to {place} {time}.
        Bring {n} friends, a {adj} {thing}, and {name} will meet you at {place}.
        Sadly the {thing} of {month} did not make it, says {person}, {feeling} on {day}.""",
}

QUESTIONS = cards(
    "Why is it that {p}?|Can you explain why {p}?|Could somebody explain in simple words why {p}?|What is the reason that {p}?"
    "|Explain step by step how it comes about that {p}.|I have always wondered why {p}. What is the explanation?"
)
EXPLANATIONS = (
    """The short answer is that {c}.
    The main reason for this is that {c}.
    The underlying principle is simple: {c}.
    To understand this, you first need to know that {c}.
    The explanation begins with a single fact, namely that {c}.
    Scientists explain this effect as follows: {c}.""",
    """As a consequence, {e}.
    This means that, in the end, {e}.
    It follows from this that {e}.
    Therefore we observe that {e}, which is the effect that you asked about.
    Because of this, {e}, and the same holds in general.
    The result is that {e}.""",
    """A helpful way to picture the process is to imagine {a}.
    As an analogy, think of {a}: the same cause leads to the same effect.
    You can compare it with {a}, where each step depends on the one before.
    For example, consider {a}, since both follow from the same rule.
    In other words, it behaves very much like {a}.
    Suppose that you compare it to {a}; then the answer becomes clear.""",
    """If you have a {thing} at hand, you can test this explanation yourself, step by step, because a {adj} {thing} shows it well.
    For example, when {person} explains this to beginners, the first step is a {thing} and the second step is a question.
    It is a common misunderstanding that a {adj} {thing} would change the result; in fact it does not depend on the {thing}.
    To check whether this is true, compare a {thing} with a {adj} one, and write down what you observe.
    In summary, the process explains why a {thing} and a {thing} differ, and why neither of them is an exception.
    Therefore, if a {thing} did not follow the same rule, we would have to look for another explanation than {person} gives.
    Notice that this explanation does not depend on whether the {thing} is {adj}, since the cause is the same in both cases.
    Here is an example: suppose that {person} changes one thing, such as the {thing}, and keeps everything else the same.""",
)
"""Ways to state a fact's reason, its consequence and its comparison, and to go on from there."""


class Deck(dict[str, str]):
    """Cards for a template's slots; none is dealt twice before all are dealt."""

    def __init__(self, topic: Topic, rng: Random) -> None:
        super().__init__()
        self._rng = rng
        own = {"thing": topic.things, "verb": topic.verbs, "person": topic.people, "place": topic.places}
        self._cards: Mapping[str, Sequence[str]] = own | {slot: cards(text) for slot, text in SHARED.items()}
        self._left: dict[str, list[str]] = {}

    def __missing__(self, slot: str) -> str:
        if slot == "n":
            return str(self._rng.randrange(3, 98))
        if not self._left.get(slot):
            self._left[slot] = self._rng.sample(self._cards[slot], len(self._cards[slot]))
        return self._left[slot].pop()


def sentence(template: str, slots: Mapping[str, str]) -> str:
    """The template with its slots filled, and a capital at the front."""
    text = template.strip().format_map(slots)
    return re.sub(r"\ba (?=[aeiou])", "an ", text[0].upper() + text[1:])


def prose(topic: str, style: str, count: int, rng: Random) -> list[str]:
    """A number of sentences in one web style; no template is used twice before all are used."""
    deck, templates = Deck(TOPICS[topic], rng), STYLES[style].split("\n")
    dealt: list[str] = []
    while len(dealt) < count:
        dealt += rng.sample(templates, len(templates))
    return [sentence(template, deck) for template in dealt[:count]]


def explanations(topic: str, count: int, rng: Random) -> list[tuple[str, str]]:
    """A number of questions on a topic, each with an answer of five sentences."""
    deck = Deck(TOPICS[topic], rng)
    reason, consequence, comparison, remark = ([t.strip() for t in rng.sample(g, len(g))] for g in _explanation_groups())
    pairs = []
    for i, fact in enumerate(rng.sample(TOPICS[topic].facts, count)):
        slots = dict(zip("pcea", fact, strict=True))
        first = [sentence(templates[i], slots) for templates in (reason, consequence, comparison)]
        further = [sentence(template, deck) for template in remark[2 * i : 2 * i + 2]]
        pairs.append((rng.choice(QUESTIONS).format_map(slots), " ".join(first + further)))
    return pairs


def _explanation_groups() -> list[list[str]]:
    return [group.split("\n") for group in EXPLANATIONS]


def grouped(sentences: Sequence[str], size: int) -> list[str]:
    """Paragraphs with given numbers of sentences."""
    return [" ".join(group) for group in in_groups(sentences, size)]


def in_groups(sentences: Sequence[str], size: int) -> list[Sequence[str]]:
    """The sentences, so many at a time."""
    return [sentences[i : i + size] for i in range(0, len(sentences), size)]


MODULES = [
    "abc",
    "argparse",
    "ast",
    "base64",
    "bdb",
    "bisect",
    "calendar",
    "cmd",
    "code",
    "codecs",
    "codeop",
    "collections",
    "compileall",
    "concurrent.futures",
    "concurrent.futures._base",
    "configparser",
    "contextlib",
    "copy",
    "copyreg",
    "csv",
    "dataclasses",
    "datetime",
    "decimal",
    "difflib",
    "dis",
    "doctest",
    "email.charset",
    "email.contentmanager",
    "email.encoders",
    "email.feedparser",
    "email.generator",
    "email.header",
    "email.headerregistry",
    "email.message",
    "email.mime.text",
    "email.policy",
    "email._policybase",
    "email.utils",
    "enum",
    "filecmp",
    "fileinput",
    "fnmatch",
    "fractions",
    "ftplib",
    "functools",
    "gettext",
    "getopt",
    "glob",
    "graphlib",
    "gzip",
    "hashlib",
    "heapq",
    "hmac",
    "html.parser",
    "http.client",
    "http.cookiejar",
    "http.cookies",
    "http.server",
    "imaplib",
    "importlib.abc",
    "importlib.resources",
    "inspect",
    "io",
    "ipaddress",
    "json",
    "json.decoder",
    "json.encoder",
    "keyword",
    "linecache",
    "locale",
    "logging",
    "logging.config",
    "logging.handlers",
    "mailbox",
    "mimetypes",
    "modulefinder",
    "multiprocessing.pool",
    "multiprocessing.managers",
    "netrc",
    "numbers",
    "operator",
    "optparse",
    "os",
    "pathlib",
    "pickle",
    "pickletools",
    "pkgutil",
    "platform",
    "plistlib",
    "poplib",
    "pprint",
    "profile",
    "pstats",
    "py_compile",
    "pyclbr",
    "pydoc",
    "queue",
    "quopri",
    "random",
    "re",
    "reprlib",
    "runpy",
    "sched",
    "secrets",
    "selectors",
    "shelve",
    "shlex",
    "shutil",
    "signal",
    "smtplib",
    "socket",
    "socketserver",
    "stat",
    "statistics",
    "string",
    "struct",
    "subprocess",
    "symtable",
    "sysconfig",
    "tarfile",
    "tempfile",
    "textwrap",
    "threading",
    "timeit",
    "tokenize",
    "trace",
    "traceback",
    "tracemalloc",
    "types",
    "unittest",
    "unittest.case",
    "unittest.loader",
    "unittest.mock",
    "unittest.runner",
    "unittest.suite",
    "urllib.parse",
    "urllib.request",
    "urllib.response",
    "urllib.robotparser",
    "uuid",
    "venv",
    "warnings",
    "wave",
    "weakref",
    "wsgiref.handlers",
    "wsgiref.simple_server",
    "wsgiref.util",
    "wsgiref.validate",
    "xml.dom.minidom",
    "xml.dom.pulldom",
    "xml.etree.ElementTree",
    "xml.sax.handler",
    "xml.sax.saxutils",
    "xmlrpc.client",
    "xmlrpc.server",
    "zipapp",
    "zipfile",
    "zipimport",
    "zoneinfo",
    "asyncio.events",
    "asyncio.streams",
    "asyncio.tasks",
    "asyncio.queues",
    "asyncio.locks",
    "asyncio.subprocess",
    "asyncio.transports",
    "asyncio.protocols",
    "asyncio.base_events",
    "asyncio.runners",
]


def _docstrings(module: ModuleType) -> Iterator[str]:
    def own(holder: object) -> Iterator[object]:
        for value in list(vars(holder).values()):
            value = getattr(value, "__func__", value)
            if inspect.isfunction(value) or (inspect.isclass(value) and value.__module__ == module.__name__):
                yield value

    for value in [module, *own(module)]:
        members = [value, *own(value)] if inspect.isclass(value) else [value]
        yield from (inspect.cleandoc(m.__doc__) for m in members if isinstance(m.__doc__, str))


def _is_prose(paragraph: str) -> bool:
    words = paragraph.split()
    if not 15 <= len(words) <= 120 or not paragraph.rstrip().endswith(".") or re.search(r"\n\s", paragraph):
        return False
    plain = sum(word.strip("(),.;:'\"").replace("-", "").replace("'", "").isalpha() for word in words)
    return plain > 0.88 * len(words)


FUNCTION_WORDS = frozenset(
    [
        "the",
        "of",
        "and",
        "to",
        "a",
        "in",
        "that",
        "is",
        "for",
        "it",
        "with",
        "as",
        "be",
        "this",
        "on",
        "not",
        "by",
        "from",
        "or",
        "if",
        "will",
        "can",
        "are",
        "when",
        "which",
        "you",
    ]
)


def _is_page(text: str) -> bool:
    """Whether a language identifier would call it English, and few runs of five words occur twice."""
    words = re.findall(r"\w+", text)
    fives = Counter(tuple(words[i : i + 5]) for i in range(len(words) - 4))
    repeats = sum(count for count in fives.values() if count > 1)
    return repeats <= 0.03 * len(words) and sum(word.lower() in FUNCTION_WORDS for word in words) >= 0.32 * len(words)


@cache
def manual() -> tuple[Section, ...]:
    """Prose of the standard library's docstrings: a module's name and a section's paragraphs, 110 words or more; none twice."""
    seen: set[str] = set()
    sections: list[Section] = []
    for name in MODULES:
        docs = _docstrings(importlib.import_module(name))
        found = [" ".join(part.split()) for doc in docs for part in re.split(r"\n\s*\n", doc) if _is_prose(part)]
        fresh = [text for text in dict.fromkeys(found) if text not in seen]
        seen.update(fresh)
        sections += [(name, section) for section in _sections(fresh) if _is_page(" ".join(section))]
    return tuple(sections)


def _sections(texts: Sequence[str], least: int = 110) -> Iterator[tuple[str, ...]]:
    section: list[str] = []
    for text in texts:
        section.append(text)
        if sum(len(part.split()) for part in section) >= least:
            yield tuple(section)
            section = []


def paragraphs(texts: Sequence[str]) -> str:
    """Each text as a ``<p>``."""
    return "\n".join(f"<p>{escape(text, quote=False)}</p>" for text in texts)


def _menu(rng: Random, tag: str = "nav") -> str:
    words = rng.sample(cards("Home|About us|Contact|Archive|News|Shop|Help|Gallery|Events|Press|Jobs|Login|Basket|FAQ"), 6)
    links = "".join(f'<li><a href="/{word.lower().replace(" ", "-")}">{word}</a></li>' for word in words)
    return f'<{tag} class="menu"><ul>{links}</ul></{tag}>'


def modern(title: str, body: str, site: str, rng: Random) -> str:
    """HTML5: navigation, a cookie banner, a sidebar and a footer around one article."""
    banner = (
        '<div class="cookie-banner" id="cookie-consent" role="dialog"><p>We use cookies to make this site work.</p>'
        "<button>Accept all</button> <button>Settings</button></div>\n"
    )
    aside = f"<aside class='sidebar'><h3>Related</h3>{_menu(rng, 'div')}</aside>"
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<title>{escape(title)} | {site}</title>\n'
        '<meta name="viewport" content="width=device-width">\n'
        f"<style>body {{ margin: {rng.randrange(4)}em }}</style>\n<script>window.page = {rng.randrange(10**6)};</script>\n</head>\n<body>\n"
        f"{banner if rng.random() < 0.5 else ''}<header><a href='/'>{site}</a>{_menu(rng)}</header>\n"
        f"<main><article>\n<h1>{escape(title)}</h1>\n{body}\n</article></main>\n{aside if rng.random() < 0.6 else ''}\n"
        f"<footer><p>&copy; {rng.randrange(2009, 2025)} {site}. All rights reserved.</p></footer>\n</body>\n</html>\n"
    )


def divided(title: str, body: str, site: str, rng: Random) -> str:
    """XHTML of the 2000s: a ``div`` with a class for everything."""
    return (
        '<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Transitional//EN" "http://www.w3.org/TR/xhtml1/DTD/xhtml1-transitional.dtd">\n'
        f'<html xmlns="http://www.w3.org/1999/xhtml">\n<head><title>{site} &raquo; {escape(title)}</title></head>\n<body>\n'
        f'<div id="header">{_menu(rng, "div")}</div>\n<div id="content" class="post"><h2>{escape(title)}</h2>\n'
        f'<div class="entry">\n{body}\n</div></div>\n<div id="sidebar">{_menu(rng, "div")}</div>\n'
        f'<div id="footer">{site}</div>\n</body>\n</html>\n'
    )


def old(title: str, body: str, site: str, rng: Random) -> str:
    """HTML 3.2: tags in capitals, fonts, a table for the layout, unclosed paragraphs."""
    open_paragraphs = re.sub(r"</p>", "", body).replace("<p>", "<P>")
    colour = rng.choice(["#000080", "maroon", "green"])
    return (
        f"<HTML><HEAD><TITLE>{escape(title)}</TITLE></HEAD>\n<BODY BGCOLOR=white TEXT=black>\n"
        f"<CENTER><H1><FONT COLOR={colour} FACE=Arial>{escape(title)}</FONT></H1></CENTER><HR>\n"
        f"<TABLE BORDER=0 WIDTH=600><TR><TD><FONT SIZE=2>\n{open_paragraphs}\n</FONT></TD></TR></TABLE>\n"
        f"<HR><A HREF=index.htm>{site}</A>\n</BODY></HTML>\n"
    )


def bare(title: str, body: str, _site: str, _rng: Random) -> str:
    """A title and the text, nothing else."""
    return f"<html><head><title>{escape(title)}</title></head><body>\n<h1>{escape(title)}</h1>\n{body}\n</body></html>\n"


LAYOUTS: tuple[Layout, ...] = (modern, modern, divided, old, bare)

BENCHMARK = {
    "high_school_physics": _exam("""
        A sled slides down an icy hill and keeps gaining speed; which quantity is decreasing all the while?|its potential energy|its kinetic energy|its momentum|its mass|A
        Two identical bulbs glow dimly in series with one battery; what happens after one bulb is unscrewed?|the other glows brighter|the other goes out|the other is unchanged|the battery overheats|B
        A swimmer hears a bell under water sooner than a friend above it; what best accounts for this?|water is colder|sound travels faster in water|bells ring longer in water|air absorbs all sound|B
        A stone dropped from a tower falls for three seconds without air resistance; roughly how fast is it then?|3 metres per second|10 metres per second|30 metres per second|90 metres per second|C
        If the distance between two small charged spheres is doubled, what happens to the force that acts between them?|it stays equal|it halves|it doubles|it falls to a quarter|D
        A mirror in a dressing room shows a person at full height; at least how tall must the mirror be?|as tall as the person|half as tall|twice as tall|a quarter as tall|B
        Which change would make a pendulum clock that runs too fast on a mantelpiece keep the right time again?|a longer rod|a heavier bob|a shorter rod|a lighter bob|A
        A closed bottle of warm air is put into a cold cellar; what can be said about its pressure?|it rises|it falls|it stays equal|it becomes zero|B
        A cyclist rides once around a circular track at constant speed; what changes at every moment of the ride?|the speed|the mass|the velocity|the kinetic energy|C
        Which kind of wave needs a material to travel through and therefore cannot cross the empty space between stars?|visible light|radio waves|sound waves|gamma rays|C
        A magnet is pushed into a coil of copper wire and then held still; when does a current flow?|only while it moves|only while it rests|all the time|never at all|A
        A crate is pushed across a floor at constant velocity; how large is the total force that acts on it?|equal to its weight|equal to the push|equal to friction|exactly zero|D"""),
    "nutrition": _exam("""
        A sailor on a long voyage without fresh fruit develops bleeding gums; which vitamin is most likely to be lacking?|vitamin A|vitamin C|vitamin D|vitamin K|B
        Which of these breakfasts would keep the blood sugar of a healthy adult most even throughout the whole morning?|white toast with jam|a glass of juice|oat porridge with nuts|sweetened cornflakes|C
        A baker adds iodine to the salt of an inland village; which gland of the villagers is protected by this?|the thyroid|the pancreas|the liver|the adrenal gland|A
        Which nutrient supplies more than twice as much energy for each gram as any starch or sugar can supply?|protein|dietary fibre|water|fat|D
        People who live far north often lack one vitamin in winter because of weak sunlight; which one is it?|vitamin B12|vitamin C|vitamin D|vitamin E|C
        A strict vegan who takes no supplements for many years is most likely to run short of which vitamin?|vitamin B12|vitamin C|folic acid|vitamin E|A
        Which mineral in lentils is taken up better when they are eaten together with peppers or a squeezed lemon?|sodium|iron|fluoride|chlorine|B
        Why does rinsing tinned beans under the tap for half a minute make them a healthier choice for many people?|it adds vitamins|it removes fibre|it removes salt|it adds protein|C
        Which part of a grain of wheat is lost first when millers turn whole wheat into fine white flour?|the starch|the bran|the gluten|the water|B
        A runner sweats for three hours in summer heat and drinks only plain water; what may fall dangerously low?|blood sodium|blood volume of fat|bone calcium|stored vitamin A|A
        Which of the following foods would a doctor advise against for somebody whose gut cannot break down milk sugar?|boiled rice|fresh cream ice|roast turkey|baked apples|B
        What is the chief reason that nutrition labels list the ingredients of a packet in one particular fixed order?|alphabetical order|order of price|order of weight|order of taste|C"""),
    "world_history": _exam("""
        A merchant of the thirteenth century who carried silk from China to the Black Sea most likely followed which route?|the Amber Road|the Silk Road|the Salt Road|the Inca Road|B
        Which invention allowed pamphlets of the reformers to spread through German towns within weeks instead of many years?|the movable type press|the telegraph|the steam engine|the paper mill|A
        Farmers along the Nile could foretell the season of sowing from one regular event; which event was it?|the spring rains|the yearly flood|a solar eclipse|the return of locusts|B
        Which of these goods was so precious in Roman times that soldiers are said to have been paid in it?|cotton|salt|tea|rubber|B
        The spread of railways in the nineteenth century forced towns to agree on one thing that had differed locally; what?|their language|their coinage|their clock time|their religion|C
        Which crop from the Americas later fed so many Irish families that its failure caused a great famine there?|maize|the tomato|cacao|the potato|D
        Scribes in ancient Mesopotamia pressed wedge marks with a reed; into which material did they usually press the marks?|wet clay|soft wax|palm leaves|polished bone|A
        A league of northern ports such as Luebeck and Bergen controlled trade for centuries; what was this league called?|the Delian League|the Hanseatic League|the Holy League|the Lombard League|B
        Which building technique let masons of the Middle Ages open tall church walls for windows of coloured glass?|flying buttresses|reinforced concrete|dry stone walling|timber framing|A
        Polynesian sailors reached distant islands long before the magnetic compass; what did they chiefly use to steer by?|iron needles|printed charts|stars and swells|lighthouses ashore|C
        Which disease, carried along trade routes by fleas on rats, emptied whole villages of Europe after the year 1347?|smallpox|cholera|malaria|the plague|D
        The first written laws of Babylon were carved on a tall stone; which king ordered this to be done?|Hammurabi|Xerxes|Ramses|Ashoka|A"""),
}
"""Questions in MMLU's form: by subject the question, its four options and the right one's letter; each of 13 words or more."""

LANGUAGES: dict[str, tuple[tuple[str, ...], str, tuple[str, ...]]] = {
    "ru": (("utf-8", "windows-1251", "koi8-r"), " ", (
        "Весной|Вчера вечером|После обеда|В нашем городе|Каждую субботу",
        "соседи встречаются|дети играют|мы гуляем с друзьями|туристы отдыхают|рыбаки собираются",
        "на берегу реки|у старого моста|возле рынка|в парке за домом|около вокзала",
        "и пьют горячий чай.|и рассказывают разные истории.|, пока не стемнеет.|, хотя идёт дождь.|и слушают музыку.")),
    "de": (("utf-8", "iso-8859-1", "utf-16"), " ", (
        "Im Frühling|Am Wochenende|Nach dem Essen|Seit einigen Jahren|In unserer Straße",
        "treffen sich viele Nachbarn|sitzen die Familien|suchen wir frische Kräuter|reden die Leute gern|warten die Kinder",
        "auf dem kleinen Markt|vor der alten Brücke|am Ufer des Sees|im Garten hinter dem Haus|neben der Bäckerei",
        "und trinken zusammen Kaffee.|und erzählen von früher.|, bis es dunkel wird.|, obwohl es regnet.|und freuen sich sehr.")),
    "ja": (("utf-8", "shift_jis", "euc-jp"), "", (
        "春になると、|昨日の夕方、|昼ごはんのあと、|この町では、|毎週土曜日、",
        "近所の人たちが|子どもたちが|私たちは友達と|旅行者が|家族みんなで",
        "川のそばで|古い橋の近くで|市場の前で|家のうしろの庭で|駅のとなりの店で",
        "お茶を飲みながら話します。|昔の話を聞きました。|暗くなるまで遊びます。|写真をたくさん撮りました。|音楽を楽しんでいます。")),
    "zh": (("utf-8", "gb18030", "utf-16"), "", (
        "春天来了，|昨天晚上，|吃完午饭以后，|在我们的城市里，|每个星期六，",
        "邻居们|孩子们|我们和朋友|很多游客|老人和家人",
        "在河边|在古老的桥旁|在市场门口|在房子后面的花园里|在车站附近的小店",
        "一起喝茶聊天。|讲过去的故事。|一直玩到天黑。|拍了许多照片。|高兴地听音乐。")),
    "es": (("utf-8", "iso-8859-1"), " ", (
        "En primavera|El fin de semana|Después de comer|Desde hace años|En nuestra calle",
        "los vecinos se reúnen|las familias pasean|los niños juegan|buscamos hierbas frescas|los viajeros descansan",
        "en el pequeño mercado|junto al puente viejo|a la orilla del lago|en el jardín de la casa|cerca de la panadería",
        "y toman café juntos.|y cuentan historias de antes.|hasta que anochece.|aunque llueve mucho.|y escuchan música.")),
    "fr": (("utf-8", "iso-8859-1"), " ", (
        "Au printemps,|Le week-end,|Après le repas,|Depuis quelques années,|Dans notre rue,",
        "les voisins se retrouvent|les familles se promènent|les enfants jouent|nous cherchons des herbes|les voyageurs attendent",
        "sur le petit marché|devant le vieux pont|au bord du lac|dans le jardin derrière la maison|près de la boulangerie",
        "et boivent un café.|et racontent des histoires.|jusqu'à la tombée de la nuit.|bien qu'il pleuve.|en écoutant de la musique.")),
    "it": (("utf-8", "iso-8859-1"), " ", (
        "In primavera|Nel fine settimana|Dopo pranzo|Da qualche anno|Nella nostra via",
        "i vicini si incontrano|le famiglie passeggiano|i bambini giocano|cerchiamo erbe fresche|i viaggiatori aspettano",
        "al piccolo mercato|davanti al vecchio ponte|sulla riva del lago|nel giardino dietro casa|accanto al forno",
        "e bevono un caffè.|e raccontano vecchie storie.|finché non fa buio.|anche se piove.|ascoltando la musica.")),
    "pt": (("utf-8", "iso-8859-1"), " ", (
        "Na primavera|No fim de semana|Depois do almoço|Há alguns anos|Na nossa rua",
        "os vizinhos se encontram|as famílias passeiam|as crianças brincam|procuramos ervas frescas|os viajantes descansam",
        "no pequeno mercado|junto à ponte velha|à beira do lago|no jardim atrás da casa|perto da padaria",
        "e tomam café juntos.|e contam histórias antigas.|até ficar escuro.|embora esteja chovendo.|e ouvem música.")),
    "pl": (("utf-8", "iso-8859-2"), " ", (
        "Wiosną|W weekend|Po obiedzie|Od kilku lat|Na naszej ulicy",
        "spotykają się sąsiedzi|spacerują rodziny|bawią się dzieci|szukamy świeżych ziół|odpoczywają podróżni",
        "na małym rynku|przy starym moście|nad brzegiem jeziora|w ogrodzie za domem|obok piekarni",
        "i piją razem kawę.|i opowiadają dawne historie.|, aż zrobi się ciemno.|, chociaż pada deszcz.|i słuchają muzyki.")),
    "nl": (("utf-8", "windows-1252"), " ", (
        "In het voorjaar|In het weekend|Na het eten|Sinds een paar jaar|In onze straat",
        "ontmoeten de buren elkaar|wandelen de gezinnen|spelen de kinderen|zoeken wij verse kruiden|wachten de reizigers",
        "op de kleine markt|bij de oude brug|aan de oever van het meer|in de tuin achter het huis|naast de bakkerij",
        "en drinken samen koffie.|en vertellen over vroeger.|tot het donker wordt.|hoewel het regent.|en luisteren naar muziek.")),
    "tr": (("utf-8", "iso-8859-9"), " ", (
        "İlkbaharda|Hafta sonu|Yemekten sonra|Birkaç yıldır|Bizim sokakta",
        "komşular|aileler|çocuklar|yolcular|balıkçılar",
        "küçük pazarda|eski köprünün önünde|gölün kıyısında|evin arkasındaki bahçede|fırının yanında",
        "birlikte kahve içiyor.|eski günleri anlatıyor.|hava kararana kadar bekliyor.|yağmura rağmen geziyor.|müzik dinliyor.")),
    "ar": (("utf-8", "windows-1256"), " ", (
        "في الربيع|في نهاية الأسبوع|بعد الغداء|منذ سنوات|في شارعنا",
        "يجتمع الجيران|تتنزه العائلات|يلعب الأطفال|يستريح المسافرون|ينتظر الصيادون",
        "في السوق الصغير|أمام الجسر القديم|على ضفة البحيرة|في الحديقة خلف البيت|بجانب المخبز",
        "ويشربون القهوة معا.|ويحكون قصصا قديمة.|حتى يحل الظلام.|رغم هطول المطر.|ويستمعون إلى الموسيقى.")),
    "ko": (("utf-8", "euc-kr"), " ", (
        "봄이 되면|주말마다|점심을 먹고 나서|몇 년 전부터|우리 동네에서는",
        "이웃들이|가족들이|아이들이|여행자들이|친구들이",
        "작은 시장에서|오래된 다리 앞에서|호숫가에서|집 뒤의 정원에서|빵집 옆에서",
        "함께 커피를 마십니다.|옛날 이야기를 나눕니다.|어두워질 때까지 놉니다.|사진을 많이 찍었습니다.|음악을 듣습니다.")),
    "el": (("utf-8", "iso-8859-7"), " ", (
        "Την άνοιξη|Το σαββατοκύριακο|Μετά το φαγητό|Εδώ και χρόνια|Στον δρόμο μας",
        "οι γείτονες μαζεύονται|οι οικογένειες περπατούν|τα παιδιά παίζουν|οι ταξιδιώτες περιμένουν|οι φίλοι συναντιούνται",
        "στη μικρή αγορά|μπροστά στην παλιά γέφυρα|στην όχθη της λίμνης|στον κήπο πίσω από το σπίτι|δίπλα στον φούρνο",
        "και πίνουν καφέ.|και λένε παλιές ιστορίες.|μέχρι να νυχτώσει.|αν και βρέχει.|και ακούνε μουσική.")),
    "sv": (("utf-8", "iso-8859-1"), " ", (
        "På våren|Under helgen|Efter maten|Sedan några år|På vår gata",
        "träffas grannarna|promenerar familjerna|leker barnen|letar vi efter färska örter|väntar resenärerna",
        "på det lilla torget|vid den gamla bron|vid sjöns strand|i trädgården bakom huset|bredvid bageriet",
        "och dricker kaffe ihop.|och berättar om förr.|tills det blir mörkt.|fastän det regnar.|och lyssnar på musik.")),
    "vi": (("utf-8",), " ", (
        "Vào mùa xuân,|Cuối tuần,|Sau bữa trưa,|Từ nhiều năm nay,|Trên con phố của chúng tôi,",
        "những người hàng xóm|các gia đình|bọn trẻ|du khách|bạn bè",
        "gặp nhau ở khu chợ nhỏ|đi dạo gần cây cầu cũ|ngồi bên bờ hồ|ở trong khu vườn sau nhà|chờ cạnh tiệm bánh",
        "và cùng uống cà phê.|và kể chuyện ngày xưa.|cho đến khi trời tối.|dù trời đang mưa.|và nghe nhạc.")),
}  # fmt: skip
"""By language: encodings that its pages come in, what joins words, and five phrases for each of a sentence's four places."""


def foreign_sentences(language: str, count: int, rng: Random) -> list[str]:
    """So many sentences of a language."""
    _, joint, places = LANGUAGES[language]
    return [joint.join(rng.choice(cards(phrases)) for phrases in places).replace(" ,", ",") for _ in range(count)]


def joined(language: str, sentences: Sequence[str]) -> str:
    """Sentences of a language as one paragraph."""
    return LANGUAGES[language][1].join(sentences)


def response(url: str, html: str, kind: str, fate: str, *, encoding: str = "utf-8", declared: str = "header meta") -> Page:
    """A page as a server sends it; ``declared``: where the encoding is named, if at all."""
    name = encoding.removesuffix("-sig")
    if "meta" in declared and encoding != "utf-16":
        meta = f'<meta http-equiv="Content-Type" content="text/html; charset={name}">'
        html = re.sub(r"<head>", f"<head>{meta}", html, count=1, flags=re.IGNORECASE)
    charset = f"; charset={name}" if "header" in declared else ""
    body = html.encode(encoding, "xmlcharrefreplace")
    return Page(url, body, kind, fate, headers(f"text/html{charset}", body))


def headers(content_type: str, body: bytes) -> Headers:
    """HTTP headers of a response with this body."""
    return ("Server", "nginx"), ("Content-Type", content_type), ("Content-Length", str(len(body)))
