"""Names of languages in two forms."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldwash.classifiers.labels import matching, means, spaceless
from goldwash.classifiers.language import located
from goldwash.classifiers.loader import load

LID = load(located("lid.176.ftz")).labels


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("en", "eng_Latn"), ("eng_Latn", "en"), ("de", "deu_Latn"), ("zh", "cmn_Hani"), ("cmn_Hani", "zh"),
        ("zho_Hani", "cmn_Hani"),
        ("ar", "arb_Arab"), ("fa", "pes_Arab"), ("et", "ekk_Latn"), ("lv", "lvs_Latn"), ("sw", "swh_Latn"),
        ("no", "nob_Latn"),
        ("nob_Latn", "no"), ("sr", "srp_Cyrl"), ("sr", "srp_Latn"), ("ceb", "ceb_Latn"), ("als", "gsw_Latn"),
        ("sq", "als_Latn"),
        ("tl", "fil_Latn"), ("deu-Latn", "de"), ("id", "ind_Latn"), ("nn", "nno_Latn"), ("tha_Thai", "th"),
    ],
)  # fmt: skip
def test_names_that_mean_a_label(name: str, label: str) -> None:
    assert means(name, label)


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("srp_Latn", "srp_Cyrl"), ("en", "deu_Latn"), ("als_Latn", "als"), ("als", "als_Latn"), ("nn", "nob_Latn"),
        ("zh", "yue_Hani"), ("en", ""), ("eng_Latn", ""), ("", "eng_Latn"), ("deu", "de"), ("english", "eng_Latn"),
        ("x y", "eng_Latn"), ("zxx", "und_Latn"),
    ],
)  # fmt: skip
def test_names_that_do_not(name: str, label: str) -> None:
    assert not means(name, label)


def test_labels_of_lid_176_mean_themselves_alone() -> None:
    for name in LID:
        assert matching(np.array(LID), [name]).sum() == 1


@given(
    st.lists(st.sampled_from(["en", "eng_Latn", "", "zh", "cmn_Hani", "x"])),
    st.lists(st.sampled_from(["en", "zh", "fra_Latn"])),
)
def test_matching_is_means_for_each_label(labels: list[str], names: list[str]) -> None:
    found = matching(np.array(labels, np.str_), names)
    assert found.tolist() == [any(means(name, label) for name in names) for label in labels]


def test_languages_without_spaces() -> None:
    assert all(map(spaceless, ["zh", "yue_Hani", "jpn_Jpan", "tha_Thai", "khm_Khmr", "lo", "mya_Mymr", "shn_Mymr"]))
    assert not any(map(spaceless, ["ko", "kor_Hang", "en", "vie_Latn", "", "bod_Tibt"]))
