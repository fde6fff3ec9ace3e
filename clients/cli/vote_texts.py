"""What `daicho resident vote` says, in Japanese and in English: plain sentences, numbers to choose.

Spec: WALLET-COMMANDS.
"""

from typing import Final

_PAIRS: Final[dict[str, tuple[str, str]]] = {
    "mock": (
        "これは模擬投票です。結果に効力はありません。",
        "This is a mock election. Its result has no effect.",
    ),
    "election": (
        "選挙: {title}。投票は {opens} から {closes} まで（日本時間）。",
        "Election: {title}. Ballots are taken from {opens} to {closes} (Japan time).",
    ),
    "no_elections": ("選挙はありません。", "There are no elections."),
    "ask_code": ("投票の招待コード", "Invitation code"),
    "enrolled": (
        (
            "登録できました。投票コードは {code} です。"
            "名簿が確定するときに登録が有効なら、あなたの投票は数えられます。"
        ),
        (
            "You are enrolled. Your vote code is {code}. "
            "Your ballot counts if this enrolment is active when the roll is frozen."
        ),
    ),
    "finishing": (
        "途中の登録を続けます。",
        "Finishing the enrolment that was begun.",
    ),
    "race": ("{race}（質問 {at}/{count}）", "{race} (question {at} of {count})"),
    "blank": ("  0  白票", "  0  blank vote"),
    "ask_choice": (
        "番号を選んでください (0-{last})",
        "Choose a number (0-{last})",
    ),
    "blank_name": ("白票", "blank vote"),
    "promise": (
        "投票用紙ができました。確認用の文字列: {promise}",
        "The ballot is made. Its text for checking: {promise}",
    ),
    "ask_check": (
        "1 送信する  2 中身を確認する（この用紙は捨てて、作り直します）  3 やめる",
        "1 send it  2 check what it holds (this ballot is thrown away)  3 stop",
    ),
    "ask_number": ("番号", "Number"),
    "opening": (
        "別の端末で「vote check」に二つの文字列を渡すと、中身を確かめられます。\n{opening}",
        "On a second device, give both texts to `daicho resident vote check`.\n{opening}",
    ),
    "thrown_away": (
        "この投票用紙は捨てました。もう一度選んでください。",
        "That ballot was thrown away. Choose again.",
    ),
    "stopped": ("何も送っていません。", "Nothing was sent."),
    "sent": (
        (
            "{relay} が受け付けました。追跡コードは {code} です。"
            "ブロック {deadline} までに記録される約束です。"
        ),
        "{relay} took the ballot. Tracking code {code}. Promised to stand by block {deadline}.",
    ),
    "kept": (
        (
            "どの受付も応答しません。投票用紙は端末に残っています。"
            "後で「vote send」を実行してください。"
        ),
        "No relay answers. The ballot is kept on this device; run `vote send` later.",
    ),
    "nothing_waits": ("送り直すものはありません。", "Nothing waits to be sent."),
    "waiting": ("受付済み。記録を待っています", "taken; waits to be recorded"),
    "counts": ("記録済み。いまのところこの投票が有効です", "recorded; the one that counts"),
    "superseded": ("記録済み。後の投票で置き換えられました", "recorded; a later one counts"),
    "suppressed": (
        "注意: 約束の期限を過ぎても記録されていません。「vote evidence」で証拠を作れます",
        "note: not recorded by the promised block; `vote evidence` writes the proof",
    ),
    "displaced": (
        "注意: この番号には別の投票が記録されています。鍵を知る人がほかにいます",
        "note: another ballot stands under this number; somebody else has your key",
    ),
    "foreign": (
        (
            "注意: この端末が送っていない投票が {count} 件記録されています。"
            "心当たりがなければ、カードでもう一度登録するか、投票所で投票してください。"
        ),
        (
            "note: {count} ballots were recorded that this device did not send. "
            "If they are not yours, enrol again with your card, or vote on paper."
        ),
    ),
    "ask_foreign": ("続けますか", "Continue"),
    "withdrawn": (
        "この鍵は取り下げられています。もう投票は数えられません。",
        "The key is withdrawn. Its ballots do not count.",
    ),
    "ask_withdraw": (
        "この端末の投票をすべて取り下げます。元には戻せません。よろしいですか",
        "This takes all ballots of this device out of the count for good. Do it",
    ),
    "withdrawal_taken": ("{relay} が取り下げを受け付けました。", "{relay} took the withdrawal."),
    "no_ballots": ("まだ投票していません。", "No ballot was sent yet."),
    "roll_open": ("名簿はまだ確定していません。", "The roll is not frozen yet."),
    "roll_holds": (
        "確定した名簿 {count} 件の中に、あなたの登録があります。",
        "The frozen roll of {count} entries holds yours.",
    ),
    "roll_lacks": (
        (
            "注意: 確定した名簿にあなたの登録がありません。"
            "受領証を添えて選挙管理委員会に申し出てください。"
        ),
        "note: the frozen roll does not hold your entry; complain with your roll receipt.",
    ),
    "checked": (
        "別の端末で計算し直しました。投票用紙の中身:",
        "Recomputed here. The ballot holds:",
    ),
    "evidence_written": (
        "証拠を {path} に書きました。誰でも確かめられます。",
        "The evidence is in {path}. Anyone can check it.",
    ),
    "no_evidence": ("守られなかった約束はありません。", "No promise was broken."),
    "proven_at": (
        "ブロック {height}、{index} 番目の投票",
        "block {height}, ballot number {index} in the box",
    ),
}

VOTE_TEXTS: Final[dict[str, dict[str, str]]] = {
    name: {"ja": japanese, "en": english} for name, (japanese, english) in _PAIRS.items()
}
"""Every sentence, by name and language."""
