import { AuthClient } from '@auth0/auth0-auth-js'; // 1.16
import { ConsentRequired, grantry } from './grantry.mjs';

const { GRANTRY_URL, WORKLOAD_SECRET, SUBJECT_TOKEN, SANDBOX } = process.env;
const auth0 = new AuthClient({
  domain: new URL(GRANTRY_URL).host, // the one thing that changes
  clientId: 'sandbox-app',
  clientSecret: WORKLOAD_SECRET,
});

try {
  const token = await auth0.exchangeToken({
    connection: 'google',
    subjectToken: SUBJECT_TOKEN,
    subjectTokenType: 'urn:ietf:params:oauth:token-type:access_token',
    scope: 'https://www.googleapis.com/auth/calendar.events.readonly',
  });
  const response = await fetch(`${SANDBOX}/google/calendar/v3/calendars/primary/events?maxResults=5`, {
    headers: { authorization: `Bearer ${token.accessToken}` },
    redirect: 'error',
  });
  for (const event of (await response.json()).items) console.log(event.summary);
} catch (error) {
  // The SDK hands on the code, and not the link: that takes an exchange by hand.
  const codes = ['federated_connection_refresh_token_not_found', 'federated_connection_refresh_token_flow_failed', 'access_denied', 'invalid_scope'];
  if (!codes.includes(error.cause?.error)) throw error;
  const token = grantry({ url: GRANTRY_URL, clientId: 'sandbox-app', clientSecret: WORKLOAD_SECRET });
  await token({ subjectToken: SUBJECT_TOKEN, connection: 'google', scopes: ['https://www.googleapis.com/auth/calendar.events.readonly'] }).catch((lack) => {
    if (!(lack instanceof ConsentRequired)) throw lack;
    console.log('open', lack.uri);
  });
}
