"""What a card's holder reads, in Japanese and English: what happened, and what to do next.

Codes are named as on the sheet that comes with the card. Every error of ``errors`` has a text here;
a test holds the two together. No text shows a code or anything read off the card.

Spec: CARD-MESSAGE.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from clients.card.codes import CodeKind
from node.primitives.errors import LedgerError


class Language(StrEnum):
    """A language of the texts."""

    JAPANESE = "ja"
    ENGLISH = "en"


Text = Mapping[Language, str]


def _text(japanese: str, english: str) -> Text:
    return {Language.JAPANESE: japanese, Language.ENGLISH: english}


CODE_NAMES: Final[Mapping[CodeKind, Text]] = {
    CodeKind.AUTHENTICATION: _text(
        "利用者証明用電子証明書の暗証番号（数字4桁）",
        "PIN of the user authentication certificate (4 digits)",
    ),
    CodeKind.SIGNING: _text(
        "署名用電子証明書の暗証番号（英大文字と数字で6〜16文字）",
        "password of the digital signature certificate (6 to 16 letters and digits)",
    ),
    CodeKind.TEXT: _text(
        "券面事項入力補助用の暗証番号（数字4桁）",
        "PIN for the text on the card (4 digits)",
    ),
    CodeKind.NUMBER_B: _text(
        "照合番号B（生年月日6桁、有効期限の西暦4桁、セキュリティコード4桁）",
        "number B (birth date, 6 digits; year of expiry, 4; security code, 4)",
    ),
}
"""Each code by the name its holder knows."""

NUMBER_NOT_READ: Final = _text(
    "マイナンバー（個人番号）は読み取りません。", "Your Individual Number is not read."
)
"""Said whenever a card is asked for."""

_RESET: Final = _text(
    "暗証番号は市区町村の窓口で、またはアプリとコンビニ端末で再設定できます。",
    "You can reset it at your municipality, or with the app and a terminal in a convenience store.",
)

_TEXTS: Final[Mapping[str, Text]] = {
    "card.no_daemon": _text(
        "カードリーダーを使う準備ができていません。pcscdを入れて起動してください。",
        "Card readers cannot be used yet. Please install pcscd and start it.",
    ),
    "card.no_pkcs11": _text(
        "カードのドライバー（OpenSC）が見つかりません。opensc-pkcs11を入れてください。",
        "The card's driver (OpenSC) was not found. Please install opensc-pkcs11.",
    ),
    "card.no_reader": _text(
        "カードリーダーが見つかりません。接続を確認してください。",
        "No card reader found. Please check that it is connected.",
    ),
    "card.unknown_reader": _text(
        "その名前のカードリーダーはありません。", "There is no card reader of that name."
    ),
    "card.no_card": _text(
        "カードが見つかりません。カードをリーダーに置き、動かさずにお待ちください。",
        "No card found. Put your card on the reader and keep it still.",
    ),
    "card.several_cards": _text(
        "カードが二枚以上あります。一枚だけ置くか、リーダーを指定してください。",
        "There is more than one card. Leave only one, or name the reader.",
    ),
    "card.busy": _text(
        "ほかのアプリがカードを使っています。終わるまでお待ちください。",
        "Another program is using the card. Please wait until it has finished.",
    ),
    "card.lost": _text(
        "カードが途中で離れました。もう一度置き、終わるまで動かさないでください。",
        "The card moved away. Put it back and keep it still until the end.",
    ),
    "card.silent": _text(
        "カードから応答がありません。カードを置き直してください。",
        "The card does not answer. Please take it off and put it back.",
    ),
    "card.unknown": _text(
        "マイナンバーカードではないカードです。", "This is not a My Number Card."
    ),
    "card.refused": _text(
        "カードが処理を受け付けませんでした（{status}）。",
        "The card refused to do this ({status}).",
    ),
    "card.malformed": _text(
        "カードの内容を読み取れませんでした。市区町村の窓口にご相談ください。",
        "What the card holds could not be read. Please ask your municipality.",
    ),
    "card.no_signing_certificate": _text(
        "このカードに署名用電子証明書はありません。",
        "This card has no digital signature certificate.",
    ),
    "card.code_format": _text(
        "{code_name}の形と違います。カードには送っていません。回数は減っていません。",
        "That is not the form of the {code_name}. It was not sent, and no try was used.",
    ),
    "card.code_wrong": _text(
        "{code_name}が違います。あと{tries_left}回でロックされます。",
        "The {code_name} is wrong. After {tries_left} more it will be locked.",
    ),
    "card.code_last_try": _text(
        "{code_name}は、あと1回でロックされるため、ここでは使えません。{reset}",
        "One more wrong try would lock the {code_name}, so it is not used here. {reset}",
    ),
    "card.code_locked": _text(
        "{code_name}はロックされています。{reset}", "The {code_name} is locked. {reset}"
    ),
    "card.signature_mismatch": _text(
        "カードの署名を確認できませんでした。もう一度お試しください。",
        "The card's signature could not be confirmed. Please try again.",
    ),
    "card.forbidden_file": _text(
        "許されない読み取りを止めました。管理者にお知らせください。",
        "A reading that is not allowed was stopped. Please tell the operator.",
    ),
    "kiosk.certificate_refused": _text(
        "この電子証明書では受付できません。照合番号Bか、係員による受付をご利用ください。",
        "This certificate cannot be used. Please use number B, or ask the staff.",
    ),
    "kiosk.invalid_entry": _text(
        "氏名と記入者を200文字以内で入力してください。",
        "Please enter the name and who writes it down, up to 200 characters each.",
    ),
    "identity.malformed_certificate": _text(
        "カードの電子証明書を読み取れませんでした。市区町村の窓口にご相談ください。",
        "The card's certificate could not be read. Please ask your municipality.",
    ),
}

_LOOKS_LIKE: Final = _text(
    "入力されたものは{other}のようです。", "What you typed looks like the {other}."
)

_EXPIRED: Final = _text(
    "電子証明書の有効期限が切れています。市区町村の窓口で更新してください。",
    "The certificate has expired. Please renew it at your municipality.",
)
_EXPIRES: Final = _text(
    "電子証明書の有効期限まで、あと{days}日です。市区町村の窓口で更新できます。",
    "The certificate expires in {days} days. You can renew it at your municipality.",
)

EXPIRY_WARNING_DAYS: Final = 90
"""From how many days before its end a certificate's expiry is mentioned."""


def explain(error: LedgerError, language: Language) -> str | None:
    """Return what to tell the card's holder about an error, None for errors of something else.

    Spec: CARD-MESSAGE.
    """
    text = _TEXTS.get(error.code)
    if text is None:
        return None
    kind = error.values.get("kind")
    values = {
        "status": error.values.get("status", ""),
        "tries_left": error.values.get("tries_left", ""),
        "code_name": CODE_NAMES[CodeKind(str(kind))][language] if kind else "",
        "reset": _RESET[language],
    }
    said = text[language].format(**values)
    other = error.values.get("looks_like")
    if other:
        name = CODE_NAMES[CodeKind(str(other))][language]
        said += " " + _LOOKS_LIKE[language].format(other=name)
    return said


def expiry_notice(days_left: int, language: Language) -> str | None:
    """Return a warning when a certificate has ended or will within 90 days.

    Spec: CARD-MESSAGE.
    """
    if days_left < 0:
        return _EXPIRED[language]
    if days_left <= EXPIRY_WARNING_DAYS:
        return _EXPIRES[language].format(days=days_left)
    return None
