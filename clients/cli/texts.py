"""What the resident's commands say, in Japanese and in English.

Spec: WALLET-COMMANDS.
"""

from enum import StrEnum
from typing import Final

from clients.cli.vote_texts import VOTE_TEXTS


class Language(StrEnum):
    """Language of what is said to a person; names in JSON stay English."""

    JAPANESE = "ja"
    ENGLISH = "en"


TEXTS: Final[dict[str, dict[Language, str]]] = {
    "verified": {
        Language.JAPANESE: "検証済み: ブロック {height} に検証者 {seals}/{validators} の署名",
        Language.ENGLISH: "verified: {seals} of {validators} validators sealed block {height}",
    },
    "no_trust_in_nodes": {
        Language.JAPANESE: "この結果はどのノードの言葉にも頼っていません",
        Language.ENGLISH: "this result rests on no node's word",
    },
    "disagreement": {
        Language.JAPANESE: "注意: 一部のノードの応答が一致しません。下の一覧を見てください",
        Language.ENGLISH: "note: not all nodes agree; see the list below",
    },
    "started": {
        Language.JAPANESE: "{names} が署名したブロック {height} から開始しました",
        Language.ENGLISH: "started from block {height}, signed by {names}",
    },
    "agrees": {Language.JAPANESE: "一致", Language.ENGLISH: "agrees"},
    "behind": {Language.JAPANESE: "遅れ", Language.ENGLISH: "behind"},
    "refused": {Language.JAPANESE: "検証に失敗", Language.ENGLISH: "failed verification"},
    "unavailable": {Language.JAPANESE: "応答なし", Language.ENGLISH: "no answer"},
    "succeeded": {Language.JAPANESE: "成功", Language.ENGLISH: "succeeded"},
    "failed": {Language.JAPANESE: "失敗", Language.ENGLISH: "failed"},
    "absent": {
        Language.JAPANESE: "存在しないことが証明されました",
        Language.ENGLISH: "proven not to exist",
    },
    "resident_until": {
        Language.JAPANESE: "住民として {until} まで有効",
        Language.ENGLISH: "attested as a resident until {until}",
    },
    "resident_expired": {
        Language.JAPANESE: "住民としての確認は {until} に期限切れ",
        Language.ENGLISH: "attested as a resident until {until}, which has passed",
    },
    "governor": {Language.JAPANESE: "管理者", Language.ENGLISH: "governor"},
    "municipality": {
        Language.JAPANESE: "市町村 {id} の口座",
        Language.ENGLISH: "account of municipality {id}",
    },
    "service": {
        Language.JAPANESE: "市町村 {id} のサービス",
        Language.ENGLISH: "service of municipality {id}",
    },
    "evidence_kept": {
        Language.JAPANESE: "重大: 署名されたブロックが二つあります。証拠: {path}",
        Language.ENGLISH: "serious: two different blocks are sealed; the proof is kept in {path}",
    },
    "wallet_created": {
        Language.JAPANESE: "ウォレットを作りました",
        Language.ENGLISH: "wallet made",
    },
    "no_keys": {Language.JAPANESE: "鍵はありません", Language.ENGLISH: "no keys"},
    "key_added": {Language.JAPANESE: "鍵を作りました", Language.ENGLISH: "key drawn"},
    "backup_written": {
        Language.JAPANESE: "控えを書きました。パスフレーズとは別の場所に保管してください",
        Language.ENGLISH: "backup written; keep it apart from its passphrase",
    },
    "backup_restored": {
        Language.JAPANESE: "控えから鍵を戻しました",
        Language.ENGLISH: "keys restored from the backup",
    },
    "passphrase_changed": {
        Language.JAPANESE: "パスフレーズを変えました",
        Language.ENGLISH: "passphrase changed",
    },
    "wallet_passphrase": {
        Language.JAPANESE: "ウォレットのパスフレーズ",
        Language.ENGLISH: "passphrase of the wallet",
    },
    "new_passphrase": {
        Language.JAPANESE: "新しいパスフレーズ",
        Language.ENGLISH: "new passphrase",
    },
    "backup_passphrase": {
        Language.JAPANESE: "控えのパスフレーズ",
        Language.ENGLISH: "passphrase of the backup",
    },
    "open_browser": {
        Language.JAPANESE: "ブラウザーで開いてログインしてください: {url}",
        Language.ENGLISH: "open this in a browser and log in: {url}",
    },
    "type_code": {
        Language.JAPANESE: "戻ったページに端末 {device} が示されたら、この番号を入力: {code}",
        Language.ENGLISH: "when the page shows device {device}, type this number there: {code}",
    },
    "tries_left": {
        Language.JAPANESE: "{code_name}: あと{count}回まで入力できます",
        Language.ENGLISH: "{code_name}: {count} tries left",
    },
    "bound": {
        Language.JAPANESE: "この端末を登録しました（ハブの応答）",
        Language.ENGLISH: "this device is bound (as the hub answers)",
    },
    "unbound": {
        Language.JAPANESE: "端末の登録をやめました（ハブの応答）",
        Language.ENGLISH: "the device is stopped (as the hub answers)",
    },
    "no_devices": {
        Language.JAPANESE: "登録された端末はありません",
        Language.ENGLISH: "no device is bound",
    },
    "identity": {
        Language.JAPANESE: "本人確認: {status}（レベル{level}、市町村 {municipality}、"
        "{checked} に確認、{expires} まで）",
        Language.ENGLISH: "identity: {status} (level {level}, municipality {municipality}, "
        "checked {checked}, until {expires})",
    },
    "identity_verified": {
        Language.JAPANESE: "確認済み",
        Language.ENGLISH: "verified",
    },
    "identity_attributes_unconfirmed": {
        Language.JAPANESE: "確認済み（氏名などは未確認）",
        Language.ENGLISH: "verified, name and address unconfirmed",
    },
    "identity_grace": {
        Language.JAPANESE: "猶予期間中",
        Language.ENGLISH: "in its grace period",
    },
    "identity_downgraded": {
        Language.JAPANESE: "証明書の期限切れ",
        Language.ENGLISH: "its certificate has ended",
    },
    "identity_suspended": {
        Language.JAPANESE: "停止中",
        Language.ENGLISH: "suspended",
    },
    "identity_removed": {
        Language.JAPANESE: "抹消",
        Language.ENGLISH: "removed",
    },
    "identity_expired": {
        Language.JAPANESE: "確認の期限切れ",
        Language.ENGLISH: "no longer current",
    },
    "no_identity": {
        Language.JAPANESE: "本人確認の記録なし",
        Language.ENGLISH: "no record of an identified person",
    },
    "no_role": {Language.JAPANESE: "権限なし", Language.ENGLISH: "no role"},
}
"""Every sentence, by name; those of voting beside them."""

TEXTS.update(
    {
        f"vote.{name}": {Language(language): text for language, text in texts.items()}
        for name, texts in VOTE_TEXTS.items()
    }
)


def say(name: str, language: Language, **values: object) -> str:
    """Return a sentence with its values filled in.

    Spec: WALLET-COMMANDS.
    """
    return TEXTS[name][language].format(**values)
