import json
import os
import urllib.error
import urllib.request

from grantry import ConsentRequired, Grantry, opener

vault = Grantry(os.environ["GRANTRY_URL"], "sandbox-app", os.environ["WORKLOAD_SECRET"])
calendar = (
    os.environ["SUBJECT_TOKEN"],  # of the user who is signed in to your application
    "google",
    ["https://www.googleapis.com/auth/calendar.events.readonly"],
)


def events(token):
    at = os.environ["SANDBOX"] + "/google/calendar/v3/calendars/primary/events?maxResults=5"
    request = urllib.request.Request(at, headers={"Authorization": "Bearer " + token["value"]})
    with opener.open(request, timeout=60) as response:
        return json.load(response)["items"]


try:
    token = vault.token(*calendar)
    try:
        found = events(token)
    except urllib.error.HTTPError as e:
        if e.code != 401:
            raise
        found = events(vault.token(*calendar, refused=token))
    for event in found:
        print(event["summary"])
except ConsentRequired as needed:
    print("open", needed.uri)  # show it to this user, and try again when they are back
