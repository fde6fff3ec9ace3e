"""ELECTION-INCIDENT: a text for everyone that seems to hold something of a person is refused."""

import pytest

from services.election.publication.personal import PersonalKind, find_personal


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("窓口で青木様が二度登録した。", PersonalKind.NAME),
        ("馬場さんの端末が止まった", PersonalKind.NAME),
        ("千葉氏から苦情", PersonalKind.NAME),
        ("Mr. Aoki could not log in", PersonalKind.NAME),
        ("連絡先は029-883-1111", PersonalKind.NUMBER),
        ("０９０ー１２３４ー５６７８に電話した", PersonalKind.NUMBER),
        ("番号 1234 5678 9012 のカード", PersonalKind.NUMBER),
        ("hanako@goka.example から届いた", PersonalKind.MAIL),
        ("研究学園一丁目の投票所の隣", PersonalKind.ADDRESS),
        ("1番1号の家", PersonalKind.ADDRESS),
        ("昭和50年生まれの選挙人", PersonalKind.BIRTH),
        ("an elector born in 1975", PersonalKind.BIRTH),
        ("コード 7G2K-0QWE-9XYZ-AB12-C を紛失", PersonalKind.CODE),
    ],
)
def test_what_points_to_a_person_is_found(text: str, kind: PersonalKind) -> None:
    assert find_personal(text) is kind


@pytest.mark.parametrize(
    "text",
    [
        "2026-12-01 09:00から09:04まで、つくば市の中継が応答しなかった。",
        "12月1日20時に締め切り、同様の事象はない。皆様にお知らせした。仕様どおり。",
        "The relay of Goka did not answer for 4 minutes at height 123,456.",
        "証拠 0x3f00aa11bb22cc33dd44ee55ff66007788990011223344556677889900aabbcc を保存",
        "配電盤の温度が摂氏40度を超えた。氏名の表示に誤りがあった。",
        "たくさんの誤入力があった",
    ],
)
def test_what_officers_write_of_machines_and_times_passes(text: str) -> None:
    assert find_personal(text) is None
