import { ConsentRequired, grantry } from './grantry.mjs';

const { GRANTRY_URL, WORKLOAD_SECRET, SUBJECT_TOKEN, SANDBOX } = process.env;
const token = grantry({ url: GRANTRY_URL, clientId: 'sandbox-app', clientSecret: WORKLOAD_SECRET });
const calendar = {
  subjectToken: SUBJECT_TOKEN, // of the user who is signed in to your application
  connection: 'google',
  scopes: ['https://www.googleapis.com/auth/calendar.events.readonly'],
};

function events({ value }) {
  return fetch(`${SANDBOX}/google/calendar/v3/calendars/primary/events?maxResults=5`, {
    headers: { authorization: `Bearer ${value}` },
    redirect: 'error', // a token is for this host alone
  });
}

try {
  const first = await token(calendar);
  let response = await events(first);
  if (response.status === 401) response = await events(await token({ ...calendar, refused: first }));
  if (!response.ok) throw new Error(`the vendor answered ${response.status}`);
  for (const event of (await response.json()).items) console.log(event.summary);
} catch (error) {
  if (!(error instanceof ConsentRequired)) throw error;
  console.log('open', error.uri); // show it to this user, and try again when they are back
}
