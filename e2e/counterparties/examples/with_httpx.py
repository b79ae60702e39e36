import os

import httpx

form = {
    "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
    "subject_token": os.environ["SUBJECT_TOKEN"],
    "subject_token_type": "urn:ietf:params:oauth:token-type:access_token",
    "connection": "google",
    "scope": "https://www.googleapis.com/auth/calendar.events.readonly",
}
answer = httpx.post(
    os.environ["GRANTRY_URL"] + "/oauth/token", data=form, auth=("sandbox-app", os.environ["WORKLOAD_SECRET"]), timeout=60
)
if answer.status_code == 200:
    events = os.environ["SANDBOX"] + "/google/calendar/v3/calendars/primary/events?maxResults=5"
    bearer = {"Authorization": "Bearer " + answer.json()["access_token"]}
    for event in httpx.get(events, headers=bearer, timeout=60).json()["items"]:
        print(event["summary"])
elif answer.json().get("consent_uri"):
    print("open", answer.json()["consent_uri"])
else:
    raise RuntimeError(f"{answer.status_code} {answer.json()['error']}: {answer.json()['error_description']}")
