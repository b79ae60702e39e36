import os

from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session

vault = OAuth2Session("sandbox-app", os.environ["WORKLOAD_SECRET"], token_endpoint_auth_method="client_secret_basic")
try:
    token = vault.fetch_token(
        os.environ["GRANTRY_URL"] + "/oauth/token",
        grant_type="urn:ietf:params:oauth:grant-type:token-exchange",
        subject_token=os.environ["SUBJECT_TOKEN"],
        subject_token_type="urn:ietf:params:oauth:token-type:access_token",
        connection="google",
        scope="https://www.googleapis.com/auth/calendar.events.readonly",
        allow_redirects=False,
        timeout=60,
    )
    # The session now sends the token wherever it is asked to: ask it for this vendor's addresses only.
    events = vault.get(os.environ["SANDBOX"] + "/google/calendar/v3/calendars/primary/events?maxResults=5", allow_redirects=False, timeout=60)
    for event in events.json()["items"]:
        print(event["summary"])
except OAuthError as lack:
    # Authlib hands on error and error_description alone; the user finds what is lacking on this page, too.
    if lack.error not in ("consent_required", "invalid_scope"):
        raise
    print("open", os.environ["GRANTRY_URL"] + "/connections")
