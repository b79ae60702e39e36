import { createRequire } from 'node:module';
import { ConsentRequired, grantry } from './grantry.mjs';

// @auth0/ai 5.1: Node takes its CommonJS build; a bundler may import it.
const require = createRequire(import.meta.url);
const { getAccessTokenFromTokenVault, SUBJECT_TOKEN_TYPES, TokenVaultAuthorizerBase } = require('@auth0/ai/TokenVault');
const { TokenVaultInterrupt } = require('@auth0/ai/interrupts');
const { MemoryStore } = require('@auth0/ai/stores');

const { GRANTRY_URL, WORKLOAD_SECRET, SUBJECT_TOKEN, SANDBOX } = process.env;
const scopes = ['https://www.googleapis.com/auth/calendar.events.readonly'];

const withCalendar = new TokenVaultAuthorizerBase(
  { domain: new URL(GRANTRY_URL).host, clientId: 'sandbox-app', clientSecret: WORKLOAD_SECRET },
  {
    connection: 'google',
    scopes,
    accessToken: async () => SUBJECT_TOKEN,
    subjectTokenType: SUBJECT_TOKEN_TYPES.SUBJECT_TYPE_ACCESS_TOKEN,
    credentialsContext: 'tool-call', // not 'agent': its cache does not know one user from another
    store: new MemoryStore(),
  },
);
const listEvents = withCalendar.protect(
  (_args, call) => call,
  async () => {
    const response = await fetch(`${SANDBOX}/google/calendar/v3/calendars/primary/events?maxResults=5`, {
      headers: { authorization: `Bearer ${getAccessTokenFromTokenVault()}` },
      redirect: 'error',
    });
    return (await response.json()).items;
  },
);

try {
  const events = await listEvents({}, { threadID: 'thread-1', toolName: 'list_events', toolCallID: 'call-1' });
  for (const event of events) console.log(event.summary);
} catch (error) {
  if (!(error instanceof TokenVaultInterrupt)) throw error;
  // The SDK says this of every failure, an outage included. An exchange by hand says which it is, and has the link.
  const token = grantry({ url: GRANTRY_URL, clientId: 'sandbox-app', clientSecret: WORKLOAD_SECRET });
  await token({ subjectToken: SUBJECT_TOKEN, connection: 'google', scopes }).catch((lack) => {
    if (!(lack instanceof ConsentRequired)) throw lack;
    console.log('open', lack.uri);
  });
}
