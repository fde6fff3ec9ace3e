"""What a browser shows when it comes back from the provider: Japanese and English, nothing loaded.

Pages take no text from anybody but the device's address, which is hexadecimal, and a ticket of our
own making. They may not be framed, run no script and send no referrer, because their address held a
code.

Spec: ID-OIDC-CONFIRM.
"""

from html import escape
from typing import Final

HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; form-action 'self'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

CONFIRM_PATH: Final = "/federation/confirm"


def confirm_page(*, device: str, ticket: str, is_again: bool) -> str:
    """Return the page that asks for the device's code."""
    again = "<p>番号が違います。 / That is not the number.</p>" if is_again else ""
    return _page(
        "<h1>端末の登録 / Bind a device</h1>"
        f"<p>端末 / Device: <code>{escape(device)}</code></p>"
        "<p>あなたの端末に表示された6桁の番号を入力してください。"
        "ご自分で始めた登録でなければ、このページを閉じてください。"
        "番号を誰かから知らされた場合も、入力しないでください。</p>"
        "<p>Type the six digits that your own device shows. If you did not start this yourself, or "
        "if somebody told you the number, close this page.</p>"
        f"{again}"
        f'<form method="post" action="{CONFIRM_PATH}">'
        f'<input type="hidden" name="ticket" value="{escape(ticket, quote=True)}">'
        '<input name="code" inputmode="numeric" autocomplete="off" maxlength="6" required>'
        "<button>登録する / Bind</button></form>"
    )


def done_page() -> str:
    """Return the page that sends a person back to the device."""
    return _page(
        "<h1>端末に戻ってください / Go back to your device</h1>"
        "<p>このページは閉じてかまいません。 / You may close this page.</p>"
    )


def failed_page() -> str:
    """Return the page for whatever went wrong; it does not tell what."""
    return _page(
        "<h1>登録できませんでした / Not bound</h1>"
        "<p>端末で最初からやり直してください。 / Please begin again on your device.</p>"
    )


def _page(body: str) -> str:
    return (
        '<!doctype html><html lang="ja"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width"><title>Daicho</title></head>'
        f"<body><main>{body}</main></body></html>"
    )
