import * as oauth from 'openid-client'; // 6.9

const { GRANTRY_URL, WORKLOAD_SECRET, SUBJECT_TOKEN, SANDBOX } = process.env;
const server = await oauth.discovery(new URL(GRANTRY_URL), 'sandbox-app', undefined, oauth.ClientSecretBasic(WORKLOAD_SECRET));

try {
  const token = await oauth.genericGrantRequest(server, 'urn:ietf:params:oauth:grant-type:token-exchange', {
    subject_token: SUBJECT_TOKEN,
    subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
    connection: 'google',
    scope: 'https://www.googleapis.com/auth/calendar.events.readonly',
  });
  const response = await fetch(`${SANDBOX}/google/calendar/v3/calendars/primary/events?maxResults=5`, {
    headers: { authorization: `Bearer ${token.access_token}` },
    redirect: 'error',
  });
  for (const event of (await response.json()).items) console.log(event.summary);
} catch (error) {
  // error.cause is the answer's JSON: error_reason, missing_scopes, consent_uri.
  if (!error.cause?.consent_uri) throw error;
  console.log('open', error.cause.consent_uri);
}
