"""A token of a user's at a vendor, by token exchange (RFC 8693). Standard library only."""

import base64
import json
import time
import urllib.error
import urllib.parse
import urllib.request

ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"


class ConsentRequired(Exception):
    """The user has to do something at uri first ("" when they declined lately)."""

    def __init__(self, connection, answer):
        super().__init__(f"{connection} needs its user: {answer.get('error_reason')}")
        self.connection, self.reason = connection, answer.get("error_reason")
        self.missing, self.uri = answer.get("missing_scopes", []), answer.get("consent_uri", "")


class ExchangeError(Exception):
    """Anything else. Nobody has to consent to anything; retry_after is in seconds."""

    def __init__(self, status, answer, retry_after=None):
        super().__init__(f"the exchange was answered {status} {answer.get('error', '')}: {answer.get('error_description', '')}")
        self.status, self.code, self.reason, self.retry_after = status, answer.get("error"), answer.get("error_reason"), retry_after


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would take the Authorization header along."""

    def redirect_request(self, *_):
        return None


opener = urllib.request.build_opener(_NoRedirect)


class Grantry:
    def __init__(self, url, client_id, client_secret):
        self.url = url
        pair = f"{urllib.parse.quote_plus(client_id)}:{urllib.parse.quote_plus(client_secret)}"
        self._basic = "Basic " + base64.b64encode(pair.encode()).decode()
        self._kept = {}  # by what proves the user, too: another user's token must never be found

    def token(self, subject_token, connection, scopes=(), account="", refused=None):
        """refused is a token that the vendor has answered with 401: then another one is asked for."""
        key = (subject_token, connection, account, tuple(sorted(scopes)))
        known = self._kept.get(key)
        if known and known["until"] > time.monotonic() and (refused is None or known["value"] != refused["value"]):
            return known
        form = {
            "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
            "subject_token": subject_token,
            "subject_token_type": ACCESS_TOKEN,
            "connection": connection,
            "scope": " ".join(scopes),
            "account": account,
        }
        if refused is None:
            got = self._exchange(form)
        else:
            got = self._another(form, refused)
        self._kept = {k: t for k, t in self._kept.items() if t["until"] > time.monotonic()}
        self._kept[key] = got
        return got

    def _another(self, form, refused):
        """A token that lives longer than that one makes Grantry refresh it; where none can, it may have a newer one all the same."""
        least = max(0, int(refused["until"] - time.monotonic())) + 12
        try:
            return self._exchange({**form, "min_ttl": str(least)})
        except ExchangeError as e:
            if e.code != "invalid_request":
                raise
            return self._exchange(form)

    def _exchange(self, form):
        body = urllib.parse.urlencode({k: v for k, v in form.items() if v}).encode()
        asked = time.monotonic()
        try:
            with opener.open(urllib.request.Request(f"{self.url}/oauth/token", body, {"Authorization": self._basic}), timeout=60) as response:
                answer = json.load(response)
        except urllib.error.HTTPError as e:
            raise refusal(form["connection"], e.code, e.headers, e.read()) from None
        return {"value": answer["access_token"], "scope": answer["scope"], "api_base": answer.get("api_base"), "until": asked + answer["expires_in"] - 10}


def refusal(connection, status, headers, text):
    """What an answer other than 200 means."""
    try:
        answer = json.loads(text)
    except ValueError:
        answer = {}
    if answer.get("consent_uri") or answer.get("error") == "consent_required":
        return ConsentRequired(connection, answer)
    return ExchangeError(status, answer, headers.get("Retry-After"))
